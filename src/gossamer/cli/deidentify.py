"""``gossamer deidentify``: CT, structure sets and doses to give away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gossamer.dicom.deidentify.folder import DeidentifiedFolder

HEADERS_SHARE = 0.1
"""Of the time, about."""


def deidentify(
    folder: Annotated[Path, typer.Argument(help="A folder with DICOM files, searched with its subfolders.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="Where a folder a patient goes; apart from the other.")],
    names: Annotated[
        Path | None, typer.Option("--names", help="Names file, as for gossamer import dicom: which ROIs stay.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Secret key of the pseudonyms, made if absent; else OUT.key.")
    ] = None,
    shift_dates: Annotated[
        bool, typer.Option("--shift-dates", help="Move a patient's dates back by 1 to 3,653 days; else they go.")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that read.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Copy CT, RT structure sets and RT doses without what tells whose they are (DICOM PS3.15 Basic Profile).

    Names, numbers, dates, texts and private elements go; patients and UIDs get others, by a key that you keep, so that
    files still refer to each other. ROIs stay that have a standard name, or one that a names file gives them. The
    originals are only read. A head CT still shows the face.
    """
    from json import dumps

    from gossamer.cli.console import Teller
    from gossamer.data.importers.naming import NamesFile, read_names_file
    from gossamer.dicom.deidentify.folder import check_apart, deidentify_folder
    from gossamer.dicom.deidentify.objects import Treatment
    from gossamer.dicom.deidentify.pseudonyms import Pseudonyms
    from gossamer.errors import UnreadableImageError, UsageError

    own = NamesFile() if names is None else read_names_file(names)
    check_apart(folder, out)
    key = key or out.with_name(f"{out.name}.key")
    if key.resolve().is_relative_to(out.resolve()):
        raise UsageError(
            "wanted a key that stays here; found --key inside --out, which is given away; keep it elsewhere"
        )
    out.mkdir(parents=True, exist_ok=True)
    treatment = Treatment(Pseudonyms.kept_in(key), own.names, shift_dates)
    teller = Teller()
    if own.derived:
        teller.say(
            f"{len(own.derived)} structures that the names file derives are not drawn here: an import of what is given "
            "derives them from ROIs that stay, by their standard names."
        )
    with teller.task("De-identifying", 1.0) as task:
        found = deidentify_folder(
            folder,
            out,
            treatment,
            workers=workers,
            on_file=lambda _done, of: task.advance(HEADERS_SHARE / of),
            on_patient=lambda _done, of: task.advance((1 - HEADERS_SHARE) / of),
        )
    if json:
        typer.echo(dumps(_summary(found), indent=1))
    else:
        _show(found)
    teller.say("Pixels are as they were scanned: a head CT shows the face. Keep the key; do not give it away.")
    if found.failed:
        raise UnreadableImageError(
            f"wanted something of each patient; found {len(found.failed)} of "
            f"{len(found.failed) + len(found.patients)} of whom nothing can be given away:\n"
            + "\n".join(f"  {patient}: {reason}" for patient, reason in found.failed.items())
        )


def _show(found: DeidentifiedFolder) -> None:
    from rich.table import Table

    from gossamer.cli.console import results_console
    from gossamer.dicom.deidentify.objects import KINDS

    console = results_console()
    grid = Table("patient", *KINDS.values(), "ROIs that stay", "ROIs removed", "left out")
    for patient in found.patients:
        grid.add_row(
            patient.patient,
            *(str(patient.written.get(kind, 0)) for kind in KINDS.values()),
            ", ".join(patient.rois),
            str(patient.removed_rois),
            "\n".join(f"{count}: {reason}" for reason, count in patient.left_out.items()),
        )
    console.print(grid)
    for kind, count in found.other_kinds.items():
        console.print(f"Left out, of another kind: {kind}: {count}", markup=False, soft_wrap=True)
    for message in found.unreadable:
        console.print(f"Left out: {message}", markup=False, soft_wrap=True)
    for what, count in (("not DICOM", found.not_dicom), ("equal to another, which is taken", found.repeated)):
        if count:
            console.print(f"Left out, {what}: {count}", soft_wrap=True)
    if found.kept:
        console.print(f"Kept as a former run had made them: {found.kept}", soft_wrap=True)


def _summary(found: DeidentifiedFolder) -> dict[str, Any]:
    return {
        "patients": [patient.model_dump(exclude={"made_from"}) for patient in found.patients],
        "failed": dict(found.failed),
        "other_kinds": dict(found.other_kinds),
        "unreadable": list(found.unreadable),
        "not_dicom": found.not_dicom,
        "repeated": found.repeated,
        "kept": found.kept,
        "written": len(found.patients) - found.kept,
    }
