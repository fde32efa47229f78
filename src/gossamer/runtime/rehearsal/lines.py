"""Why a line of a rehearsal has not come up: the looks of ``gossamer check``, with its codes and remedies.

Two things only a rehearsal knows: whether the peer has turned up, as it or others say; and that whoever answers to the
real federation's hash is at its real run.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from gossamer.errors import GossamerError, NoAnswerError, OtherFederationError
from gossamer.gossip.topology import SiteId
from gossamer.runtime.card import Member
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.preflight.bounded import ask
from gossamer.runtime.preflight.finding import Finding, fault, fault_of
from gossamer.runtime.preflight.peers import CHECK, DEFAULT_PATIENCE, Patience, check_peer
from gossamer.runtime.site_folder import SiteFolder
from gossamer.transport.base import PeerState
from gossamer.transport.mailbox_line import MailboxState

LOOKS_S = 90.0
"""Longer than all steps of a look, and of a second one; a name server that hangs is not waited for."""


def is_up(state: PeerState) -> bool:
    """Whether the peer was heard; a mailbox's own word is only that the folder answers, whoever writes there."""
    return state.heard_s > 0 if isinstance(state, MailboxState) else state.is_up


def look_at(
    peers: Collection[SiteId],
    site: SiteFolder,
    real: Federation,
    rehearsed: Federation,
    patience: Patience = DEFAULT_PATIENCE,
) -> dict[SiteId, Finding]:
    """Look at the ways to some peers, all at once; returns what is wrong, where something was found.

    Args:
        peers: whose lines are down.
        site: this one.
        real: the federation.
        rehearsed: what takes its place.
        patience: for each step of a look.
    """
    members = [member for member in rehearsed.settings.sites if member.name in peers]
    looks = [partial(_look, member, site, real, rehearsed, patience) for member in members]
    answers = ask(looks, LOOKS_S)
    found = {SiteId(member.name): answers.given.get(number) for number, member in enumerate(members)}
    return {peer: finding for peer, finding in found.items() if finding is not None}


def _look(
    member: Member, site: SiteFolder, real: Federation, rehearsed: Federation, patience: Patience
) -> Finding | None:
    now = datetime.now(UTC)
    finding = _fault(check_peer(member, site, rehearsed, now, patience))
    if finding is None or finding.code != OtherFederationError.code:
        return finding
    if _fault(check_peer(member, site, real, now, patience)) is not None:
        return finding
    remedy = "ask that site to stop it (what it has done is kept), to rehearse, and to start it again"
    return replace(finding, found="runs the real federation (gossamer site run), and does not rehearse", remedy=remedy)


def _fault(findings: list[Finding]) -> Finding | None:
    """The last of them is about the peer itself; one before it may warn of a proxy."""
    return findings[-1] if findings[-1].state == "fault" else None


def refused(peer: SiteId, reason: GossamerError) -> Finding:
    """What is said of a peer that spoke and was refused, or refused, and has gone since."""
    return fault_of(CHECK, reason, peer)


def not_turned_up(peer: SiteId, wait_s: float) -> Finding:
    """What is said of a peer that has not come, where nothing else was found."""
    found = f"did not turn up within {wait_s / 60:.3g} min"
    return fault(CHECK, NoAnswerError, found, "ask that site whether it rehearses, and agree on a time", peer)


def not_through(peer: SiteId, own_address: str | None) -> Finding:
    """What is said of a peer that others have heard, where nothing else was found."""
    found = "has turned up, as others tell, but nothing of it has come here"
    remedy = (
        f"let that site run gossamer check: its own way to {own_address} does not lead here"
        if own_address
        else "let both sites run gossamer check, and compare the mailboxes in both site.toml"
    )
    return fault(CHECK, NoAnswerError, found, remedy, peer)
