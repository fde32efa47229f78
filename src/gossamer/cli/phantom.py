"""``gossamer phantom``: synthetic patients of four hospitals, as dataset folders."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class RegionName(StrEnum):
    """A part of the body."""

    ABDOMEN = "abdomen"
    HEAD_NECK = "head-neck"


class FormName(StrEnum):
    """What is written."""

    NIFTI = "nifti"
    DICOM = "dicom"


def phantom(
    *,
    out: Annotated[Path, typer.Option("--out", "-o", file_okay=False, help="Folder; gets one dataset a hospital.")],
    region: Annotated[RegionName, typer.Option(help="What is drawn.")] = RegionName.ABDOMEN,
    patients: Annotated[int, typer.Option(min=1, help="Patients of each hospital.")] = 12,
    val: Annotated[int, typer.Option(min=0, help="How many of them are for validation.")] = 2,
    test: Annotated[int, typer.Option(min=0, help="How many of them are for the test.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other patients.")] = 0,
    form: Annotated[
        FormName,
        typer.Option("--format", help="Datasets, or what the hospitals would export: CT series and RT structure sets."),
    ] = FormName.NIFTI,
) -> None:
    """Draw synthetic patients of four hospitals; nothing in them is real.

    As DICOM each hospital has names of its own for its organs, to be imported by gossamer names suggest and gossamer
    import dicom; --val and --test are the import's business then.
    """
    from gossamer.cli.console import Teller
    from gossamer.data.phantom import HOSPITALS, write_cohort
    from gossamer.errors import UsageError

    if form is FormName.DICOM:
        from gossamer.dicom.phantom_export import export_cohort

        with Teller().task("drawing patients", len(HOSPITALS) * patients) as task:
            homes = export_cohort(
                out, region=region.value, patients=patients, seed=seed, on_patient=lambda: task.advance(1)
            )
        for home in homes:
            typer.echo(home)
        return
    train = patients - val - test
    if train < 1:
        raise UsageError(
            f"wanted patients to train on; found {patients} patients, {val} for validation and {test} for the test; "
            "raise --patients"
        )
    with Teller().task("drawing patients", len(HOSPITALS) * patients) as task:
        folders = write_cohort(
            out,
            region=region.value,
            train=train,
            val=val,
            test=test,
            seed=seed,
            on_patient=lambda: task.advance(1),
        )
    for folder in folders:
        typer.echo(folder)
