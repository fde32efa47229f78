"""``gossamer federation``: the file that all sites agree on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gossamer.cli.site import FOLDER, Folder

if TYPE_CHECKING:
    from gossamer.runtime.federation_file import Federation

federation_app = typer.Typer(help="The file that all sites of a federation agree on.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="The federation file (TOML).", show_default=False)]


@federation_app.command()
def new(
    file: File,
    title: Annotated[str, typer.Option(help="What the federation is called.")] = "A federation",
    structures: Annotated[
        str, typer.Option(help="TG-263 names, with commas between.")
    ] = "Brainstem,SpinalCord,Parotid_L,Parotid_R,Bone_Mandible",
    rounds: Annotated[int, typer.Option(min=1, help="Local phases of each site.")] = 100,
    local_steps: Annotated[int, typer.Option(min=1, help="Optimiser steps of a local phase.")] = 20,
) -> None:
    """Write a commented federation file, still without sites."""
    from gossamer.data.labels import standard_name
    from gossamer.runtime.federation_file import new_federation

    names = tuple(standard_name(name.strip()) for name in structures.split(",") if name.strip())
    new_federation(file, title, names, rounds=rounds, local_steps=local_steps)
    typer.echo(f"{file}: add each site's card with: gossamer federation add-site {file} CARD", err=True)


@federation_app.command("add-site")
def add_site(
    file: File, card: Annotated[Path, typer.Argument(help="The site's card.toml.", show_default=False)]
) -> None:
    """Add a site by its card. The file is another one then: every site approves it anew."""
    from gossamer.runtime import federation_file
    from gossamer.runtime.card import read_card

    _show(federation_file.add_site(file, read_card(card)))


@federation_app.command()
def show(file: File) -> None:
    """Show the sites with their ids, to be compared over the phone, and the hash that all must see alike."""
    from gossamer.runtime.federation_file import read_federation

    _show(read_federation(file))


@federation_app.command()
def approve(file: File, folder: Folder = FOLDER) -> None:
    """Approve a federation file for this site: these bytes and no others."""
    from gossamer.runtime.federation_file import read_federation
    from gossamer.runtime.site_folder import SiteFolder

    federation = read_federation(file)
    member = SiteFolder(folder).approve(federation)
    _show(federation)
    typer.echo(f"Approved as site {member.name}. Compare the ids with the other sites over the phone.", err=True)


@federation_app.command()
def rehearse(
    file: File,
    folder: Folder = FOLDER,
    wait: Annotated[float, typer.Option(min=0.0, help="Minutes that the other sites are waited for.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Try the real sites and lines with synthetic patients: which line is blocked or slow, how long a run will take.

    All sites type it at an agreed time, before the run. It ends by itself. The exit status is 0 where all is well, 5
    where a line is blocked, 7 where a site did not turn up.
    """
    from gossamer.cli.console import Teller, results_console
    from gossamer.cli.rehearsal_table import lines_table, machines_table, words
    from gossamer.cli.stopping import run_until_stopped
    from gossamer.runtime.federation_file import read_federation
    from gossamer.runtime.rehearsal import Rehearsal
    from gossamer.runtime.site_folder import SiteFolder

    teller = Teller()
    site = SiteFolder(folder)
    if warning := site.expiry():
        teller.say(warning)
    report = run_until_stopped(Rehearsal(site, read_federation(file), teller, wait_s=60 * wait).run())
    if as_json:
        typer.echo(report.model_dump_json(indent=1))
    else:
        console = results_console()
        console.print(lines_table(report), machines_table(report))
        for line in words(report):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(report.exit_status)


def _show(federation: Federation) -> None:
    from rich.console import Console
    from rich.table import Table

    from gossamer.transport.identity import spoken

    table = Table("site", "address", "site id", title=federation.settings.title)
    for member in federation.settings.sites:
        groups = spoken(member.site_id).split()
        lines = "\n".join(" ".join(groups[at : at + 8]) for at in (0, 8))
        table.add_row(member.name, member.address or "dials out", lines)
    Console().print(table)
    typer.echo(f"federation file: {federation.sha256}", err=True)
