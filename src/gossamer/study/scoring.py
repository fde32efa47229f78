"""Scoring finished models on patients, on the CT's own grid, as a hospital would use them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gossamer.data.dataset import Case, Dataset
from gossamer.evaluate.metrics import METRICS
from gossamer.evaluate.score import Score, score_masks
from gossamer.learn.compute import compute_for, working_type
from gossamer.learn.recipe import Recipe
from gossamer.segment.model_file import Model, read_model
from gossamer.segment.predict import predict_masks
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
    for hospital, (dataset, cases) in patients.items():
        model = read_model(models[hospital])
        for case in cases:
            for organ, score in _score_case(model, dataset, case, tolerance_mm, recipe).items():
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


def _score_case(
    model: Model, dataset: Dataset, case: Case, tolerance_mm: Mapping[str, float], recipe: Recipe
) -> dict[str, Score]:
    image = dataset.read_image(case)
    reference = dataset.read_masks(case)
    fabric = compute_for(recipe)
    predicted = predict_masks(model.network.to(fabric.device), model.plan, image, precision=working_type(fabric))
    return {
        organ: score_masks(
            predicted[organ], reference[organ], image.frame.spacing_mm, tolerance_mm[organ], tuple(METRICS)
        )
        for organ in model.plan.structures
        if organ in case.complete
    }
