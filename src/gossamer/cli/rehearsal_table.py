"""What a rehearsal ends with, on a terminal: this site's lines, all machines, and what holds the run up."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gossamer.runtime.rehearsal import Report
from gossamer.runtime.rehearsal.report import LineReport, SiteReport
from gossamer.study.numerals import ABSENT, duration, megabytes

STATES = {"up": "reachable", "slow": "slow", "blocked": "blocked", "absent": "did not turn up"}
COLOURS = {"up": "green", "slow": "yellow", "blocked": "bold red", "absent": "bold yellow"}

AS_DECIMALS_S = 10.0


def lines_table(report: Report) -> Table:
    """This site's line to each peer; below, what is wrong and what to do, so that it is readable on 80 columns."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"Lines of site {report.site}", title_justify="left")
    for heading in ("peer", "line", "round trip", "share out", "share in", "out", "in"):
        table.add_column(heading, justify="left" if heading in {"peer", "line"} else "right", no_wrap=True)
    for site in report.sites:
        if site.site != report.site and (out := report.line(report.site, site.site)):
            back = report.line(site.site, report.site)
            table.add_row(
                Text(site.site),
                _state(out, back),
                _seconds(out.round_trip_s),
                _share(out),
                _share(back),
                _speed(out),
                _speed(back),
            )
    return table


def _state(out: LineReport, back: LineReport | None) -> Text:
    is_slow = out.is_slow or (back is not None and back.is_slow)
    state = "slow" if out.state == "up" and is_slow else out.state
    return Text(STATES[state], style=COLOURS[state])


def machines_table(report: Report) -> Table:
    """What each machine needs, and what the real run will take there."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="The real run, by these figures", title_justify="left")
    for heading in ("site", "step", "local phase", "exchange", "round", "rounds"):
        table.add_column(heading, justify="left" if heading == "site" else "right", no_wrap=True)
    for site in report.sites:
        table.add_row(Text(site.site), *_figures(site))
    return table


def _figures(site: SiteReport) -> tuple[str, ...]:
    if site.state != "measured":
        return ("did not turn up" if site.state == "absent" else "told nothing", *[ABSENT] * 4)
    times = (site.step_s, site.local_phase_s, site.exchange_s, site.round_s)
    return (*(_seconds(each) for each in times), ABSENT if site.rounds is None else f"{site.rounds:,.0f}")


def words(report: Report) -> Iterator[str]:
    """What the tables come to, a line each."""
    for fault in report.faults:
        yield f"{fault.code}: site {fault.peer}: {fault.found}\n→ {fault.remedy}"
    for line in report.lines:
        if line.state == "blocked" and line.sender != report.site:
            yield f"{line.code}: blocked from {line.sender} to {line.receiver}: what to do stands at site {line.sender}"
    if any(line.is_slow for line in report.lines):
        meaning = "every round waits for it" if report.pace == "lockstep" else "a site does not wait for it so long"
        yield f"slow: a share takes more than a tenth of a local phase; {meaning}"
    for site in report.sites:
        if site.state == "silent":
            yield f"site {site.site} turned up, and told nothing of what it measured: look at what it says there"
    yield from _slowest(report)
    yield _whole(report)


def _slowest(report: Report) -> Iterator[str]:
    if report.slowest_site is not None:
        of_site = next(site for site in report.sites if site.site == report.slowest_site)
        phase = _seconds(of_site.local_phase_s)
        yield _held(f"Slowest machine: site {of_site.site}, {phase} a local phase.", not report.is_held_by_line)
    if report.slowest_line is not None:
        sender, receiver = report.slowest_line
        line = report.line(sender, receiver)
        said = f"Slowest line: from {sender} to {receiver}, {_share(line)} a share, {_speed(line)}."
        yield _held(said, report.is_held_by_line)


def _held(said: str, is_bottleneck: bool) -> str:
    return f"{said} This holds the run up most." if is_bottleneck else said


def _whole(report: Report) -> str:
    run = f"{report.rounds:,} rounds of {report.local_steps:,} steps, pace {report.pace}"
    if report.lacking:
        pairs = ", ".join(f"{sender} to {receiver}" for sender, receiver in report.lacking)
        return f"The whole run ({run}) would wait for ever: it needs a line from {pairs}."
    if report.run_s is None:
        return f"The whole run ({run}): not known, for nobody was measured."
    return (
        f"The whole run ({run}): about {duration(report.run_s)}, with shares of {megabytes(report.share_bytes)}; "
        "before it the cases are read and prepared, after it the model is scored."
    )


def _share(line: LineReport | None) -> str:
    if line is None or line.share_s is None:
        return ABSENT
    return _seconds(line.share_s) if line.is_whole else f"~ {_seconds(line.share_s)}"


def _speed(line: LineReport | None) -> str:
    if line is None or line.bytes_per_s is None:
        return ABSENT
    per_s = line.bytes_per_s / 1e6
    return f"{per_s:.2g} MB/s" if per_s < AS_DECIMALS_S else f"{per_s:,.0f} MB/s"


def _seconds(seconds: float | None) -> str:
    """A time from milliseconds to hours."""
    if seconds is None:
        return ABSENT
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < AS_DECIMALS_S else duration(seconds)
