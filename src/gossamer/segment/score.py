"""Scoring a model on one patient, on the CT's own grid, as a hospital would use it."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from gossamer.data.dataset import Case, Dataset
from gossamer.evaluate.metrics import METRICS
from gossamer.evaluate.score import Score, score_masks
from gossamer.segment.model_file import Model
from gossamer.segment.predict import predict_masks


def score_case(
    model: Model,
    dataset: Dataset,
    case: Case,
    tolerance_mm: Mapping[str, float],
    *,
    device: torch.device,
    precision: torch.dtype,
) -> dict[str, Score]:
    """Predict a patient and compare with what was drawn.

    Args:
        model: to be scored.
        dataset: the patient's.
        case: the patient.
        tolerance_mm: for the surface DSC, by structure.
        device: to predict on.
        precision: of the network's arithmetic.

    Returns:
        By structure that is complete in the patient, all metrics.

    Raises:
        UnreadableImageError: the image or a mask cannot be read.
    """
    image = dataset.read_image(case)
    reference = dataset.read_masks(case)
    predicted = predict_masks(model.network.to(device), model.plan, image, precision=precision)
    return {
        organ: score_masks(
            predicted[organ], reference[organ], image.frame.spacing_mm, tolerance_mm[organ], tuple(METRICS)
        )
        for organ in model.plan.structures
        if organ in case.complete
    }
