"""``gossamer relay``: a place where sites meet that may only dial out; it can read nothing of what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

relay_app = typer.Typer(
    help="A blind relay: joins sites that may only dial out, and can read nothing.", no_args_is_help=True
)


@relay_app.command()
def run(
    listen: Annotated[str, typer.Option(help="address:port to listen on, such as [::]:7490.", show_default=False)],
    admit: Annotated[
        Path, typer.Option(help="File of the secrets by which sites are let in (TOML).", show_default=False)
    ],
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of sites that are joined at a time, at most.")] = 32,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="MB/s of each pair, at most; as fast as it goes without.")
    ] = None,
) -> None:
    """Join sites until it is stopped. Needs no key, keeps nothing, and says no more than counts."""
    from gossamer.cli.console import Teller
    from gossamer.cli.stopping import run_until_stopped
    from gossamer.errors import UsageError
    from gossamer.transport.relay_address import host_and_port
    from gossamer.transport.relay_admission import read_admitted
    from gossamer.transport.relay_limits import RelayLimits
    from gossamer.transport.relay_service import Relay, serve

    try:
        host, port = host_and_port(listen)
    except ValueError as error:
        raise UsageError(f"wanted an address to listen on; found {listen!r}, which is none; it {error}") from error
    limits = RelayLimits(pairs=pairs, waiting=2 * pairs, bytes_per_s=rate * 1e6 if rate else None)
    teller = Teller()
    relay = Relay(read_admitted(admit), limits, teller.say)
    run_until_stopped(serve(relay, host, port, teller.say))


@relay_app.command("new-secret")
def new_secret(
    label: Annotated[str, typer.Argument(help="What the relay calls those who have it.", show_default=False)],
) -> None:
    """Print a line for the admission file. What stands in quotes goes to the sites, for their site.toml."""
    from gossamer.transport.relay_admission import admission_line

    typer.echo(admission_line(label))
