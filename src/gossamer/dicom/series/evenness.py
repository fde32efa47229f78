"""How far the slices of a stack lie beside an even, straight grid, and what is taken for one."""

from __future__ import annotations

import numpy as np

from gossamer.dicom.series.stack import SliceStack

EVEN_MM = 0.1
"""Slices that lie nearer than this to an even, straight grid lie on it. Writers round positions to 0.1 mm: that moves a
slice by half of it, and the ends, which the grid hangs on, too."""

SAME_POSITION_MM = 0.01
"""Slices nearer than this are at one place."""

MAX_GAP = 3.0
"""Times the usual gap; over more, nothing can be interpolated."""


def is_regular(stack: SliceStack) -> bool:
    """Whether a stack is even and straight, so that permutations and flips make it canonical."""
    return len(stack.first_xyz) > 1 and unevenness_mm(stack) <= EVEN_MM and skew_mm(stack) <= EVEN_MM


def unevenness_mm(stack: SliceStack) -> float:
    """How far slices lie beside an even grid from the first to the last one, along the normal."""
    positions = stack.positions_mm
    even = np.linspace(positions[0], positions[-1], len(positions))
    return float(np.abs(positions - even).max())


def skew_mm(stack: SliceStack) -> float:
    """How far slices are shifted within their planes; 0 unless the gantry was tilted or the table moved askew."""
    return float(np.linalg.norm(stack.shifts_mm, axis=1).max())


def usual_gap_mm(stack: SliceStack) -> float:
    """The gap between slices, of at least two: their median, the lower one of two."""
    gaps = np.sort(np.diff(stack.positions_mm))
    return float(gaps[(len(gaps) - 1) // 2])
