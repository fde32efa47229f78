"""Added path length: how much contour a person must draw to turn a prediction into the reference.

Law
    1. A contour is what the axial slice has of it: the pixels of the mask of which one of the four neighbours in the
       slice is not in the mask, or is outside the image.
    2. A pixel of the reference's contour is *added* if no pixel of the prediction's contour in the same slice lies
       within the tolerance, from centre to centre. With a tolerance of 0 it must be the same pixel.
    3. Each counts as long as a pixel is wide: the root of its area where pixels are not square. What must only be
       deleted costs nothing.

Source: Vaassen et al., "Evaluation of measures for assessing time-saving of automatic organ-at-risk segmentation in
radiotherapy", Phys Imaging Radiat Oncol 2020;13:1-6, and the code it published, which counts pixels as here.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from gossamer.data.resample import bounding_box
from gossamer.units import ZYX

IN_PLANE = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], dtype=bool)
"""A pixel and its four neighbours in the slice."""


def added_path_length_mm(
    prediction: NDArray[np.bool_], reference: NDArray[np.bool_], spacing_mm: ZYX, tolerance_mm: float
) -> float:
    """Added path length of a prediction.

    Args:
        prediction: bool [z, y, x]; may be empty, then the whole contour is to be drawn.
        reference: bool [z, y, x] of the same shape.
        spacing_mm: voxel spacing along z, y, x.
        tolerance_mm: distance in the slice that needs no correction.
    """
    box = bounding_box(prediction | reference)
    there, wanted = contours(prediction[box]), contours(reference[box])
    if tolerance_mm <= 0:
        added = int(np.count_nonzero(wanted & ~there))
    else:
        added = sum(_farther(there[z], wanted[z], spacing_mm[1:], tolerance_mm) for z in range(len(wanted)))
    return added * _pixel_mm(spacing_mm)


def path_length_mm(mask: NDArray[np.bool_], spacing_mm: ZYX) -> float:
    """Length of the whole contour of a mask, bool [z, y, x], over all its slices, counted in the same way."""
    return int(np.count_nonzero(contours(mask[bounding_box(mask)]))) * _pixel_mm(spacing_mm)


def contours(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The contour pixels of a mask, bool [z, y, x] (law 1)."""
    return np.asarray(mask & ~binary_erosion(mask, IN_PLANE))


def _farther(
    there: NDArray[np.bool_], wanted: NDArray[np.bool_], spacing_mm: tuple[float, float], tolerance_mm: float
) -> int:
    """Contour pixels of a slice that are wanted and lie farther than the tolerance from those that are there."""
    if not there.any():
        return int(np.count_nonzero(wanted))
    distance_mm = np.asarray(distance_transform_edt(~there, sampling=spacing_mm))
    return int(np.count_nonzero(distance_mm[wanted] > tolerance_mm))


def _pixel_mm(spacing_mm: ZYX) -> float:
    return math.sqrt(spacing_mm[1] * spacing_mm[2])
