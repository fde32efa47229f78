"""``gossamer site``: this hospital's part of a federation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

site_app = typer.Typer(help="This hospital's part of a federation: its key, its certificate.", no_args_is_help=True)

FOLDER = Path("gossamer-site")

INCOMPLETE = 7
"""Exit status of a run that ended, but not with all sites all the time, or before its time."""

Folder = Annotated[Path, typer.Option("--folder", help="The site's folder; it never leaves the hospital.")]


@site_app.command()
def init(
    name: Annotated[str, typer.Option(help="What the others call this site.", show_default=False)],
    data: Annotated[Path, typer.Option(help="Its dataset folder.", show_default=False)],
    address: Annotated[
        str | None, typer.Option(help="host:port where the others reach it; without one it only dials out.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(help="address:port to listen on; by default all of this machine, at the same port.")
    ] = None,
    folder: Folder = FOLDER,
) -> None:
    """Make a site: its key, its certificates, and a card for the others."""
    from gossamer.documents import validate
    from gossamer.runtime.site_folder import CARD, SiteSettings, init_site

    if address and not listen:
        listen = f"[::]:{address.rpartition(':')[2]}"
    values = {"name": name, "data": str(data.resolve()), "listen": listen, "address": address}
    site = init_site(folder, validate(values, SiteSettings, "the new site"))
    _show_id(site.identity.site_id)
    typer.echo(
        f"{folder / CARD}: give it to whoever keeps the federation file, and read the site id to them over the phone.\n"
        f"Everything else in {folder} stays here; keep a backup of identity.key and identity.pem.",
        err=True,
    )


@site_app.command()
def renew(folder: Folder = FOLDER) -> None:
    """Make a new certificate for connections: same site id, no new approval, no stop."""
    from gossamer.runtime.site_folder import SiteFolder

    tls = SiteFolder(folder).renew()
    typer.echo(f"The new certificate is good until {tls.ends:%Y-%m-%d}.", err=True)


@site_app.command()
def run(
    federation: Annotated[Path, typer.Argument(help="The federation file that was approved.", show_default=False)],
    folder: Folder = FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON instead of a table.")] = False,
) -> None:
    """Join, train, gossip, and end with the model and all sites' results. Stopped, the same command goes on."""
    from gossamer.cli.console import Teller, results_console
    from gossamer.cli.site_table import results_table, what_was_cut_short, who_was_missing
    from gossamer.cli.stopping import run_until_stopped
    from gossamer.runtime.federation_file import read_federation
    from gossamer.runtime.handshakes import failed_handshakes
    from gossamer.runtime.site_folder import SiteFolder
    from gossamer.runtime.site_run import SiteRun

    teller = Teller()
    site = SiteFolder(folder)
    if warning := site.expiry():
        teller.say(warning)
    site_run = SiteRun(site, read_federation(federation), teller)
    with failed_handshakes(site_run.note_failed_handshake):
        results = run_until_stopped(site_run.run())
    if as_json:
        typer.echo(results.model_dump_json(indent=1))
    else:
        results_console().print(results_table(results))
    typer.echo(f"{site_run.model}: the model. Next: gossamer predict --help", err=True)
    if results.absent or results.away:
        typer.echo(f"Not all sites were there all the time: {who_was_missing(results)}.", err=True)
    if short := what_was_cut_short(results):
        typer.echo(f"The run ended early: {short}.", err=True)
    if results.absent or results.away or short:
        raise typer.Exit(INCOMPLETE)


@site_app.command()
def status(
    folder: Folder = FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show how the running site gets on, and what it knows of each peer."""
    from rich.console import Console

    from gossamer.cli.site_table import status_table
    from gossamer.errors import StatusError
    from gossamer.runtime.site_folder import SiteFolder
    from gossamer.runtime.status_endpoint import ask_status

    site = SiteFolder(folder)
    found = ask_status(site.settings.status)
    if found.site_id != site.identity.site_id:
        raise StatusError(
            f"wanted the status of site {site.settings.name}; found site {found.site} at {site.settings.status}; give "
            "each site of a machine its own 'status' in site.toml"
        )
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        Console().print(status_table(found))


@site_app.command("id")
def show_id(folder: Folder = FOLDER) -> None:
    """Print the site id, to be compared over the phone, and say when the certificate ends."""
    from gossamer.runtime.site_folder import SiteFolder

    site = SiteFolder(folder)
    _show_id(site.identity.site_id)
    typer.echo(site.expiry() or f"The certificate is good until {site.tls.ends:%Y-%m-%d}.", err=True)


def _show_id(site_id: str) -> None:
    from gossamer.transport.identity import spoken

    typer.echo(spoken(site_id))
