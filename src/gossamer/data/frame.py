"""A frame of reference: where the voxels of an array lie in the patient.

A frame is one value (shape and affine), never loose tuples. The affine maps voxel centres: index
(z, y, x) to the world point (x, y, z) in LPS millimetres; see ``gossamer.units``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from gossamer.units import ZYX, ShapeZYX

SHOWN_TILT_DEGREES = 0.01
"""Less is rounding; over 500 slices it moves the last one by a tenth of a slice."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Shape of an array and the place of its voxels in the patient.

    Attributes:
        shape: voxels along z, y, x.
        world_from_voxel: float64 [4, 4]; ``world_from_voxel @ (z, y, x, 1) = (x_mm, y_mm, z_mm, 1)`` in LPS.
    """

    shape: ShapeZYX
    world_from_voxel: NDArray[np.float64]

    @classmethod
    def canonical(cls, shape: ShapeZYX, spacing_mm: ZYX, origin_mm: ZYX = (0.0, 0.0, 0.0)) -> Frame:
        """A frame whose axes point as the world's do.

        Args:
            shape: voxels along z, y, x.
            spacing_mm: distance of neighbouring voxel centres along z, y, x.
            origin_mm: centre of voxel (0, 0, 0), given as (z, y, x).
        """
        affine = np.zeros((4, 4))
        affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
        affine[:3, 3] = origin_mm[::-1]
        affine[3, 3] = 1.0
        return cls(shape, affine)

    @property
    def spacing_mm(self) -> ZYX:
        """Distance of neighbouring voxel centres along z, y, x in mm."""
        z, y, x = (float(s) for s in np.linalg.norm(self.world_from_voxel[:3, :3], axis=0))
        return z, y, x

    @property
    def extent_mm(self) -> ZYX:
        """Size of the field of view along z, y, x in mm, from voxel edge to voxel edge."""
        z, y, x = (n * s for n, s in zip(self.shape, self.spacing_mm, strict=True))
        return z, y, x

    def world_from_index(self, index_zyx: NDArray[np.float64]) -> NDArray[np.float64]:
        """World points (x, y, z) in mm of voxel indices (z, y, x); arrays [..., 3]."""
        return np.asarray(index_zyx @ self.world_from_voxel[:3, :3].T + self.world_from_voxel[:3, 3])

    def index_from_world(self, point_xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Voxel indices (z, y, x), not rounded, of world points (x, y, z) in mm; arrays [..., 3]."""
        inverse = np.linalg.inv(self.world_from_voxel)
        return np.asarray(point_xyz @ inverse[:3, :3].T + inverse[:3, 3])

    def differs_by_voxels(self, other: Frame) -> float:
        """How far apart the two grids lie at their worst corner, in voxels of this frame; inf if shapes differ."""
        if self.shape != other.shape:
            return float("inf")
        corners = np.array(list(product(*((0.0, n - 1.0) for n in self.shape))))
        away = self.index_from_world(other.world_from_index(corners)) - corners
        return float(np.abs(away).max())

    @property
    def tilt_degrees(self) -> float:
        """The largest angle between an axis and the world's that it runs along; 0 unless the scan is oblique."""
        along = np.abs(self.world_from_voxel[[2, 1, 0], [0, 1, 2]]) / self.spacing_mm
        return float(np.degrees(np.arccos(np.clip(along, 0.0, 1.0))).max())

    def describe(self) -> str:
        """One line for messages: shape, spacing, first voxel and, of an oblique scan, the tilt."""
        z, y, x = self.shape
        sz, sy, sx = self.spacing_mm
        ox, oy, oz = self.world_from_voxel[:3, 3]
        tilt = f", tilted by {self.tilt_degrees:.2f} degrees" if self.tilt_degrees >= SHOWN_TILT_DEGREES else ""
        return (
            f"{z}x{y}x{x} voxels (z, y, x) of {sz:.3f}x{sy:.3f}x{sx:.3f} mm, "
            f"first at (x, y, z) = ({ox:.3f}, {oy:.3f}, {oz:.3f}) mm LPS{tilt}"
        )
