"""Agreement of two masks: DSC, surface DSC at a tolerance, HD95; and the work of correcting one: added path length.

Empty masks have defined values; nan means *excluded from the score*, never zero and never one:

=========  ==========  ====  ===========  =====  =========================
reference  prediction  DSC   surface DSC  HD95   counted as
=========  ==========  ====  ===========  =====  =========================
drawn      drawn       yes   yes          yes    scored
drawn      empty       0     0            nan    scored, and as missed
empty      drawn       nan   nan          nan    false positive
empty      empty       nan   nan          nan    nothing
=========  ==========  ====  ===========  =====  =========================

Of a missed organ the whole contour is to be added; of one that the reference lacks the added path length is nan.

The caller sees to it that an empty reference means absent: an organ that was not drawn is not scored at all.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import GeometryMismatchError, UnknownMetricError
from gossamer.evaluate.path_length import added_path_length_mm, path_length_mm
from gossamer.evaluate.surface import SurfaceDistances, surface_distances
from gossamer.units import ZYX

_TIE_MM = 1e-4
"""Spacings are stored in single precision: a distance of one slice must still count as within a tolerance of one."""


@dataclass(frozen=True, eq=False)
class MaskPair:
    """A predicted and a reference mask on one grid; their surfaces are found once, when first asked for.

    Attributes:
        prediction: bool [z, y, x].
        reference: bool [z, y, x].
        spacing_mm: voxel spacing along z, y, x.
        tolerance_mm: surface distance that counts as agreement.

    Raises:
        GeometryMismatchError: the masks differ in shape.
    """

    prediction: NDArray[np.bool_]
    reference: NDArray[np.bool_]
    spacing_mm: ZYX = (1.0, 1.0, 1.0)
    tolerance_mm: float = 0.0

    def __post_init__(self) -> None:
        if self.prediction.shape != self.reference.shape:
            raise GeometryMismatchError(
                f"wanted two masks on one grid; found shapes {self.prediction.shape} (prediction) and "
                f"{self.reference.shape} (reference); resample one of them onto the other's grid"
            )

    @cached_property
    def predicted_voxels(self) -> int:
        """Voxels inside the prediction."""
        return int(np.count_nonzero(self.prediction))

    @cached_property
    def reference_voxels(self) -> int:
        """Voxels inside the reference."""
        return int(np.count_nonzero(self.reference))

    @cached_property
    def surface(self) -> SurfaceDistances:
        """Distances between the surfaces; both masks must have voxels."""
        return surface_distances(self.prediction, self.reference, self.spacing_mm)


def dice(prediction: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """Dice similarity coefficient: twice the common voxels over all voxels of both.

    Args:
        prediction: bool [z, y, x].
        reference: bool [z, y, x].

    Returns:
        A number in [0, 1]; nan where the reference is empty.

    Raises:
        GeometryMismatchError: the masks differ in shape.
    """
    return _dice(MaskPair(prediction, reference))


def surface_dice(
    prediction: NDArray[np.bool_], reference: NDArray[np.bool_], spacing_mm: ZYX, tolerance_mm: float
) -> float:
    """Surface DSC: the share of both surfaces' area that lies within a tolerance of the other surface.

    Args:
        prediction: bool [z, y, x].
        reference: bool [z, y, x].
        spacing_mm: voxel spacing along z, y, x.
        tolerance_mm: distance that counts as agreement; see ``gossamer.evaluate.tolerance``.

    Returns:
        A number in [0, 1]; nan where the reference is empty.

    Raises:
        GeometryMismatchError: the masks differ in shape.

    Source: Nikolov et al., J Med Internet Res 2021.
    """
    return _surface_dice(MaskPair(prediction, reference, spacing_mm, tolerance_mm))


def hd95(prediction: NDArray[np.bool_], reference: NDArray[np.bool_], spacing_mm: ZYX) -> float:
    """95th percentile of the surface distances by area, in mm; the larger of the two directions.

    Args:
        prediction: bool [z, y, x].
        reference: bool [z, y, x].
        spacing_mm: voxel spacing along z, y, x.

    Returns:
        Millimetres; nan where either mask is empty.

    Raises:
        GeometryMismatchError: the masks differ in shape.

    Source: Nikolov et al., J Med Internet Res 2021 (robust Hausdorff distance).
    """
    return _hd95_mm(MaskPair(prediction, reference, spacing_mm))


def _dice(pair: MaskPair) -> float:
    if not pair.reference_voxels:
        return math.nan
    common = int(np.count_nonzero(pair.prediction & pair.reference))
    return 2.0 * common / (pair.predicted_voxels + pair.reference_voxels)


def _surface_dice(pair: MaskPair) -> float:
    if not pair.reference_voxels:
        return math.nan
    if not pair.predicted_voxels:
        return 0.0
    surface, within_mm = pair.surface, pair.tolerance_mm + _TIE_MM
    agreeing_mm2 = (
        surface.prediction_mm2[surface.from_prediction_mm <= within_mm].sum()
        + surface.reference_mm2[surface.from_reference_mm <= within_mm].sum()
    )
    return float(agreeing_mm2 / (surface.prediction_mm2.sum() + surface.reference_mm2.sum()))


def _hd95_mm(pair: MaskPair) -> float:
    if not pair.reference_voxels or not pair.predicted_voxels:
        return math.nan
    surface = pair.surface
    return max(
        _percentile_by_area(surface.from_prediction_mm, surface.prediction_mm2, 0.95),
        _percentile_by_area(surface.from_reference_mm, surface.reference_mm2, 0.95),
    )


def _apl_mm(pair: MaskPair) -> float:
    return _added_mm(pair, 0.0)


def _apl_tolerance_mm(pair: MaskPair) -> float:
    return _added_mm(pair, pair.tolerance_mm + _TIE_MM)


def _apl_share(pair: MaskPair) -> float:
    """The added path length over the length of the reference's contour."""
    return _added_mm(pair, 0.0) / path_length_mm(pair.reference, pair.spacing_mm) if pair.reference_voxels else math.nan


def _added_mm(pair: MaskPair, tolerance_mm: float) -> float:
    if not pair.reference_voxels:
        return math.nan
    return added_path_length_mm(pair.prediction, pair.reference, pair.spacing_mm, tolerance_mm)


def _percentile_by_area(distances_mm: NDArray[np.float64], areas_mm2: NDArray[np.float64], share: float) -> float:
    """The smallest distance within which at least ``share`` of the area lies."""
    order = np.argsort(distances_mm)
    cumulated = np.cumsum(areas_mm2[order])
    first = int(np.searchsorted(cumulated, share * cumulated[-1]))
    return float(distances_mm[order[min(first, len(order) - 1)]])


METRICS: Mapping[str, Callable[[MaskPair], float]] = {
    "dsc": _dice,
    "surface_dsc": _surface_dice,
    "hd95_mm": _hd95_mm,
}
"""The metrics of a study, by their names in its files and tables."""

ALL_METRICS: Mapping[str, Callable[[MaskPair], float]] = {
    **METRICS,
    "apl_mm": _apl_mm,
    "apl_tolerance_mm": _apl_tolerance_mm,
    "apl_share": _apl_share,
}
"""Those, and what is only taken where it is asked for."""


def check_metrics(names: Iterable[str], valid: Iterable[str] = tuple(METRICS)) -> tuple[str, ...]:
    """The names, if each is a metric.

    Args:
        names: to be checked.
        valid: those that there are; a study's, or ``ALL_METRICS``.

    Raises:
        UnknownMetricError: one is not; the message names the nearest and all valid ones.
    """
    names, valid = tuple(names), tuple(valid)
    for name in names:
        if name not in valid:
            near = difflib.get_close_matches(name.lower(), valid, n=1, cutoff=0.3)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UnknownMetricError(f"wanted a metric; found {name!r}; {hint}valid metrics are {', '.join(valid)}")
    return names
