"""``gossamer who``: what drew a structure set or segmentation."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typer


def who(
    file: Path = typer.Argument(..., exists=True, dir_okay=False, help="A structure set (RTSTRUCT) or segmentation."),
    as_json: bool = typer.Option(False, "--json", help="Print the answer as JSON."),
) -> None:
    """Say what drew a structure set or segmentation: software, version, model and federation.

    Exit status 0 if Gossamer wrote it, 1 if something else did, 3 if it is no DICOM file.
    """
    from gossamer.data.foreign_files import read_apart
    from gossamer.dicom.outgoing.made_by import read_made_by

    made_by = read_apart(read_made_by, file, [file], "a structure set or segmentation")
    if as_json:
        typer.echo(json.dumps({"gossamer": made_by is not None, **(asdict(made_by) if made_by else {})}, indent=2))
    elif made_by:
        typer.echo(f"software\t{made_by.software}\nversion\t{made_by.version}\nmodel\t{made_by.model_hash}")
        typer.echo(f"federation\t{made_by.federation or 'not stated'}")
    else:
        typer.echo("not written by Gossamer")
    if made_by is None:
        raise typer.Exit(1)
