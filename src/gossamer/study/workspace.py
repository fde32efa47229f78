"""What all runs of a study share: its data sets, the plan made of them, and the prepared caches.

The plan comes from the merged fingerprints of the sites, as it would between hospitals: sums travel, not images.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gossamer.atomic import storage_error, write_atomically
from gossamer.data.dataset import Dataset
from gossamer.data.fingerprint import Fingerprint, fingerprint_of_training, merged
from gossamer.data.plan import Plan
from gossamer.data.planning import plan_from_fingerprint
from gossamer.data.prepared import PreparedDataset, prepare
from gossamer.errors import ConfigurationError, DatasetError, NoTrainingCaseError
from gossamer.evaluate.tolerance import tolerance_mm
from gossamer.study.config import Study
from gossamer.watch import Watch


@dataclass(frozen=True)
class Workspace:
    """A study with everything its runs read.

    Attributes:
        folder: where the study's results go.
        study: the study file.
        study_sha256: of all that decides the results (``study_hash``).
        plan: agreed by all sites.
        datasets: by site, sorted.
        prepared: by site, sorted; on the plan's grid.
        fingerprints: of the training cases by site; empty where an earlier release made the plan.
    """

    folder: Path
    study: Study
    study_sha256: str
    plan: Plan
    datasets: Mapping[str, Dataset]
    prepared: Mapping[str, PreparedDataset]
    fingerprints: Mapping[str, Fingerprint]

    @property
    def sites(self) -> tuple[str, ...]:
        """The hospitals, sorted."""
        return tuple(self.datasets)

    @property
    def tolerance_mm(self) -> dict[str, float]:
        """Surface DSC tolerance by structure."""
        return {name: self.study.tolerance_mm.get(name, tolerance_mm(name)) for name in self.plan.structures}


def open_datasets(study: Study, home: Path) -> dict[str, Dataset]:
    """The study's data sets by site, sorted.

    Args:
        study: the study file.
        home: folder that relative paths start from.

    Raises:
        DatasetError: a folder is no dataset, two are of the same site, or no site has a patient to choose by.
        NoTrainingCaseError: a site has nothing to train on.
    """
    datasets: dict[str, Dataset] = {}
    for entry in study.datasets:
        dataset = Dataset.open(home / entry)
        if dataset.site in datasets:
            raise DatasetError(
                f"wanted one dataset a site; found two of site {dataset.site}, in the study's datasets; name each once"
            )
        if not any(case.split == "train" for case in dataset.cases):
            raise NoTrainingCaseError(
                f"site {dataset.site}: wanted cases of split 'train'; found none; check the dataset's splits, or take "
                "the site out of the study"
            )
        datasets[dataset.site] = dataset
    wanted = set(study.structures)
    if not any(
        case.split == "val" and wanted & set(case.complete) for dataset in datasets.values() for case in dataset.cases
    ):
        raise DatasetError(
            "wanted cases of split 'val' with the study's structures, to choose checkpoints and schedules by; found "
            "none at any site; check the datasets' splits"
        )
    return dict(sorted(datasets.items()))


def make_plan(study: Study, datasets: Mapping[str, Dataset], on_case: Callable[[], None] = lambda: None) -> Plan:
    """The plan of the merged fingerprints of all training cases.

    Args:
        study: its structures and rules.
        datasets: by site.
        on_case: told after each training case.
    """
    return _plan_for(study, _fingerprints(datasets, on_case))


def study_hash(study: Study, datasets: Mapping[str, Dataset]) -> str:
    """SHA-256 (hex) of all that decides a study's results: its settings, and the data by content, not by place."""
    settings = study.model_dump(mode="json", exclude={"datasets"})
    for arm in settings["arms"].values():
        if arm["machines"] == "fets":
            del arm["machines"]  # as all were before there was a choice: the same study as then
    decisive = {"study": settings, "data": {site: dataset.sha256 for site, dataset in datasets.items()}}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def open_workspace(study: Study, datasets: Mapping[str, Dataset], folder: Path, watch: Watch) -> Workspace:
    """Agree on the plan and prepare the cases; what is there already is kept.

    Args:
        study: what to run.
        datasets: by site, sorted (``open_datasets``).
        folder: where results go.
        watch: told how it goes.

    Raises:
        ConfigurationError: the folder holds the results of another study.
        StorageError: nothing can be written there.
    """
    make_folder(folder)
    study_sha256 = study_hash(study, datasets)
    _claim(folder, study_sha256)
    plan, fingerprints = _kept_plan(folder, study, datasets, watch)
    prepared = {}
    total = sum(len(dataset.cases) for dataset in datasets.values())
    with watch.task("preparing cases", total) as task:
        for site, dataset in datasets.items():
            prepared[site] = prepare(dataset, plan, folder / "prepared", lambda _done, _total: task.advance(1))
    return Workspace(folder, study, study_sha256, plan, datasets, prepared, fingerprints)


def make_folder(folder: Path) -> None:
    """Make a folder and those it lies in, unless they are there.

    Raises:
        StorageError: it cannot be made (``DiskFullError`` where there is no room).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, f"wanted a folder {folder.name!r} for results") from error


def _claim(folder: Path, study_sha256: str) -> None:
    mark = folder / "study.sha256"
    if mark.exists() and mark.read_text(encoding="utf-8").strip() != study_sha256:
        raise ConfigurationError(
            f"wanted the results of this study, or an empty folder; found in {folder.name!r} the results of another "
            "study file, or of other data; give another --out, or put the study file and the data back as they were"
        )
    write_atomically(mark, study_sha256 + "\n")


def _kept_plan(
    folder: Path, study: Study, datasets: Mapping[str, Dataset], watch: Watch
) -> tuple[Plan, dict[str, Fingerprint]]:
    """The plan, and the fingerprints it was made of: they never leave this folder but as ``Learned``."""
    plan_file, fingerprints_file = folder / "plan.json", folder / "fingerprints.json"
    if plan_file.exists():
        return Plan.from_json(plan_file.read_text(encoding="utf-8")), _read_fingerprints(fingerprints_file)
    cases = sum(case.split == "train" for dataset in datasets.values() for case in dataset.cases)
    with watch.task("reading fingerprints", cases) as task:
        fingerprints = _fingerprints(datasets, lambda: task.advance(1))
    plan = _plan_for(study, fingerprints)
    kept = {site: json.loads(fingerprint.to_json()) for site, fingerprint in fingerprints.items()}
    write_atomically(fingerprints_file, json.dumps(kept, sort_keys=True, separators=(",", ":")))
    write_atomically(plan_file, plan.to_json())
    return plan, fingerprints


def _fingerprints(datasets: Mapping[str, Dataset], on_case: Callable[[], None]) -> dict[str, Fingerprint]:
    return {site: fingerprint_of_training(dataset, on_case) for site, dataset in datasets.items()}


def _plan_for(study: Study, fingerprints: Mapping[str, Fingerprint]) -> Plan:
    return plan_from_fingerprint(merged(fingerprints.values()), study.structures, study.plan)


def _read_fingerprints(file: Path) -> dict[str, Fingerprint]:
    if not file.exists():
        return {}
    kept = json.loads(file.read_text(encoding="utf-8"))
    return {site: Fingerprint.from_json(json.dumps(raw)) for site, raw in kept.items()}
