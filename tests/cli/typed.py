"""Commands as a user types them, in this process."""

import typer
from typer.testing import CliRunner


def typed(command):
    """Runs a command, or a group of them, with arguments of any type."""
    app = command
    if not isinstance(command, typer.Typer):
        app = typer.Typer()
        app.command()(command)

    def run(*arguments, **settings):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], **settings)

    return run
