"""Between the axes of a file and canonical ones: permutations and flips, so that no voxel value changes.

A file's array is [i, j, k] with an affine to RAS millimetres (NIfTI-1, section "orientation information"). The
canonical array is [z, y, x] with its axes as near as permutation and flips bring them to head, back and left. An
oblique scan stays oblique: its frame says how it lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from gossamer.data.frame import Frame
from gossamer.units import ShapeZYX

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Orientation:
    """How to turn a file's array into a canonical one, and back.

    Attributes:
        axes: for z, y, x the axis of the file's array that runs along it.
        flipped: for z, y, x whether the file's array runs the other way.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @classmethod
    def of_affine(cls, ras_from_file: NDArray[np.float64]) -> Orientation:
        """The nearest orientation to an affine [4, 4], which is not singular."""
        nearest = nibabel.io_orientation(LPS_FROM_RAS @ ras_from_file)
        world_of_axis = nearest[:, 0].astype(int)
        axes = [int(np.flatnonzero(world_of_axis == world)[0]) for world in (2, 1, 0)]
        z, y, x = (bool(nearest[axis, 1] < 0) for axis in axes)
        return cls((axes[0], axes[1], axes[2]), (z, y, x))

    def to_canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """A view [z, y, x] of a file's array [i, j, k]."""
        return np.asarray(array.transpose(self.axes)[self._steps])

    def to_file(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """A view [i, j, k] of a canonical array [z, y, x]."""
        return np.asarray(voxels[self._steps].transpose(np.argsort(self.axes)))

    def frame(self, shape: tuple[int, ...], ras_from_file: NDArray[np.float64]) -> Frame:
        """Where the canonical array lies.

        Args:
            shape: of the file's array [i, j, k].
            ras_from_file: the file's affine [4, 4].
        """
        z, y, x = (int(shape[axis]) for axis in self.axes)
        return Frame((z, y, x), LPS_FROM_RAS @ ras_from_file @ self._file_from_canonical((z, y, x)))

    @property
    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1) if flipped else slice(None) for flipped in self.flipped)

    def _file_from_canonical(self, shape: ShapeZYX) -> NDArray[np.float64]:
        """Affine [4, 4] from index (z, y, x) to index (i, j, k)."""
        affine = np.zeros((4, 4))
        affine[3, 3] = 1.0
        for along, (axis, flipped) in enumerate(zip(self.axes, self.flipped, strict=True)):
            affine[axis, along] = -1.0 if flipped else 1.0
            affine[axis, 3] = shape[along] - 1.0 if flipped else 0.0
        return affine
