"""A dose on a grid of its own, and what it is anywhere in the patient.

Law
    1. Between the centres of its voxels a dose is trilinear. A grid reaches half a voxel beyond its outermost centres;
       in that rim the line through the last two centres is followed, and never below 0.
    2. What lies further out is unknown: nan, never 0. A planning system cuts the grid where nobody looks, not where the
       dose ends.
    3. Dose is in Gy. A number in another unit is refused where it can be told, and never converted by a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossamer.data.frame import Frame
from gossamer.data.nifti import read_file
from gossamer.data.orientation import Orientation
from gossamer.errors import GeometryMismatchError, UnreadableImageError

Floats = NDArray[np.float64]

MAX_NIFTI_GRAY = 500.0
"""Of a file that does not name its unit: plans of external beams stay under 200 Gy, and one fraction of 8 Gy is 800 in
cGy."""

RINGING = 0.01
"""Share of the maximum below 0 that resampling with splines leaves behind; such values are 0."""

EDGE_VOXELS = 1e-3
"""Beyond the grid's edge; less is rounding."""


@dataclass(frozen=True, eq=False)
class DoseGrid:
    """A dose distribution.

    Attributes:
        gray: float32 [z, y, x], in Gy, canonical.
        frame: where its voxels lie; need not be the frame of the CT, nor parallel to it.
        notes: what a user should know.

    Raises:
        GeometryMismatchError: it has fewer than two voxels along an axis, so that nothing lies between.
    """

    gray: NDArray[np.float32]
    frame: Frame
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.gray.shape != self.frame.shape or min(self.gray.shape) < 2:
            raise GeometryMismatchError(
                "wanted a dose of at least 2 planes, rows and columns; found "
                f"{' x '.join(str(n) for n in self.gray.shape)}; export the dose of the whole plan, not of one plane"
            )

    def at(self, points_xyz: Floats) -> NDArray[np.float32]:
        """Dose in Gy at world points (x, y, z) in mm, arrays [n, 3]; nan where it is unknown (laws 1 and 2)."""
        index = self.frame.index_from_world(points_xyz)
        size = np.asarray(self.gray.shape)
        known = np.all((index >= -0.5 - EDGE_VOXELS) & (index <= size - 0.5 + EDGE_VOXELS), axis=1)
        low = np.clip(np.floor(index), 0, size - 2).astype(np.intp)
        above = (index - low).astype(np.float32)
        flat, strides = self.gray.reshape(-1), np.array([size[1] * size[2], size[2], 1])
        first = low @ strides
        values = np.zeros(len(index), np.float32)
        for corner in product((0, 1), repeat=3):
            share = np.prod(np.where(corner, above, 1 - above), axis=1)
            values += share * flat[first + int(np.dot(corner, strides))]
        return np.where(known, np.maximum(values, 0), np.float32(np.nan))

    def onto(self, frame: Frame) -> NDArray[np.float32]:
        """The dose at the voxel centres of another grid: float32 of its shape, nan where it is unknown."""
        planes = np.indices((1, *frame.shape[1:]), dtype=np.float64).reshape(3, -1).T
        sampled = np.empty(frame.shape, np.float32)
        for z in range(frame.shape[0]):
            sampled[z] = self.at(frame.world_from_index(planes + np.array([z, 0, 0]))).reshape(frame.shape[1:])
        return sampled


def read_dose_nifti(path: Path, what: str = "dose") -> DoseGrid:
    """Read a dose in Gy.

    Args:
        path: NIfTI, compressed or not.
        what: how messages call it, for example ``case pt_1, dose``; never a path, which may hold a name.

    Raises:
        UnreadableImageError: as for an image, or its values are no dose in Gy.
        GeometryMismatchError: it has fewer than two planes, rows or columns.
    """
    file = read_file(path, what)
    orientation = Orientation.of_affine(file.ras_from_file)
    gray = np.ascontiguousarray(orientation.to_canonical(file.array), dtype=np.float32)
    if not np.isfinite(gray).all():
        raise UnreadableImageError(
            f"{what}: wanted a dose in every voxel; found {np.count_nonzero(~np.isfinite(gray)):,} that are no number; "
            "export the dose again"
        )
    lowest, highest = float(gray.min()), float(gray.max())
    if lowest < -RINGING * max(highest, 0.0):
        raise UnreadableImageError(
            f"{what}: wanted doses of 0 Gy or more; found {lowest:.4g}; is it the difference of two doses, or the CT?"
        )
    if highest > MAX_NIFTI_GRAY:
        raise UnreadableImageError(
            f"{what}: wanted dose in Gy; found values up to {highest:.4g}; is it in cGy, or the CT? write it in Gy"
        )
    return DoseGrid(np.maximum(gray, 0), orientation.frame(file.array.shape, file.ras_from_file))
