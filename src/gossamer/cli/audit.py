"""``gossamer audit``: what this site did and refused, and whether anybody changed that since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gossamer.cli.site import FOLDER, Folder

if TYPE_CHECKING:
    from gossamer.runtime.audit_chain import Record

audit_app = typer.Typer(help="What this site did and refused, in a log that shows changes.", no_args_is_help=True)


@audit_app.command()
def verify(
    folder: Folder = FOLDER,
    head: Annotated[
        str | None, typer.Option(help="A head of earlier, as this command showed it: finds an end cut off since.")
    ] = None,
) -> None:
    """Check the log from its first line to the last, and show its head."""
    from gossamer.runtime.audit import verify_audit
    from gossamer.runtime.audit_chain import Head

    verdict = verify_audit(folder, Head.parse(head) if head else None)
    typer.echo(str(verdict.head))
    typer.echo(
        f"Sound: {verdict.head.count} records, the first {verdict.signed} of them under this site's signature. Keep "
        "the head above where nobody here can change it: only with it is an end found that was cut off.",
        err=True,
    )


@audit_app.command()
def show(
    folder: Folder = FOLDER,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the records; of a damaged log those before the damage."""
    from gossamer.errors import StorageError
    from gossamer.runtime.audit import records_of

    records: list[Record] = []
    damage: StorageError | None = None
    try:
        for record in records_of(folder):
            records.append(record)
    except StorageError as error:
        damage = error
    _show_json(records) if json else _show_table(records)
    if damage:
        raise damage


def _show_json(records: list[Record]) -> None:
    from json import dumps

    typer.echo(dumps([record.plain() for record in records], indent=1))


def _show_table(records: list[Record]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("record", "time (UTC)", "kind", "what", title="Audit log")
    for record in records:
        fields = ", ".join(f"{name} {value}" for name, value in record.entry.model_dump().items())
        what = Text(fields)  # not markup: peers have words in it
        table.add_row(str(record.number), record.at, record.entry.kind, what)
    Console().print(table)
