"""``gossamer check``: what would keep this site from taking part in a federation, before a night is wasted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gossamer.cli.site import FOLDER, Folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from gossamer.runtime.preflight import Finding

COLUMNS = 110
"""In a file or a pipe: lines wrap, and a table stays one that people can read."""

COLOURS = {"ok": "green", "warning": "yellow", "fault": "bold red"}


def check(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FED.toml]",
            help="The federation file; without one, neither approval nor peers are looked at.",
            show_default=False,
        ),
    ] = None,
    folder: Folder = FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Look at keys, machine, data and peers of this site; ends within five minutes.

    The exit status is 0 where nothing is at fault. Nothing is changed, here or at a peer.
    """
    from gossamer.cli.console import Teller, results_console
    from gossamer.runtime.preflight import check_site, exit_status

    teller = Teller()
    findings = check_site(folder, file, teller)
    status = exit_status(findings)
    if as_json:
        _print_json(findings, status)
    else:
        results_console(COLUMNS).print(_table(findings))
    faults, warnings = (sum(each.state == state for each in findings) for state in ("fault", "warning"))
    counted = f"{len(findings)} findings, {warnings} warnings, {faults} faults"
    teller.say(f"{counted}. Each code has a page in docs/reference/errors.")
    raise typer.Exit(status)


def _print_json(findings: Sequence[Finding], status: int) -> None:
    from dataclasses import asdict
    from json import dumps

    result = {"exit_status": status, "findings": [asdict(finding) for finding in findings]}
    typer.echo(dumps(result, indent=1, ensure_ascii=False))


def _table(findings: Sequence[Finding]) -> Table:
    """What was found, and below it what to do: so it is readable on 80 columns.

    Cells are plain text: what a stranger's certificate says must not be taken for markup.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table("check", "state", "found → what to do", "code", box=SIMPLE_HEAD, pad_edge=False)
    for each in findings:
        state = Text(each.state, style=COLOURS[each.state])
        words = Text(each.found)
        if each.remedy:
            words.append(f"\n→ {each.remedy}", style="bold")
        table.add_row(Text(f"{each.check} {each.subject}".strip()), state, words, Text(each.code))
    return table
