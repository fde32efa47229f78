"""``gossamer names``: the standard names of structures."""

from __future__ import annotations

from typing import Annotated

import typer

names_app = typer.Typer(help="Standard names of structures (AAPM TG-263).", no_args_is_help=True)


@names_app.callback()
def _group() -> None:
    """Standard names of structures (AAPM TG-263)."""


@names_app.command("list")
def list_names(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List all standard names with their regions, partners and synonyms."""
    from dataclasses import asdict
    from json import dumps

    from rich.console import Console
    from rich.table import Table

    from gossamer.data.tg263 import STRUCTURES

    if json:
        rows = [{**asdict(row), "partner": row.partner} for row in STRUCTURES.values()]
        typer.echo(dumps(rows, indent=1, ensure_ascii=False))
        return
    table = Table("structure", "region", "also known as", title="Standard names (AAPM TG-263)")
    for row in STRUCTURES.values():
        if row.side != "R":  # listed with its left partner
            table.add_row(f"{row.name}\n{row.partner or ''}".strip(), row.region, ", ".join(row.synonyms))
    Console().print(table)
