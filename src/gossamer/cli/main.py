"""The ``gossamer`` command: nouns, then verbs; each command in a file of its own.

Only typer is imported before a command is known, so that ``gossamer --help`` answers at once. Results go to
stdout, progress and words to stderr. The exit status tells classes of errors apart (``gossamer.errors``).
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

import typer

from gossamer import __version__
from gossamer.cli.audit import audit_app
from gossamer.cli.check import check
from gossamer.cli.deidentify import deidentify
from gossamer.cli.demo import demo
from gossamer.cli.evaluate import evaluate
from gossamer.cli.federation import federation_app
from gossamer.cli.import_ import import_app
from gossamer.cli.names import names_app
from gossamer.cli.pacs import pacs_app
from gossamer.cli.phantom import phantom
from gossamer.cli.predict import predict
from gossamer.cli.qa import qa
from gossamer.cli.relay import relay_app
from gossamer.cli.site import site_app
from gossamer.cli.study import study_app
from gossamer.cli.who import who
from gossamer.errors import GossamerError

EXIT_SIGNAL = 128
"""A command that a signal ended has this plus its number as status, as shells have it."""

app = typer.Typer(
    name="gossamer",
    help="Hospitals train one organ-segmentation model together, by gossip, without a server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(demo)
app.add_typer(study_app, name="study")
app.add_typer(import_app, name="import")
app.command()(qa)
app.command()(deidentify)
app.command()(predict)
app.command()(who)
app.command()(evaluate)
app.command()(phantom)
app.add_typer(names_app, name="names")
app.add_typer(pacs_app, name="pacs")
app.command()(check)
app.add_typer(site_app, name="site")
app.add_typer(federation_app, name="federation")
app.add_typer(audit_app, name="audit")
app.add_typer(relay_app, name="relay")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gossamer {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", help="Show the version and exit.", callback=_show_version),
) -> None:
    """Hospitals train one organ-segmentation model together, by gossip, without a server."""


class _Interrupted(BaseException):
    """Ctrl-C, or a service manager that stops it.

    Not a KeyboardInterrupt, which typer swallows: some releases without a word, some with another status.
    """


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise _Interrupted(number)


def main() -> None:
    """Run the command line; an error on purpose ends as one message and its exit status."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the shell wants it ignored
        signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except GossamerError as error:
        typer.echo(f"{error.code}: {error}", err=True)
        sys.exit(error.exit_status)
    except _Interrupted as interruption:
        typer.echo("Stopped. The same command again goes on from here.", err=True)
        [number] = interruption.args
        sys.exit(EXIT_SIGNAL + number)
