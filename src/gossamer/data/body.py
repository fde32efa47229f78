"""The body in a CT on a coarse grid: what questions about the whole image are asked of.

A CT of 500 slices has 130 million voxels; where the body lies, which way it faces and whether its tissues have the HU
of tissues can be told from a voxel every few millimetres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.network_input import BODY_HU
from gossamer.units import ZYX, ShapeZYX

COARSE_MM = 4.0
"""About the voxels of the coarsest planning CT; a skull's wall is still two voxels of it."""

LARGE_PART = 0.1
"""Pieces at least this large beside the largest belong to the patient: two legs, arms beside the trunk."""

_IN_PLANE = ndimage.generate_binary_structure(2, 1)[None]


@dataclass(frozen=True, eq=False)
class Body:
    """A CT, thinned out, and where the patient is in it.

    Attributes:
        hu: float32 [z, y, x].
        inside: bool [z, y, x]: patient, with lungs, gas and airways, without couch and air around.
        step: every how many voxels of the CT, along z, y, x.
        spacing_mm: of this grid.
    """

    hu: NDArray[np.float32]
    inside: NDArray[np.bool_]
    step: ShapeZYX
    spacing_mm: ZYX

    def thinned(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask of the CT's grid on this one."""
        z, y, x = self.step
        return np.ascontiguousarray(mask[::z, ::y, ::x])

    @property
    def image(self) -> Image:
        """The thinned CT; its first voxel is taken for the world's origin."""
        z, y, x = self.hu.shape
        return Image(self.hu, Frame.canonical((z, y, x), self.spacing_mm))


def find_body(image: Image) -> Body:
    """Where the patient is.

    Args:
        image: a CT in canonical orientation, in HU.

    Returns:
        The body; empty where nothing is denser than air.
    """
    step = tuple(max(1, round(COARSE_MM / s)) for s in image.frame.spacing_mm)
    z, y, x = step
    hu = np.ascontiguousarray(image.voxels[::z, ::y, ::x], dtype=np.float32)
    sz, sy, sx = (n * s for n, s in zip(step, image.frame.spacing_mm, strict=True))
    return Body(hu, _inside(hu), (z, y, x), (sz, sy, sx))


def _inside(hu: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Opening cuts the couch off; not along z nor at the image's faces, where the body itself is cut."""
    dense = ndimage.binary_erosion(hu > BODY_HU, _IN_PLANE, border_value=1)
    parts, found = ndimage.label(ndimage.binary_dilation(dense, _IN_PLANE))
    if not found:
        return np.zeros(hu.shape, dtype=np.bool_)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    patient = (sizes >= LARGE_PART * sizes.max())[parts]
    return np.stack([ndimage.binary_fill_holes(plane) for plane in patient])
