"""What a site found of its own lines: how fast each is, or why nothing of a share got through.

A look from outside, made while shares go, a refusal on the line, and that a peer did not turn up each tell a part; here
the one that tells most is chosen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gossamer import __version__
from gossamer.errors import NoAnswerError, PortClosedError
from gossamer.gossip.topology import SiteId
from gossamer.runtime.preflight.finding import Finding
from gossamer.runtime.rehearsal.lines import not_through, not_turned_up, refused
from gossamer.runtime.rehearsal.stopwatch import TimedTransport
from gossamer.runtime.rehearsal.told import LineTold, MeasuredTold

GONE = (PortClosedError.code, NoAnswerError.code)
"""What a look finds of a peer that has left; what it said while it was there tells more."""


def findings_of(
    transport: TimedTransport,
    ready: Collection[SiteId],
    looked: Mapping[SiteId, Finding],
    *,
    own_address: str | None,
    wait_s: float,
) -> dict[SiteId, Finding]:
    """What is wrong with the lines over which nothing of a share got through.

    Args:
        transport: this site's lines.
        ready: sites that have turned up.
        looked: what looks from outside found, by peer.
        own_address: where peers reach this site, if they do.
        wait_s: how long peers were waited for.
    """

    def finding(peer: SiteId) -> Finding:
        found, refusal = looked.get(peer), transport.states[peer].refusal
        if refusal is not None and (found is None or found.code in GONE):
            return refused(peer, refusal)
        if found is not None:
            return found
        return not_through(peer, own_address) if peer in ready else not_turned_up(peer, wait_s)

    return {peer: finding(peer) for peer in transport.states if transport.share_s(peer) is None}


def measured(
    transport: TimedTransport,
    ready: Collection[SiteId],
    findings: Mapping[SiteId, Finding],
    *,
    step_s: float,
    between_s: float,
) -> bytes:
    """What this site tells the others of its machine and its lines; see ``MeasuredTold``."""

    def line(peer: SiteId) -> LineTold:
        if (finding := findings.get(peer)) is not None:
            return LineTold(state="blocked" if peer in ready else "absent", code=finding.code)
        return LineTold(
            state="up",
            round_trip_s=transport.round_trip_s(peer),
            share_s=transport.share_s(peer),
            is_whole=transport.has_share(peer),
        )

    lines = {str(peer): line(peer) for peer in transport.states}
    return MeasuredTold(release=__version__, step_s=step_s, between_s=between_s, lines=lines).model_dump_json().encode()
