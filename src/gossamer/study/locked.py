"""A locked set: patients that no training and no choice has seen, scored when all else is finished.

The set's hash and each time it was opened stand in the results, so that nobody can choose among openings unseen. An
opening is on record before the first patient is scored: one that was interrupted counts too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from gossamer.atomic import write_atomically
from gossamer.data.dataset import Case, Dataset
from gossamer.documents import parse_json
from gossamer.errors import DatasetError, StorageError, UsageError
from gossamer.learn.recipe import Recipe
from gossamer.only_writer import only_writer
from gossamer.study.outcome import CASES, datasets_of, read_results, redraw, write_results
from gossamer.study.results import LockedScore, RunResult, RunScore, StudyResults
from gossamer.study.scores import CaseScore, append_cases, summarise
from gossamer.study.scoring import RunName, patients_of, score_patients
from gossamer.watch import Watch

OPENINGS = "openings.json"

Patients = Mapping[str, tuple[Dataset, list[Case]]]


class Openings(BaseModel):
    """``openings.json``: by set, every time its scoring began (UTC, ISO 8601)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    opened_at: dict[str, tuple[str, ...]] = {}


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
        DatasetError: the data sets are not those of the study's sites, have no such patients, or are no longer those
            that were scored under this name before.
        FolderBusyError: another process runs the study, or scores it.
    """
    read_results(folder)  # says what is wrong with a folder that holds no finished study
    with only_writer(folder):
        return _score_locked(folder, on, split, watch)


def _score_locked(folder: Path, on: Path, split: str, watch: Watch) -> StudyResults:
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
    name = f"{on.resolve().name}:{split}"
    sha256 = _hash(datasets, split)
    _require_unchanged(results, name, sha256)
    opened_at = _note_opening(folder, name, results)
    rows = _score_runs(results, folder, name, patients, watch)
    locked = LockedScore(
        set_name=name,
        split=split,
        sha256=sha256,
        opened_at=opened_at,
        runs=tuple(_run_score(run, rows, results.structures) for run in results.runs),
    )
    append_cases(folder / CASES, rows)
    others = tuple(score for score in results.locked if score.set_name != name)
    notes = tuple(dict.fromkeys((*results.notes, *_other_data(results, datasets, name))))
    write_results(folder, results.model_copy(update={"locked": (*others, locked), "notes": notes}))
    return redraw(folder)


def _score_runs(results: StudyResults, folder: Path, name: str, patients: Patients, watch: Watch) -> list[CaseScore]:
    recipe = _recipe(results)
    rows: list[CaseScore] = []
    with watch.task(f"scoring {name}", len(results.runs) * sum(len(cases) for _, cases in patients.values())) as task:
        for run in results.runs:
            rows += score_patients(
                RunName(name, run.arm, run.schedule, run.seed),
                models={site.site: folder / site.model for site in run.sites},
                patients=patients,
                tolerance_mm=results.tolerance_mm,
                recipe=recipe,
                on_patient=lambda: task.advance(1),
            )
    return rows


def _recipe(results: StudyResults) -> Recipe:
    """Threads and precision as the study had them: its file is not here, but they are on record."""
    kept = {name: results.environment[name] for name in ("threads", "precision") if name in results.environment}
    return TypeAdapter(Recipe).validate_python(kept)


def _run_score(run: RunResult, rows: list[CaseScore], structures: tuple[str, ...]) -> RunScore:
    own = [row for row in rows if (row.arm, row.schedule, row.seed) == (run.arm, run.schedule, run.seed)]
    models = {site.site: site.model for site in run.sites}
    return RunScore(
        arm=run.arm,
        schedule=run.schedule,
        seed=run.seed,
        sites=summarise(own, structures=structures, models=models),
    )


def _hash(datasets: Mapping[str, Dataset], split: str) -> str:
    """Of which patients there are, and of all the data they stand in."""
    content = {
        site: [dataset.sha256, [case.id for case in dataset.cases if case.split == split]]
        for site, dataset in datasets.items()
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _require_unchanged(results: StudyResults, name: str, sha256: str) -> None:
    """One name, one set: else its openings would be those of another."""
    if any(score.set_name == name and score.sha256 != sha256 for score in results.locked):
        raise DatasetError(
            f"wanted the set {name!r} as it was opened before; found that its patients or their data have changed; "
            "put it back as it was, or give the new set a folder of another name"
        )


def _note_opening(folder: Path, name: str, results: StudyResults) -> tuple[str, ...]:
    """Put this opening on record before anything can be learnt from it; returns all openings of the set."""
    path = folder / OPENINGS
    before = parse_json(path.read_text(encoding="utf-8"), Openings, OPENINGS, StorageError) if path.exists() else None
    opened_at = dict(before.opened_at) if before else {score.set_name: score.opened_at for score in results.locked}
    opened_at[name] = (*opened_at.get(name, ()), datetime.now(UTC).isoformat(timespec="seconds"))
    write_atomically(path, Openings(opened_at=opened_at).model_dump_json(indent=1) + "\n")
    return opened_at[name]


def _other_data(results: StudyResults, datasets: Mapping[str, Dataset], name: str) -> Iterator[str]:
    """Within one dataset a patient has one split; over two, nothing but the hospital's word keeps them apart."""
    other = [site for site, dataset in datasets.items() if dataset.sha256 != results.data_sha256[site]]
    if other:
        yield (
            f"locked set {name}: the data of {', '.join(other)} are not the datasets of the study; that no patient of "
            "the set was trained on could not be checked"
        )
