"""From HU to what the network reads. Training and prediction share this, so that they cannot differ."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gossamer.data.plan import Plan
from gossamer.data.resample import bounding_box
from gossamer.units import ShapeZYX

BODY_HU = -500.0
"""Above it is patient (or couch), below it air."""

BOX_MARGIN = 2
"""Voxels of air left around the body, for convolutions to see the skin's edge."""

POSITION_UNIT_MM = 100.0
"""Positions are given in decimetres: over a body they vary about as much as normalised intensities."""


def body_box(hu: NDArray[Any]) -> tuple[slice, slice, slice]:
    """The box [z, y, x] around the largest connected body in an image; the whole image if there is none.

    Opening by one voxel first cuts the couch and tubes off.
    """
    inside = ndimage.binary_opening(hu > BODY_HU)
    parts, found = ndimage.label(inside)
    if not found:
        z, y, x = (slice(0, n) for n in hu.shape)
        return z, y, x
    sizes = np.bincount(parts.ravel())
    largest = 1 + int(np.argmax(sizes[1:]))
    z, y, x = (
        slice(max(0, part.start - BOX_MARGIN), min(n, part.stop + BOX_MARGIN))
        for part, n in zip(bounding_box(parts == largest), hu.shape, strict=True)
    )
    return z, y, x


def body_centre_yx(hu: NDArray[Any]) -> tuple[float, float]:
    """Centre of mass (y, x) in voxels of everything above air; the middle of the image if all is air."""
    inside = hu > BODY_HU
    if not inside.any():
        return (hu.shape[1] - 1) / 2, (hu.shape[2] - 1) / 2
    _, y, x = ndimage.center_of_mass(inside)
    return float(y), float(x)


def network_input(
    hu: NDArray[Any], plan: Plan, centre_yx: tuple[float, float], first_voxel: ShapeZYX = (0, 0, 0)
) -> NDArray[np.float32]:
    """Normalised intensity and, where the plan has it, in-plane position.

    Args:
        hu: an image, or a patch of one, on the plan's spacing: [z, y, x].
        plan: window, mean and spread.
        centre_yx: of the body in the whole image (``body_centre_yx``), in voxels.
        first_voxel: where in the whole image ``hu`` begins (z, y, x); may be negative for a padded patch.

    Returns:
        float32 [channels, z, y, x].
    """
    channels = np.empty((plan.input_channels, *hu.shape), dtype=np.float32)
    np.clip(hu, plan.hu_low, plan.hu_high, out=channels[0], casting="unsafe")
    channels[0] -= np.float32(plan.hu_mean)
    channels[0] /= np.float32(plan.hu_sd)
    if plan.position_channels:
        for axis in (1, 2):
            place = (np.arange(hu.shape[axis]) + first_voxel[axis] - centre_yx[axis - 1]) * plan.spacing_mm[axis]
            channels[axis] = (place / POSITION_UNIT_MM)[:, None] if axis == 1 else place / POSITION_UNIT_MM
    return channels
