"""Distances between the surfaces of two masks.

A surface is the set of voxel corners among whose eight voxels some lie inside the mask and some outside. Each
such corner stands for a piece of surface (a surfel) whose area is read off a table of the 256 ways in which
the eight voxels can be filled, so that areas are in mm² whatever the spacing.

Source: Nikolov et al., "Clinically applicable segmentation of head and neck anatomy for radiotherapy",
J Med Internet Res 2021, and the code it published (google-deepmind/surface-distance).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from monai.metrics.utils import get_code_to_measure_table
from numpy.typing import NDArray
from scipy.spatial import KDTree

from gossamer.data.resample import bounding_box
from gossamer.units import ZYX

_FULL = 255
"""Code of a corner all of whose eight voxels are inside."""


@dataclass(frozen=True)
class SurfaceDistances:
    """How far each piece of either surface lies from the other surface.

    Attributes:
        from_prediction_mm: float64 [P], from each surfel of the prediction to the reference's surface.
        prediction_mm2: float64 [P], the area of each.
        from_reference_mm: float64 [R], from each surfel of the reference to the prediction's surface.
        reference_mm2: float64 [R], the area of each.
    """

    from_prediction_mm: NDArray[np.float64]
    prediction_mm2: NDArray[np.float64]
    from_reference_mm: NDArray[np.float64]
    reference_mm2: NDArray[np.float64]


def surface_distances(prediction: NDArray[np.bool_], reference: NDArray[np.bool_], spacing_mm: ZYX) -> SurfaceDistances:
    """Measure two masks' surfaces against each other.

    Args:
        prediction: bool [z, y, x], not empty.
        reference: bool [z, y, x] of the same shape, not empty.
        spacing_mm: voxel spacing along z, y, x.
    """
    prediction_points, prediction_mm2 = _surfels(prediction, spacing_mm)
    reference_points, reference_mm2 = _surfels(reference, spacing_mm)
    return SurfaceDistances(
        from_prediction_mm=_nearest_mm(prediction_points, reference_points),
        prediction_mm2=prediction_mm2,
        from_reference_mm=_nearest_mm(reference_points, prediction_points),
        reference_mm2=reference_mm2,
    )


def _nearest_mm(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each point to the nearest of the others; a tree costs the surface, not the volume between."""
    return np.asarray(KDTree(others).query(points)[0])


def _surfels(mask: NDArray[np.bool_], spacing_mm: ZYX) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places (z, y, x) in mm and areas in mm² of a mask's surface elements.

    A mask that touches the edge of the image has its surface there.
    """
    box = bounding_box(mask)
    inside = np.pad(mask[box], 1)
    code = np.zeros([n - 1 for n in inside.shape], dtype=np.uint8)
    for bit, corner in enumerate(product((0, 1), repeat=3)):
        neighbour = inside[tuple(slice(c, n - 1 + c) for c, n in zip(corner, inside.shape, strict=True))]
        code |= neighbour.view(np.uint8) << np.uint8(7 - bit)
    corners = np.argwhere((code != 0) & (code != _FULL))
    area_mm2_of_code = get_code_to_measure_table(spacing_mm)[0].double().numpy()  # type: ignore[no-untyped-call]
    start = [s.start for s in box]
    return (corners + start) * np.asarray(spacing_mm), area_mm2_of_code[code[tuple(corners.T)]]
