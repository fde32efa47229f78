"""From finished runs to what a study leaves behind: ``results.json``, ``cases.csv`` and the report."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import monai
import torch

from gossamer import __version__
from gossamer.atomic import write_atomically
from gossamer.data.case_folder import IMAGE_FILE
from gossamer.data.dataset import Dataset
from gossamer.documents import parse_json
from gossamer.errors import DatasetError, StorageError, UsageError
from gossamer.learn.compute import chosen_precision
from gossamer.segment.model_file import read_model
from gossamer.segment.predict import predict_masks
from gossamer.study.report import write_report
from gossamer.study.report.pictures import CasePicture, choose_cases, picture_of
from gossamer.study.results import LockedScore, RunResult, SiteFacts, StudyResults
from gossamer.study.scores import VALIDATION_SET, CaseScore, read_cases, write_cases
from gossamer.study.workspace import Workspace

RESULTS = "results.json"
CASES = "cases.csv"
REPORT = "report.html"


@dataclass(frozen=True)
class Outcome:
    """A finished run and its rows."""

    result: RunResult
    rows: tuple[CaseScore, ...]


def write_outcome(workspace: Workspace, outcomes: Sequence[Outcome], *, pictures: bool) -> StudyResults:
    """Write results, rows and report; scores on locked sets that are there already are kept."""
    folder = workspace.folder
    before = read_results(folder) if (folder / RESULTS).exists() else None
    locked = before.locked if before else ()
    kept = [row for row in read_cases(folder / CASES) if row.set != VALIDATION_SET] if locked else []
    results = _results(workspace, [outcome.result for outcome in outcomes], locked)
    if before and before.runs == results.runs:
        results = before  # nothing was run: versions and machine stay those of the runs, notes of a locked set too
    write_cases(folder / CASES, [*(row for outcome in outcomes for row in outcome.rows), *kept])
    write_results(folder, results)
    write_report(
        results,
        folder / CASES,
        folder / REPORT,
        pictures_of(results, folder, workspace.datasets) if pictures else (),
    )
    return results


def read_results(folder: Path) -> StudyResults:
    """The results of a study that has ended.

    Raises:
        UsageError: there are none.
        StorageError: the file is damaged.
    """
    path = folder / RESULTS
    if not path.exists():
        raise UsageError(
            f"wanted the folder of a finished study; found no {RESULTS} in {folder.name!r}; "
            "run it to its end first: gossamer study run"
        )
    return parse_json(path.read_text(encoding="utf-8"), StudyResults, path.name, StorageError)


def write_results(folder: Path, results: StudyResults) -> None:
    """Write ``results.json`` atomically."""
    write_atomically(folder / RESULTS, results.model_dump_json(indent=1) + "\n")


def redraw(folder: Path, images: Path | None = None) -> StudyResults:
    """Draw a study's report again from its results.

    Args:
        folder: of the study.
        images: folder of the study's dataset folders, to show CT slices; public or synthetic data only.

    Raises:
        UsageError: the study is not finished, or its data may not be shown.
        DatasetError: the datasets in ``images`` are not those of the study.
    """
    results = read_results(folder)
    pictures: Sequence[CasePicture] = ()
    if images:
        datasets = datasets_of(results, images)
        refuse_private_pictures(datasets)
        if other := [site for site, dataset in datasets.items() if dataset.sha256 != results.data_sha256[site]]:
            raise DatasetError(
                f"wanted the datasets that the study was run on; found other data of {', '.join(other)} in "
                f"{images.name!r}; give their folder as it was then"
            )
        pictures = pictures_of(results, folder, datasets)
    write_report(results, folder / CASES, folder / REPORT, pictures)
    return results


def datasets_of(results: StudyResults, home: Path) -> dict[str, Dataset]:
    """The datasets of a study's sites, by site, found in a folder of dataset folders.

    Raises:
        DatasetError: there is none for a site, or there are two.
    """
    found = [Dataset.open(path.parent) for path in sorted(home.glob("*/dataset.json"))]
    by_site = {dataset.site: dataset for dataset in found}
    if len(by_site) < len(found):
        raise DatasetError(
            f"wanted one dataset a site in {home.name!r}; found two of the same; take one of them out of the folder"
        )
    wanted = [site.site for site in results.sites]
    if missing := [site for site in wanted if site not in by_site]:
        raise DatasetError(
            f"wanted a dataset of each of the study's sites, {', '.join(wanted)}; found none of {', '.join(missing)} "
            f"in {home.name!r}; name the folder that 'gossamer import' wrote"
        )
    return {site: by_site[site] for site in wanted}


def refuse_private_pictures(datasets: Mapping[str, Dataset]) -> None:
    """CT slices may be shown only where the data is public or synthetic.

    Raises:
        UsageError: a dataset is neither.
    """
    private = [site for site, dataset in datasets.items() if not dataset.public]
    if private:
        raise UsageError(
            f"wanted data that may be shown, for a report with CT slices; found datasets not declared public, of "
            f"{', '.join(private)}; leave out --images, for no image leaves a hospital; where these may be shown to "
            "anyone, import them again with: gossamer import ... --public"
        )


def pictures_of(results: StudyResults, folder: Path, datasets: Mapping[str, Dataset]) -> list[CasePicture]:
    """Best, median and worst validation patient of each site, under the gossip arm (else the last arm)."""
    refuse_private_pictures(datasets)
    judged = [run for run in results.runs if run.chosen]
    run = next((run for run in judged if run.arm == "gossip"), judged[-1])
    models = {score.site: folder / score.model for score in run.sites}
    rows = read_cases(folder / CASES)
    pictures = []
    for chosen in choose_cases(rows, arm=run.arm, schedule=run.schedule, seed=run.seed):
        dataset = datasets[chosen.site]
        [case] = [case for case in dataset.cases if case.id == chosen.case]
        model = read_model(models[chosen.site])
        image = dataset.read_image(case)
        masks = dataset.read_masks(case)
        predicted = predict_masks(model.network, model.plan, image)
        organs = [organ for organ in results.structures if organ in case.complete]
        mine = [row for row in rows if (row.arm, row.schedule, row.seed, row.case) == _key(run, chosen.case)]
        pictures.append(
            picture_of(
                chosen,
                image_hu=image.voxels,
                spacing_mm=image.frame.spacing_mm,
                reference={organ: masks[organ] for organ in organs},
                predicted={organ: predicted[organ] for organ in organs},
                dsc={row.organ: row.dsc for row in mine if row.site == chosen.site and row.set == "val"},
            )
        )
    return pictures


def _key(run: RunResult, case: str) -> tuple[str, str, int, str]:
    return run.arm, run.schedule, run.seed, case


def _results(workspace: Workspace, runs: Sequence[RunResult], locked: tuple[LockedScore, ...]) -> StudyResults:
    plan = workspace.plan
    return StudyResults(
        title=workspace.study.title,
        gossamer_version=__version__,
        study_sha256=workspace.study_sha256,
        data_sha256={site: dataset.sha256 for site, dataset in workspace.datasets.items()},
        public_data=all(dataset.public for dataset in workspace.datasets.values()),
        plan=json.loads(plan.to_json()),
        plan_sha256=plan.hash,
        structures=plan.structures,
        tolerance_mm=workspace.tolerance_mm,
        seeds=workspace.study.seeds,
        sites=tuple(_facts(workspace, site) for site in workspace.sites),
        runs=tuple(runs),
        locked=locked,
        environment={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "monai": monai.__version__,
            "processor": platform.machine(),
            "threads": str(workspace.study.recipe.threads),
            "precision": chosen_precision(workspace.study.recipe),
        },
        notes=tuple(dict.fromkeys(_set_aside(workspace))),
    )


def _facts(workspace: Workspace, site: str) -> SiteFacts:
    dataset, prepared = workspace.datasets[site], workspace.prepared[site]
    training = [case for case in dataset.cases if case.split == "train"]
    return SiteFacts(
        site=site,
        training_cases=len(prepared.split("train")),
        validation_cases=len(prepared.split("val")),
        set_aside=len(prepared.set_aside),
        spacing_mm=_median([case.spacing_mm for case in training]),
        extent_mm=_median([_extent_mm(case.shape, case.spacing_mm) for case in training]),
        annotated={
            name: sum(case.annotated[c] for case in prepared.split("train"))
            for c, name in enumerate(workspace.plan.structures)
        },
        training_image_bytes=training_image_bytes(dataset),
    )


def training_image_bytes(dataset: Dataset) -> int:
    """Size of a dataset's training images as they lie on the disk."""
    files = (dataset.folder / case.id / IMAGE_FILE for case in dataset.cases if case.split == "train")
    return sum(file.stat().st_size for file in files)


def _extent_mm(shape: Iterable[int], spacing_mm: Iterable[float]) -> tuple[float, float, float]:
    z, y, x = (n * s for n, s in zip(shape, spacing_mm, strict=True))
    return z, y, x


def _median(triples: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    z, y, x = (sorted(values)[len(values) // 2] for values in zip(*triples, strict=True))
    return z, y, x


def _set_aside(workspace: Workspace) -> Iterable[str]:
    for site, prepared in workspace.prepared.items():
        for bad in prepared.set_aside:
            yield f"site {site}: case {bad.case} was set aside: {bad.reason}"
