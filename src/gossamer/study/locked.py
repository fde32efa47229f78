"""A locked set: patients that no training and no choice has seen, scored when all else is finished.

The set's hash and each time it was opened stand in the results, so that nobody can choose among openings unseen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from gossamer.data.dataset import Dataset
from gossamer.errors import DatasetError, UsageError
from gossamer.learn.recipe import Recipe
from gossamer.study.outcome import CASES, datasets_of, read_results, redraw, write_results
from gossamer.study.results import LockedScore, RunResult, RunScore, StudyResults
from gossamer.study.scores import CaseScore, append_cases, summarise
from gossamer.study.scoring import RunName, patients_of, score_patients
from gossamer.study.watch import Watch


def score_locked(folder: Path, on: Path, split: str, watch: Watch) -> StudyResults:
    """Score the finished models of every arm, schedule and seed on a locked set.

    Args:
        folder: of a finished study.
        on: folder of dataset folders, one for each site of the study.
        split: which of their cases.
        watch: told how it goes.

    Returns:
        The study's results with the locked scores; results, rows and report in ``folder`` are rewritten.

    Raises:
        UsageError: the study is not finished, or the split was used in training or choosing.
        DatasetError: the data sets are not those of the study's sites, or have no such patients.
    """
    results = read_results(folder)
    if split in ("train", "val"):
        raise UsageError(
            f"wanted a split that the study has not seen; found {split!r}, which it trained on or chose by; "
            "take --split test"
        )
    datasets = datasets_of(results, on)
    patients = patients_of(datasets, split, results.structures)
    if not any(cases for _, cases in patients.values()):
        raise DatasetError(f"wanted patients of split {split!r}; found none in {on.name!r}; check the splits")
    name = f"{on.name}:{split}"
    total = len(results.runs) * sum(len(cases) for _, cases in patients.values())
    rows: list[CaseScore] = []
    scores = []
    with watch.task(f"scoring {name}", total) as task:
        for run in results.runs:
            run_name = RunName(name, run.arm, run.schedule, run.seed)
            models = {site.site: folder / site.model for site in run.sites}
            own = score_patients(
                run_name,
                models=models,
                patients=patients,
                tolerance_mm=results.tolerance_mm,
                recipe=_RECIPE,
                on_patient=lambda: task.advance(1),
            )
            rows.extend(own)
            scores.append(_run_score(run, own, results.structures))
    locked = LockedScore(
        set_name=name,
        split=split,
        sha256=_hash(datasets, split),
        opened_at=(*_earlier_openings(results, name), datetime.now(UTC).isoformat(timespec="seconds")),
        runs=tuple(scores),
    )
    append_cases(folder / CASES, rows)
    others = tuple(score for score in results.locked if score.set_name != name)
    write_results(folder, results.model_copy(update={"locked": (*others, locked)}))
    return redraw(folder)


_RECIPE = Recipe()
"""Threads and precision of prediction: the defaults."""


def _run_score(run: RunResult, rows: list[CaseScore], structures: tuple[str, ...]) -> RunScore:
    models = {site.site: site.model for site in run.sites}
    return RunScore(
        arm=run.arm,
        schedule=run.schedule,
        seed=run.seed,
        sites=summarise(rows, structures=structures, models=models),
    )


def _hash(datasets: Mapping[str, Dataset], split: str) -> str:
    """Of which patients there are, and of all the data they stand in."""
    content = {
        site: [dataset.sha256, [case.id for case in dataset.cases if case.split == split]]
        for site, dataset in datasets.items()
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _earlier_openings(results: StudyResults, name: str) -> tuple[str, ...]:
    return next((score.opened_at for score in results.locked if score.set_name == name), ())
