"""All metrics of one organ in one patient."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gossamer.evaluate.metrics import ALL_METRICS, METRICS, MaskPair, check_metrics
from gossamer.units import ZYX

Outcome = Literal["scored", "missed", "false positive", "absent"]


@dataclass(frozen=True)
class Score:
    """How one organ of one patient came out.

    Attributes:
        values: by metric; nan where it is excluded (``gossamer.evaluate.metrics``).
        reference_voxels: voxels of the reference.
        predicted_voxels: voxels of the prediction.
    """

    values: Mapping[str, float]
    reference_voxels: int
    predicted_voxels: int

    @property
    def outcome(self) -> Outcome:
        """What the score counts as; ``missed`` is scored too, with a DSC of 0."""
        if self.reference_voxels:
            return "scored" if self.predicted_voxels else "missed"
        return "false positive" if self.predicted_voxels else "absent"


def score_masks(
    prediction: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    spacing_mm: ZYX,
    tolerance_mm: float,
    metrics: Iterable[str] = tuple(METRICS),
) -> Score:
    """Score a predicted mask against its reference.

    Args:
        prediction: bool [z, y, x].
        reference: bool [z, y, x].
        spacing_mm: voxel spacing along z, y, x.
        tolerance_mm: for the surface DSC and the added path length; see ``gossamer.evaluate.tolerance``.
        metrics: keys of ``ALL_METRICS``.

    Raises:
        GeometryMismatchError: the masks differ in shape.
        UnknownMetricError: a metric does not exist.
    """
    pair = MaskPair(prediction, reference, spacing_mm, tolerance_mm)
    values = {name: ALL_METRICS[name](pair) for name in check_metrics(metrics, ALL_METRICS)}
    return Score(values, pair.reference_voxels, pair.predicted_voxels)


def mean_of(values: Iterable[float]) -> float | None:
    """Mean of those values that are not nan; None where there is none."""
    valid = [value for value in values if not math.isnan(value)]
    return math.fsum(valid) / len(valid) if valid else None
