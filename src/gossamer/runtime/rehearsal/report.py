"""What a rehearsal ends with: a value that a table, JSON and an exit status are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from typing import Literal

from pydantic import BaseModel, ConfigDict

from gossamer.errors import PeerError
from gossamer.gossip.topology import SiteId
from gossamer.node.agreement import Agreement
from gossamer.node.patience import MOST_IDLE
from gossamer.runtime.federation_file import Federation
from gossamer.runtime.preflight.finding import Finding
from gossamer.runtime.rehearsal.estimate import Estimate, Machine, Way, estimate
from gossamer.runtime.rehearsal.told import LineState, MeasuredTold

SOMEBODY_WAS_MISSING = 7
"""As ``gossamer site run`` ends where a site was not there."""


class LineReport(BaseModel):
    """The way from one site to another, as the sender measured it.

    Attributes:
        sender: from whom.
        receiver: to whom.
        state: see ``LineTold``.
        code: of the error that says why.
        round_trip_s: there and back.
        share_s: that one share takes.
        is_whole: whether a share got through whole; else ``share_s`` is told from a part.
        bytes_per_s: of a share.
        is_slow: whether a share takes more than a tenth of a local phase of the real run: longer than a site waits
            for it at the asynchronous pace, and a loss in lockstep.
    """

    model_config = ConfigDict(frozen=True)

    sender: str
    receiver: str
    state: LineState
    code: str
    round_trip_s: float | None
    share_s: float | None
    is_whole: bool
    bytes_per_s: float | None
    is_slow: bool = False


class SiteReport(BaseModel):
    """A site of the federation.

    Attributes:
        site: its name.
        state: ``silent`` where it turned up, and has not told what it measured.
        step_s: an optimiser step.
        local_phase_s: training between two exchanges of the real run.
        exchange_s: its exchanges of a round of the real run.
        round_s: from one local phase to the next.
        rounds: local phases that it would do.
    """

    model_config = ConfigDict(frozen=True)

    site: str
    state: Literal["measured", "silent", "absent"]
    step_s: float | None = None
    local_phase_s: float | None = None
    exchange_s: float | None = None
    round_s: float | None = None
    rounds: float | None = None


class Fault(BaseModel):
    """What keeps this site's line to a peer from coming up."""

    model_config = ConfigDict(frozen=True)

    peer: str
    code: str
    found: str
    remedy: str


class Report(BaseModel):
    """What a site knows at the end of a rehearsal.

    Attributes:
        federation: SHA-256 of the real file.
        title: of the federation.
        site: this one.
        pace: of the real run.
        rounds: of the real run.
        local_steps: of the real run.
        share_bytes: that one share takes.
        sites: all of the roster.
        lines: all that were told of, in both directions.
        faults: of this site's own lines.
        run_s: the real run; None where it would not end, or nobody was measured.
        lacking: pairs without a way that the lockstep needs.
        slowest_site: whose local phase is the longest.
        slowest_line: (sender, receiver) of the line over which a share takes longest.
        is_held_by_line: whether the longest exchange takes more than the longest local phase.
        exit_status: 0 where all is well, 5 where a line is blocked, else 7 where a site was missing.
    """

    model_config = ConfigDict(frozen=True)

    federation: str
    title: str
    site: str
    pace: str
    rounds: int
    local_steps: int
    share_bytes: int
    sites: tuple[SiteReport, ...]
    lines: tuple[LineReport, ...]
    faults: tuple[Fault, ...]
    run_s: float | None
    lacking: tuple[tuple[str, str], ...]
    slowest_site: str | None
    slowest_line: tuple[str, str] | None
    is_held_by_line: bool
    exit_status: int

    def line(self, sender: str, receiver: str) -> LineReport | None:
        """The way from one site to another; None where nothing was told of it."""
        return next((each for each in self.lines if (each.sender, each.receiver) == (sender, receiver)), None)


def report_of(
    real: Federation,
    agreement: Agreement,
    *,
    me: SiteId,
    share_bytes: int,
    ready: Collection[SiteId],
    told: Mapping[SiteId, MeasuredTold],
    findings: Mapping[SiteId, Finding],
) -> Report:
    """Put together what all sites told.

    Args:
        real: the federation.
        agreement: the real one's.
        me: this site.
        share_bytes: length of a share's body.
        ready: sites that turned up.
        told: what sites measured, this one among them.
        findings: about this site's lines that have not come up.
    """
    settings = real.settings
    phases_s = {site: settings.local_steps * each.step_s for site, each in told.items()}
    lines = _lines(told, share_bytes, phases_s)
    machines = {site: Machine(each.step_s, each.between_s) for site, each in told.items()}
    shares_s: dict[Way, float] = {
        (SiteId(line.sender), SiteId(line.receiver)): line.share_s for line in lines if line.share_s is not None
    }
    forecast = estimate(agreement, settings.local_steps, machines, shares_s)
    sites = tuple(_site(site, ready, told, forecast) for site in agreement.topology.sites)
    return Report(
        federation=real.sha256,
        title=settings.title,
        site=me,
        pace=settings.pace,
        rounds=settings.rounds,
        local_steps=settings.local_steps,
        share_bytes=share_bytes,
        sites=sites,
        lines=lines,
        faults=tuple(
            Fault(peer=peer, code=finding.code, found=finding.found, remedy=finding.remedy)
            for peer, finding in sorted(findings.items())
        ),
        run_s=forecast.run_s,
        lacking=forecast.lacking,
        slowest_site=forecast.slowest_site,
        slowest_line=forecast.slowest_way,
        is_held_by_line=forecast.is_held_by_line,
        exit_status=_exit_status(sites, lines),
    )


def _exit_status(sites: tuple[SiteReport, ...], lines: tuple[LineReport, ...]) -> int:
    if any(line.state == "blocked" for line in lines):
        return PeerError.exit_status
    return 0 if all(site.state == "measured" for site in sites) else SOMEBODY_WAS_MISSING


def _lines(
    told: Mapping[SiteId, MeasuredTold], share_bytes: int, phases_s: Mapping[SiteId, float]
) -> tuple[LineReport, ...]:
    return tuple(
        LineReport(
            sender=site,
            receiver=peer,
            **line.model_dump(),
            bytes_per_s=share_bytes / line.share_s if line.share_s else None,
            is_slow=(line.share_s or 0.0) > MOST_IDLE * min(phases_s[site], phases_s.get(SiteId(peer), inf)),
        )
        for site, measured in sorted(told.items())
        for peer, line in sorted(measured.lines.items())
    )


def _site(
    site: SiteId, ready: Collection[SiteId], told: Mapping[SiteId, MeasuredTold], forecast: Estimate
) -> SiteReport:
    if site not in told:
        return SiteReport(site=site, state="silent" if site in ready else "absent")
    of_run = forecast.sites[site]
    return SiteReport(
        site=site,
        state="measured",
        step_s=told[site].step_s,
        local_phase_s=of_run.local_phase_s,
        exchange_s=of_run.exchange_s,
        round_s=of_run.round_s,
        rounds=of_run.rounds,
    )
