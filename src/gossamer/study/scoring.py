"""Scoring finished models on patients, on the CT's own grid, as a hospital would use them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gossamer.data.dataset import Case, Dataset
from gossamer.learn.compute import compute_for, working_type
from gossamer.learn.recipe import Recipe
from gossamer.segment.model_file import read_model
from gossamer.segment.score import score_case
from gossamer.study.scores import CaseScore


@dataclass(frozen=True)
class RunName:
    """Which run a row belongs to: the leading columns of ``cases.csv``."""

    set: str
    arm: str
    schedule: str
    seed: int


def score_patients(
    name: RunName,
    *,
    models: Mapping[str, Path],
    patients: Mapping[str, tuple[Dataset, list[Case]]],
    tolerance_mm: Mapping[str, float],
    recipe: Recipe,
    on_patient: Callable[[], None] = lambda: None,
) -> list[CaseScore]:
    """Score one run: a row for each patient and each structure that is complete in the patient.

    Args:
        name: of the run, and of the set.
        models: the model file that serves each hospital.
        patients: by hospital, the dataset and which of its cases.
        tolerance_mm: for the surface DSC, by structure.
        recipe: threads and precision.
        on_patient: told after each patient.
    """
    rows = []
    fabric = compute_for(recipe)
    for hospital, (dataset, cases) in patients.items():
        model = read_model(models[hospital])
        for case in cases:
            scores = score_case(
                model, dataset, case, tolerance_mm, device=fabric.device, precision=working_type(fabric)
            )
            for organ, score in scores.items():
                rows.append(
                    CaseScore(
                        **vars(name),
                        site=hospital,
                        case=case.id,
                        organ=organ,
                        dsc=score.values["dsc"],
                        surface_dsc=score.values["surface_dsc"],
                        hd95_mm=score.values["hd95_mm"],
                        reference_voxels=score.reference_voxels,
                        predicted_voxels=score.predicted_voxels,
                    )
                )
            on_patient()
    return rows


def patients_of(
    datasets: Mapping[str, Dataset], split: str, structures: Iterable[str]
) -> dict[str, tuple[Dataset, list[Case]]]:
    """By hospital the patients of a split in whom at least one of the structures is complete."""
    wanted = set(structures)
    return {
        hospital: (dataset, [case for case in dataset.cases if case.split == split and wanted & set(case.complete)])
        for hospital, dataset in datasets.items()
    }
