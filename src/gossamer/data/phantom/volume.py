"""Organs of a wanted volume."""

from __future__ import annotations

import numpy as np

from gossamer.data.phantom.fields import FloatGrid
from gossamer.units import ZYX

MOST_MM = 30.0
"""A shape is grown or shrunk by at most this; beyond, it would no longer look like itself."""

SPREAD = 1.4
"""Volumes are drawn within this many standard deviations: 84 % of patients, so that all stay between the 5th and 95th
percentile of real ones."""


def draw_volume(median_ml: float, p5_ml: float, p95_ml: float, z: float) -> float:
    """A volume in ml from a lognormal distribution.

    Args:
        median_ml: of patients.
        p5_ml: fifth percentile.
        p95_ml: 95th percentile.
        z: a standard normal number, which the organs of a pair may share.
    """
    low, high = median_ml / p5_ml, p95_ml / median_ml
    z = float(np.clip(z, -SPREAD, SPREAD))
    return float(median_ml * (high if z > 0 else low) ** (z / 1.645))


def grow_to(volume_ml: float, free: FloatGrid, limit: FloatGrid, spacing_mm: ZYX) -> FloatGrid:
    """The shape moved outwards or inwards until it has a volume.

    Args:
        volume_ml: wanted.
        free: distance to the shape in mm.
        limit: distance to what the shape must not leave, whatever its size.
        spacing_mm: of the grid.

    Returns:
        The distance to the new shape.
    """
    wanted = volume_ml * 1000 / float(np.prod(spacing_mm))
    candidates = np.sort(free[limit < 0])
    growth = float(candidates[min(int(wanted), candidates.size - 1)]) if candidates.size else 0.0
    growth = float(np.clip(growth, -MOST_MM, MOST_MM))
    return np.asarray(np.maximum(free - growth, limit))
