"""``gossamer import``: other layouts of CT and contours to one dataset folder a site."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gossamer.cli.import_table import Report
    from gossamer.data.importers.source import CaseSource

import_app = typer.Typer(
    help="Turn CT and contours in other layouts into one dataset folder a site. "
    "An interrupted import goes on when run again.",
    no_args_is_help=True,
)

Out = Annotated[
    Path, typer.Option("--out", help="Folder of the datasets; each goes into a folder named after its site.")
]
Folder = Annotated[Path, typer.Argument(help="The folder to import.")]
Site = Annotated[str, typer.Option("--site", help="The hospital the cases come from.")]
Names = Annotated[
    Path | None, typer.Option("--names", help='TOML file whose table \'names\' has "own name" = "standard name".')
]
SkipUnknown = Annotated[bool, typer.Option("--skip-unknown", help="Leave out structures without a standard name.")]
ValFraction = Annotated[
    float, typer.Option("--val-fraction", min=0.0, max=0.9, help="Share of the training cases that validates.")
]
Seed = Annotated[int, typer.Option("--seed", help="Of the draw of the validation cases.")]
ScoreCut = Annotated[
    bool, typer.Option("--score-cut", help="Score organs that reach the first or last slice, too (they may be cut).")
]
Public = Annotated[bool, typer.Option("--public", help="The images are public: reports may show them.")]
MaxSetAside = Annotated[
    float, typer.Option("--max-set-aside", min=0.0, max=1.0, help="Share of a site's cases that may be bad.")
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes that read.")]
Json = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


@import_app.command()
def table(
    index: Annotated[Path, typer.Argument(help="CSV: id, site, split, image, labelmap, annotated, complete.")],
    *,
    labels: Annotated[Path, typer.Option("--labels", help='JSON of structures by value: {"1": "Brainstem"}.')],
    out: Out,
    names: Names = None,
    public: Public = False,
    max_set_aside: MaxSetAside = 0.05,
    workers: Workers = 2,
    json: Json = False,
) -> None:
    """Import images and label maps listed in a table; what was drawn is said per patient."""
    from gossamer.cli.console import Teller
    from gossamer.data.importers.table import table_cases

    cases, ignored = table_cases(index, labels, _own_names(names))
    if ignored:
        Teller().say(f"Columns not used: {', '.join(ignored)}.")
    _import(cases, out, public=public, max_set_aside=max_set_aside, workers=workers, json=json)


def _whole_set(layout: str, purpose: str) -> None:
    """Register the command of a layout whose labels hold for all cases; they differ in the reader only."""

    def command(
        folder: Folder,
        *,
        out: Out,
        site: Site = layout,
        names: Names = None,
        skip_unknown: SkipUnknown = False,
        val_fraction: ValFraction = 0.2,
        seed: Seed = 0,
        score_cut: ScoreCut = False,
        public: Public = False,
        max_set_aside: MaxSetAside = 0.05,
        workers: Workers = 2,
        json: Json = False,
    ) -> None:
        from gossamer.data.importers.msd import msd_cases
        from gossamer.data.importers.nnunet import nnunet_cases
        from gossamer.data.importers.totalsegmentator import totalsegmentator_cases

        readers: dict[str, Callable[..., Sequence[CaseSource]]]
        readers = {"msd": msd_cases, "nnunet": nnunet_cases, "totalsegmentator": totalsegmentator_cases}
        cases = readers[layout](
            folder,
            site,
            _own_names(names),
            skip_unknown=skip_unknown,
            val_fraction=val_fraction,
            seed=seed,
            score_cut=score_cut,
        )
        _import(cases, out, public=public, max_set_aside=max_set_aside, workers=workers, json=json)

    import_app.command(layout, help=purpose)(command)


_whole_set("nnunet", "Import a raw data set of nnU-Net v2 (DatasetXXX_Name); imagesTs with labelsTs become test cases.")
_whole_set("msd", "Import a task of the Medical Segmentation Decathlon (TaskXX_Name).")
_whole_set(
    "totalsegmentator",
    "Import a folder a case with ct.nii.gz and segmentations/; the split of meta.csv is kept if there is one.",
)


@import_app.command()
def openkbp(
    folder: Folder,
    *,
    out: Out,
    max_set_aside: MaxSetAside = 0.05,
    workers: Workers = 2,
    json: Json = False,
) -> None:
    """Import a clone of the public OpenKBP repository (ababier/open-kbp) as four proxy hospitals."""
    from gossamer.data.importers.openkbp import openkbp_cases

    _import(openkbp_cases(folder), out, public=True, max_set_aside=max_set_aside, workers=workers, json=json)


@import_app.command()
def dicom(
    folder: Folder,
    *,
    out: Out,
    site: Site = "dicom",
    names: Names = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Label of the structure sets to take, where a CT has several.")
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Secret key of the pseudonyms, made if absent; else OUT/pseudonyms.key."),
    ] = None,
    val_fraction: ValFraction = 0.2,
    seed: Seed = 0,
    score_cut: ScoreCut = False,
    max_set_aside: MaxSetAside = 0.05,
    workers: Workers = 2,
    json: Json = False,
) -> None:
    """Import CT series with the RT structure sets that were drawn on them; patients get pseudonyms.

    Taken are ROIs with a standard name, and those that a names file gives one: see gossamer names suggest. What became
    of each patient is printed, and written as OUT/<site>-import.json.
    """
    from gossamer.cli.console import Teller
    from gossamer.cli.import_table import Report
    from gossamer.data.importers.naming import NamesFile, read_names_file
    from gossamer.dicom.cases import dicom_cases
    from gossamer.dicom.deidentify.pseudonyms import Pseudonyms

    own = NamesFile() if names is None else read_names_file(names)
    out.mkdir(parents=True, exist_ok=True)
    pseudonyms = Pseudonyms.kept_in(key or out / "pseudonyms.key")
    with Teller().task("Reading headers", 1.0) as task:
        found = dicom_cases(
            folder,
            site,
            own.names,
            pseudonyms,
            derived=own.derived,
            label=label,
            val_fraction=val_fraction,
            seed=seed,
            score_cut=score_cut,
            workers=workers,
            on_file=lambda _done, of: task.advance(1 / of),
        )
    for message in found.unreadable:
        Teller().say(f"Left out: {message}")
    if found.repeated:
        Teller().say(f"Taken once: {found.repeated} files that are equal to another.")
    for message in found.shared:
        Teller().say(message)
    counts = {"not_dicom": found.not_dicom, "repeated": found.repeated}
    files = {"shared": list(found.shared), "unreadable": list(found.unreadable), **counts}
    report = Report(out / f"{site}-import.json", {"files": files})
    _import(found.cases, out, public=False, max_set_aside=max_set_aside, workers=workers, json=json, report=report)


def _own_names(path: Path | None) -> dict[str, str]:
    from gossamer.data.importers.naming import read_names

    return {} if path is None else read_names(path)


def _import(
    cases: Sequence[CaseSource],
    out: Path,
    *,
    public: bool,
    max_set_aside: float,
    workers: int,
    json: bool,
    report: Report | None = None,
) -> None:
    """Import the cases, sum up, if wanted patient by patient, and end with the error of the sites that failed."""
    from gossamer.cli.console import Teller
    from gossamer.cli.import_table import cases_were, say_same_ct, show, show_json
    from gossamer.data.importers.run import import_cases
    from gossamer.errors import DatasetError

    with Teller().task("Importing cases", len(cases)) as task:
        imported = import_cases(
            cases,
            out,
            public=public,
            max_set_aside=max_set_aside,
            workers=workers,
            on_case=lambda case_id: task.advance(1, case_id),
        )
    if imported.kept and not imported.written and not imported.failed:
        Teller().say(f"Nothing to do: {cases_were(imported.kept)} imported before.")
    elif imported.kept:
        Teller().say(f"Went on: {cases_were(imported.kept)} imported before, {imported.written} now.")
    if report:
        report.write(imported)
    (show_json if json else show)(imported, report)
    say_same_ct(imported)
    if imported.failed:
        first = next(iter(imported.failed.values()))
        raise type(first)("\n".join(str(error) for error in imported.failed.values()))
    if not imported.datasets:
        raise DatasetError(
            "wanted at least one case to import; found that all were left out; name structures in a file for --names "
            "(gossamer names suggest)"
        )
