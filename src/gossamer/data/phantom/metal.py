"""Streaks from metal in teeth: rays that meet it are lost, in each direction by another amount."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gossamer.data.phantom.fields import AxesZYX, FloatGrid
from gossamer.data.phantom.shapes import PointXYZ

REACH_MM = 5.0
"""Slices this near to a filling have its streaks."""

STRENGTH_HU = 450.0
"""Of the streaks beside the filling; they fade with the distance from it."""

DIRECTIONS = 72


def add_streaks(hu: FloatGrid, axes_mm: AxesZYX, fillings: Sequence[PointXYZ], rng: np.random.Generator) -> None:
    """Paint the streaks of fillings.

    Args:
        hu: float32 [z, y, x]; changed.
        axes_mm: where its voxels are.
        fillings: where metal is, (x, y, z) in the same coordinates.
        rng: how strong the streaks are in each direction.
    """
    z, y, x = axes_mm
    for x_mm, y_mm, z_mm in fillings:
        slices = np.flatnonzero(np.abs(z - z_mm) < REACH_MM)
        from_y, from_x = y[:, None] - y_mm, x[None, :] - x_mm
        turn = (np.arctan2(from_y, from_x) / np.pi + 1) * DIRECTIONS
        # A ray passes the filling on both sides: the pattern repeats after half a turn.
        pattern = np.tile(rng.standard_normal(DIRECTIONS), 2)
        streaks = np.interp(turn, np.arange(2 * DIRECTIONS + 1), np.append(pattern, pattern[0]))
        fade = STRENGTH_HU / (1 + np.hypot(from_y, from_x) / 12)
        for index in slices:
            hu[index] += (streaks * fade * (1 - abs(z[index] - z_mm) / REACH_MM)).astype(np.float32)
