"""``gossamer qa``: pictures of a hospital's own cases, and what stands out among them, for local eyes only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gossamer.data.dataset import Dataset
    from gossamer.qa.run import QaReport


def qa(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="A dataset, or a folder of datasets, one a site.")
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the pages, one below it a site; else 'qa' beside the dataset."),
    ] = None,
    case: Annotated[str | None, typer.Option("--case", help="Draw this case alone, and leave the index.")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions", exists=True, file_okay=False, help="Folder that gossamer predict wrote: drawn dashed."
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that draw; each holds one case.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="Print the statistics as JSON.")] = False,
) -> None:
    """Look at your data: a page with contours for each case, and statistics of the organs with their outliers.

    The pages show patients: they are readable by you alone (0600), and must not leave the site. Cases that have not
    changed keep their pages, so an interrupted run goes on when run again.
    """
    from gossamer.cli.console import Teller
    from gossamer.qa.run import find_datasets, look_at_dataset, look_at_one

    teller = Teller()
    datasets = find_datasets(folder)
    if case is not None:
        dataset = _dataset_of(case, datasets)
        page = look_at_one(dataset, case, _out(out, dataset.folder) / dataset.site, predictions)
        typer.echo(page)
        return
    reports: list[QaReport] = []
    for dataset in datasets:
        with teller.task(f"Drawing cases of {dataset.site}", len(dataset.cases)) as task:
            report = look_at_dataset(
                dataset,
                _out(out, dataset.folder) / dataset.site,
                predictions=predictions,
                workers=workers,
                on_case=lambda case_id, task=task: task.advance(1, case_id),  # type: ignore[misc]
            )
        reports.append(report)
        if not report.drawn:
            teller.say(f"Nothing to draw: {report.kept} pages are as they were.")
        for name, reason in report.failed.items():
            teller.say(f"Cannot be looked at: {name}: {reason}")
    _show(reports, json)
    teller.say("The pages show patients: open them here, and do not send them on.")


def _out(out: Path | None, dataset: Path) -> Path:
    return out if out is not None else dataset.resolve().parent / "qa"


def _dataset_of(case_id: str, datasets: Sequence[Dataset]) -> Dataset:
    """The dataset with a case; the first one, to say that it has none, if no dataset has."""
    return next((one for one in datasets if any(case.id == case_id for case in one.cases)), datasets[0])


def _show(reports: Sequence[QaReport], as_json: bool) -> None:
    """What stands out, on stdout."""
    from dataclasses import asdict
    from json import dumps

    from rich.table import Table

    from gossamer.cli.console import results_console
    from gossamer.qa.page import hounsfield, millilitres

    if as_json:
        document = [asdict(report.cohort) | {"failed": report.failed} for report in reports]
        typer.echo(dumps({"sites": document}, indent=1))
        return
    console = results_console()
    for report in reports:
        cohort = report.cohort
        grid = Table("organ", "drawn", "scored", "volume, ml", "median, HU", title=f"Site {cohort.site}")
        for organ in cohort.organs:
            volume = millilitres(organ.volume_ml.median) if organ.volume_ml else "–"
            counts = (str(organ.drawn), str(organ.complete))
            grid.add_row(organ.organ, *counts, volume, hounsfield(organ.hu_median.median))
        console.print(grid)
        for outlier in cohort.outliers:
            console.print(f"{outlier.case}: {outlier.sentence}", markup=False, soft_wrap=True)
        for case, looks in cohort.looks.items():
            for look in looks:
                console.print(f"{case}: {look}", markup=False, soft_wrap=True)
        for group in cohort.same_ct:
            console.print(f"The same CT, voxel for voxel: {', '.join(group)}", markup=False, soft_wrap=True)
        for one, two, correlation in cohort.alike:
            console.print(f"CTs that look alike: {one}, {two} ({correlation:.3f})", markup=False, soft_wrap=True)
        console.print(str(report.index), markup=False, soft_wrap=True, highlight=False)
