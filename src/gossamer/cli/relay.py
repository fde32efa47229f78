"""``gossamer relay``: a place where sites meet that may only dial out; it can read nothing of what they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from signal import Signals

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
    import asyncio
    import signal

    from gossamer.cli.console import Teller
    from gossamer.errors import UsageError
    from gossamer.transport.relay_address import host_and_port
    from gossamer.transport.relay_admission import read_admitted
    from gossamer.transport.relay_service import Relay, RelayLimits, serve

    try:
        host, port = host_and_port(listen)
    except ValueError as error:
        raise UsageError(f"wanted an address to listen on; found {listen!r}, which is none; it {error}") from error
    limits = RelayLimits(pairs=pairs, waiting=2 * pairs, bytes_per_s=rate * 1e6 if rate else None)
    teller = Teller()
    relay = Relay(read_admitted(admit), limits, teller.say)
    signal.raise_signal(asyncio.run(_until_a_signal(serve(relay, host, port, teller.say))))


async def _until_a_signal(work: Coroutine[Any, Any, None]) -> Signals:
    """Do it until a person or a service manager stops it; returns how.

    An exception that a handler raises would end whatever task of asyncio is at work at that moment, and no other.
    """
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    came: list[Signals] = []
    stopped = asyncio.Event()

    def stop(number: Signals) -> None:
        came.append(number)
        stopped.set()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in handled:
        loop.add_signal_handler(number, stop, number)
    working, stopping = asyncio.create_task(work), asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not came:
            await working  # which only an error ends
        return came[0]
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
        for number in handled:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])


@relay_app.command("new-secret")
def new_secret(
    label: Annotated[str, typer.Argument(help="What the relay calls those who have it.", show_default=False)],
) -> None:
    """Print a line for the admission file. What stands in quotes goes to the sites, for their site.toml."""
    from gossamer.transport.relay_admission import admission_line

    typer.echo(admission_line(label))
