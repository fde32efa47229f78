"""From a structure to the contour that a hospital draws of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from gossamer.data.phantom.fields import FloatGrid, texture
from gossamer.data.phantom.hospital import Habit
from gossamer.units import ZYX

BAND_MM = 15.0
"""Distances are looked at this far from the surface; more than any margin."""

HAND_GRAIN_MM = 8.0

GENTLE = 0.3
"""Smoothing by more than this part of an organ's inner radius would dissolve it."""


def draw_contour(distance_mm: FloatGrid, spacing_mm: ZYX, habit: Habit, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The mask that a hospital draws.

    Args:
        distance_mm: to the true surface, about, negative inside; float32 [z, y, x].
        spacing_mm: along z, y, x.
        habit: of the hospital.
        rng: of the hand.

    Returns:
        Mask bool [z, y, x].
    """
    drawn = np.zeros(distance_mm.shape, np.bool_)
    near = _bounding_box(distance_mm < BAND_MM)
    if near is None or not (distance_mm < 0).any():
        return drawn
    distance = _in_mm(distance_mm[near], spacing_mm)
    if habit.smoothing_mm:
        distance = _smoothed(distance, spacing_mm, habit.smoothing_mm)
    hand = np.zeros_like(distance)
    if habit.wobble_mm:
        hand = habit.wobble_mm * texture(distance.shape, spacing_mm, HAND_GRAIN_MM, rng)
    drawn[near] = distance < habit.margin_mm + hand
    return _without_ends(drawn, habit.slices_skipped)


def _in_mm(distance: FloatGrid, spacing_mm: ZYX) -> FloatGrid:
    """Distances made true near the surface, where organs were blended or cut by each other."""
    steps = np.gradient(distance, *spacing_mm)
    slope = np.sqrt(sum(step * step for step in steps))
    return np.asarray(np.clip(distance / np.clip(slope, 0.5, 2.0), -BAND_MM, BAND_MM))


def _smoothed(distance: FloatGrid, spacing_mm: ZYX, smoothing_mm: float) -> FloatGrid:
    """Without detail, at the same volume."""
    grain = min(smoothing_mm, -GENTLE * float(distance.min()))
    smooth = gaussian_filter(distance, [grain / s for s in spacing_mm], mode="nearest")
    inside = int(np.count_nonzero(distance < 0))
    return np.asarray(smooth - np.partition(smooth.ravel(), inside)[inside], np.float32)


def _without_ends(mask: NDArray[np.bool_], skipped: int) -> NDArray[np.bool_]:
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    if skipped and slices.size > 2 * skipped:
        mask[slices[:skipped]] = False
        mask[slices[-skipped:]] = False
    return mask


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    if not mask.any():
        return None
    ranges = []
    for axis in range(3):
        there = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        ranges.append(slice(int(there[0]), int(there[-1]) + 1))
    return ranges[0], ranges[1], ranges[2]
