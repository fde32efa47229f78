"""Where the slices of a series lie: the native grid, on which contours are filled and drawn.

Law: the grid is the file's own. Slices stand in the order of their positions along the normal, each where it says
(DICOM PS3.3 C.7.6.2.1.1): neither uneven distances nor a gantry tilt are evened out here.

Indices are (k, r, c): slice, row, column. ``world = first_xyz[k] + r * row_step_xyz + c * column_step_xyz``, in LPS
millimetres, of a pixel's centre. An orientation's first three numbers say where columns grow (along a row).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import GeometryMismatchError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SliceStack:
    """Geometry of parallel slices with equal rows, columns and pixels.

    Attributes:
        rows: pixels down a slice.
        columns: pixels across.
        first_xyz: float64 [k, 3]; centre of the first pixel of each slice, in LPS mm, in the order along the normal.
        row_step_xyz: float64 [3]; from a pixel to the one in the next row, in mm.
        column_step_xyz: float64 [3]; from a pixel to the one in the next column, in mm.
    """

    rows: int
    columns: int
    first_xyz: Floats
    row_step_xyz: Floats
    column_step_xyz: Floats

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows, columns."""
        return len(self.first_xyz), self.rows, self.columns

    @cached_property
    def normal_xyz(self) -> Floats:
        """Unit vector across the slices: columns' direction times rows' direction."""
        across = np.cross(self.column_step_xyz, self.row_step_xyz)
        return np.asarray(across / np.linalg.norm(across))

    @cached_property
    def positions_mm(self) -> Floats:
        """Of the slices along the normal, ascending: float64 [k]."""
        return np.asarray(self.first_xyz @ self.normal_xyz)

    @cached_property
    def half_gaps_mm(self) -> Floats:
        """How far each slice reaches: half way to its nearest neighbour; a single one without end; float64 [k]."""
        if len(self.first_xyz) == 1:
            return np.array([np.inf])
        gaps = np.diff(self.positions_mm)
        return np.asarray(np.minimum(np.append(gaps, gaps[-1]), np.insert(gaps, 0, gaps[0])) / 2)

    @cached_property
    def shifts_mm(self) -> Floats:
        """How far each slice's first pixel lies beside the normal through that of the first one; float64 [k, 3].

        All are 0 unless the gantry was tilted, or the table moved askew.
        """
        away = self.first_xyz - self.first_xyz[0]
        return np.asarray(away - np.outer(away @ self.normal_xyz, self.normal_xyz))

    def world_from_index(self, index_krc: Floats) -> Floats:
        """World points (x, y, z) in mm of indices (k, r, c); arrays [..., 3]; k is a whole number."""
        first = self.first_xyz[index_krc[..., 0].astype(np.intp)]
        return np.asarray(first + index_krc[..., 1:2] * self.row_step_xyz + index_krc[..., 2:3] * self.column_step_xyz)

    def pixel_from_world(self, points_xyz: Floats, k: int) -> Floats:
        """Pixels (r, c), not rounded, of world points seen along the normal on slice ``k``; float64 [..., 2]."""
        steps = np.stack([self.row_step_xyz, self.column_step_xyz, self.normal_xyz], axis=1)
        return np.asarray(((points_xyz - self.first_xyz[k]) @ np.linalg.inv(steps).T)[..., :2])

    def nearest_slice(self, position_mm: float) -> tuple[int, float]:
        """The slice nearest to a position along the normal, and how far it is from it in mm (signed)."""
        k = int(np.abs(self.positions_mm - position_mm).argmin())
        return k, float(position_mm - self.positions_mm[k])


def check_on_stack(native: NDArray[Any], stack: SliceStack) -> None:
    """Raise GeometryMismatchError unless an array is [k, r, c] on a stack."""
    if native.shape != stack.shape:
        raise GeometryMismatchError(
            f"wanted an array of {' x '.join(map(str, stack.shape))} (slices, rows, columns); found "
            f"{' x '.join(map(str, native.shape))}; take the stack that it was made on"
        )
