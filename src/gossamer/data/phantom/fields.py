"""Smooth random fields: what bends the anatomy, and what gives tissue its texture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from gossamer.units import ZYX, ShapeZYX

FloatGrid = NDArray[np.floating[Any]]
"""One number for each voxel, [z, y, x]; float32 wherever it is kept."""

AxesZYX = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Coordinates in mm of the voxel centres along each axis."""


def waves(axes_mm: AxesZYX, wavelength_mm: float, rng: np.random.Generator, terms: int = 8) -> FloatGrid:
    """A smooth field of about unit variance that depends on the place only, not on the grid it is seen on.

    Args:
        axes_mm: where to evaluate it.
        wavelength_mm: typical distance of its crests.
        rng: where its crests lie.
        terms: waves that are added; each is a product of three cosines, so that it costs one pass over the grid.
    """
    field = np.zeros([axis.size for axis in axes_mm], np.float32)
    for _ in range(terms):
        direction = rng.standard_normal(3)
        direction *= 2 * np.pi / wavelength_mm * rng.uniform(0.6, 1.4) / np.linalg.norm(direction)
        phases = rng.uniform(0, 2 * np.pi, 3)
        z, y, x = (
            np.cos(k * axis + phase, dtype=np.float32)
            for k, axis, phase in zip(direction, axes_mm, phases, strict=True)
        )
        field += z[:, None, None] * (y[:, None] * x)
    return field * math.sqrt(8 / terms)


def texture(shape: ShapeZYX, spacing_mm: ZYX, grain_mm: float, rng: np.random.Generator) -> FloatGrid:
    """Gaussian noise of unit variance whose grains are ``grain_mm`` wide (standard deviation of the filter)."""
    field = rng.standard_normal(shape, dtype=np.float32)
    field = gaussian_filter(field, [grain_mm / s for s in spacing_mm], mode="wrap", truncate=3.0)
    return np.asarray(field / field.std(), np.float32)
