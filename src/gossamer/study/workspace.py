"""What all runs of a study share: its data sets, the plan made of them, and the prepared caches.

The plan comes from the merged fingerprints of the sites, as it would between hospitals: sums travel, not images.
"""

from __future__ import annotations

import functools
import hashlib
import json
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gossamer.atomic import write_atomically
from gossamer.data.dataset import Dataset
from gossamer.data.fingerprint import fingerprint_of
from gossamer.data.plan import Plan
from gossamer.data.planning import plan_from_fingerprint
from gossamer.data.prepared import PreparedDataset, prepare
from gossamer.errors import ConfigurationError, DatasetError, NoTrainingCaseError
from gossamer.evaluate.tolerance import tolerance_mm
from gossamer.study.config import Study
from gossamer.study.watch import Watch


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
    """

    folder: Path
    study: Study
    study_sha256: str
    plan: Plan
    datasets: Mapping[str, Dataset]
    prepared: Mapping[str, PreparedDataset]

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
        DatasetError: a folder is no dataset, or two are of the same site.
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
    return dict(sorted(datasets.items()))


def make_plan(study: Study, datasets: Mapping[str, Dataset]) -> Plan:
    """The plan of the merged fingerprints of all training cases."""
    fingerprints = [
        fingerprint_of(dataset, [case for case in dataset.cases if case.split == "train"])
        for dataset in datasets.values()
    ]
    return plan_from_fingerprint(functools.reduce(operator.add, fingerprints), study.structures, study.plan)


def study_hash(study: Study, datasets: Mapping[str, Dataset]) -> str:
    """SHA-256 (hex) of all that decides a study's results: its settings, and the data by content, not by place."""
    settings = study.model_dump(mode="json", exclude={"datasets"})
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
    """
    folder.mkdir(parents=True, exist_ok=True)
    study_sha256 = study_hash(study, datasets)
    _claim(folder, study_sha256)
    plan = _kept_plan(folder / "plan.json", study, datasets, watch)
    prepared = {}
    total = sum(len(dataset.cases) for dataset in datasets.values())
    with watch.task("preparing cases", total) as task:
        for site, dataset in datasets.items():
            prepared[site] = prepare(dataset, plan, folder / "prepared", lambda _done, _total: task.advance(1))
    return Workspace(folder, study, study_sha256, plan, datasets, prepared)


def _claim(folder: Path, study_sha256: str) -> None:
    mark = folder / "study.sha256"
    if mark.exists() and mark.read_text().strip() != study_sha256:
        raise ConfigurationError(
            "wanted the results of this study file, or an empty folder; found the results of another version of it; "
            "give another --out, or put the study file back as it was"
        )
    write_atomically(mark, study_sha256 + "\n")


def _kept_plan(path: Path, study: Study, datasets: Mapping[str, Dataset], watch: Watch) -> Plan:
    if path.exists():
        return Plan.from_json(path.read_text())
    with watch.task("reading fingerprints", len(datasets)) as task:
        plan = make_plan(study, datasets)
        task.advance(len(datasets))
    write_atomically(path, plan.to_json())
    return plan
