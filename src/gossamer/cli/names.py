"""``gossamer names``: the standard names of structures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

names_app = typer.Typer(help="Standard names of structures (AAPM TG-263).", no_args_is_help=True)


@names_app.callback()
def _group() -> None:
    """Standard names of structures (AAPM TG-263)."""


class Region(StrEnum):
    """A part of the body that structures are listed under."""

    HEAD_NECK = "head-neck"
    THORAX = "thorax"
    ABDOMEN = "abdomen"
    PELVIS = "pelvis"
    SPINE = "spine"

    @property
    def listed(self) -> str:
        """As the table of names has it."""
        return self.value.replace("-", " and ")


@names_app.command("list")
def list_names(
    region: Annotated[Region | None, typer.Option("--region", help="Part of the body; else all.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List standard names with their regions, partners and synonyms."""
    from dataclasses import asdict
    from json import dumps

    from rich.table import Table

    from gossamer.cli.console import Teller, results_console
    from gossamer.data.tg263 import SOURCE, STRUCTURES

    wanted = [row for row in STRUCTURES.values() if region is None or row.region == region.listed]
    if json:
        rows = [{**asdict(row), "partner": row.partner} for row in wanted]
        typer.echo(dumps(rows, indent=1, ensure_ascii=False))
        return
    table = Table("structure", "region", "synonyms", "also known as", title="Standard names (AAPM TG-263)")
    for row in wanted:
        if row.side != "R":  # listed with its left partner
            names = f"{row.name}\n{row.partner or ''}".strip()
            table.add_row(names, row.region, str(len(row.synonyms)), ", ".join(row.synonyms))
    results_console().print(table)
    Teller().say(f"{len(wanted)} names. {SOURCE}")


@names_app.command("suggest")
def suggest(
    folder: Annotated[Path, typer.Argument(help="A folder with RT structure sets, searched with its subfolders.")],
    *,
    out: Annotated[Path | None, typer.Option("--out", help="Names file to write; else it is printed.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that read.")] = 2,
) -> None:
    """List all ROI names found, each with the standard name it may mean, as a names file to be confirmed.

    The import refuses the file until somebody has looked at each line and set confirmed = true.
    """
    from gossamer.atomic import write_atomically
    from gossamer.cli.console import Teller
    from gossamer.data.proposals import names_document
    from gossamer.dicom.cases import roi_names
    from gossamer.errors import DatasetError, UsageError

    if out is not None and out.exists():
        raise UsageError("wanted a new names file; found that --out is there already; move it away, or name another")
    with Teller().task("Reading headers", 1.0) as task:
        counts, sets = roi_names(folder, workers, lambda _done, of: task.advance(1 / of))
    if not counts:
        raise DatasetError(f"wanted ROIs with contours; found {sets} structure sets without any; check the folder")
    document = names_document(counts, sets)
    if out is None:
        typer.echo(document, nl=False)
        return
    write_atomically(out, document)
    Teller().say(f"{len(counts)} names of {sets} structure sets: look at each line, then set confirmed = true.")
