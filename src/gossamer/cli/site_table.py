"""The tables of a site on a terminal: how it gets on, and what its run ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from gossamer.runtime.site_folder import expiry_of
from gossamer.runtime.status import PeerStatus, SiteStatus, ago
from gossamer.study.numerals import megabytes

if TYPE_CHECKING:
    from gossamer.runtime.site_results import FederationResults, OrganResult, ResultNotice

ABSENT = "absent"
REFUSED = "refused"
NO_PATIENT = "–"


def status_table(status: SiteStatus) -> Table:
    """How a site gets on and what it knows of its peers, for ``rich`` to print."""
    table = Table(box=None, pad_edge=False, title=_headline(status), title_justify="left", title_style="bold")
    for heading in ("peer", "line", "since", "agreed", "round", "last heard", "taken in", "sent", "received"):
        table.add_column(heading, justify="left" if heading in {"peer", "line"} else "right", no_wrap=True)
    for peer in status.peers:
        agreed = "has the model" if peer.finished else "yes" if peer.agreed else "joined" if peer.joined else "no"
        table.add_row(
            Text(peer.site),
            _line(peer),
            ago(peer.since),
            agreed,
            "–" if peer.round_index is None else str(peer.round_index + 1),
            ago(peer.heard),
            str(peer.shares),
            megabytes(peer.bytes_sent),
            megabytes(peer.bytes_received),
        )
    notes = [f"{peer.site} ({peer.refusal_code}): {peer.refusal}" for peer in status.peers if peer.refusal]
    if warning := expiry_of(status.certificate_ends, status.at):
        notes.append(warning)
    table.caption = "\n".join(notes) or None
    table.caption_justify = "left"
    return table


def _line(peer: PeerStatus) -> str:
    if peer.reachable:
        return "up"
    return f"down, {peer.refusal_code}" if peer.refusal else "down"


def _headline(status: SiteStatus) -> str:
    words = [f"site {status.site}: {status.stage}, round {status.round_index + 1} of {status.rounds}"]
    if status.phase_s:
        words.append(f"a local phase takes {status.phase_s:.0f} s, loss {status.loss:.3f}")
    if status.waits_for:
        words.append(f"waits for {', '.join(status.waits_for)}")
    if status.refusals:
        words.append(f"refused {sum(status.refusals.values())} messages")
    return "; ".join(words)


def results_table(results: FederationResults) -> Table:
    """DSC by site and organ, with the number of patients, for ``rich`` to print."""
    organs = list(dict.fromkeys(organ.organ for site in results.sites for organ in _organs(site.result)))
    table = Table(box=None, pad_edge=False, title="DSC (patients)", title_justify="left", title_style="bold")
    table.add_column("site")
    table.add_column("cases", justify="right")
    table.add_column("phases", justify="right")
    for organ in organs:
        table.add_column(Text(organ), justify="right", no_wrap=True)
    for site in results.sites:
        cells = [_cell(site.result, organ) for organ in organs]
        told = (str(site.result.cases), str(site.result.rounds)) if site.result else (ABSENT, ABSENT)
        table.add_row(Text(site.site), *told, *cells)
    if missing := who_was_missing(results):
        table.title = f"{table.title}; {missing}"
    table.caption = (
        "cases: training cases that the site gave; phases: local phases it did; refused: what its policy keeps back"
    )
    table.caption_justify = "left"
    return table


def who_was_missing(results: FederationResults) -> str:
    """Sites that told no result, and those that were away for longer than news take."""
    words = [f"{site} told no result" for site in results.absent]
    words += [f"{site} was away for {rounds} rounds" for site, rounds in results.away.items()]
    return "; ".join(words)


def what_was_cut_short(results: FederationResults) -> str:
    """Whether the run ended before its time; empty where it did not."""
    if not (missing := results.phases_missing):
        return ""
    agreed = results.rounds * len(results.sites)
    return (
        f"wanted {agreed} local phases of all sites together; found {agreed - missing} by their own counts: a site "
        "told of more than it did, or one was set back to a backup; the model is trained less than was agreed"
    )


def _organs(result: ResultNotice | None) -> tuple[OrganResult, ...]:
    return result.organs if result else ()


def _cell(result: ResultNotice | None, organ: str) -> str:
    if result is None:
        return ABSENT
    if result.refused:
        return REFUSED
    found = next((each for each in result.organs if each.organ == organ), None)
    if found is None or found.patients == 0:
        return NO_PATIENT
    return REFUSED if found.patients is None or found.dsc is None else f"{found.dsc:.3f} ({found.patients})"
