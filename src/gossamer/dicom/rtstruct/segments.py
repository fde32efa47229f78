"""Straight segments in a plane: whether they touch, and how far points are from them.

Law: two segments touch where they have a point in common, at ends as well. Points with few binary digits, as those of
traced rings do, are judged exactly.

Points are (row, column) [2]; many of them [n, 2].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gossamer.dicom.rtstruct.rings import Ring

Points = NDArray[np.float64]

SHRUNK = 1e-6
"""Part of a segment at each end in which it may touch: there it meets what it joins."""


class Walls:
    """Segments that others may not cross."""

    def __init__(self, begins: Points, ends: Points) -> None:
        """From [n, 2] to [n, 2]."""
        self._begins, self._ends = begins, ends
        self._set_boxes()

    @classmethod
    def of_rings(cls, rings: Sequence[Ring]) -> Walls:
        """Their edges."""
        return cls(np.concatenate(list(rings)), np.concatenate([np.roll(ring, -1, axis=0) for ring in rings]))

    def add(self, begin: Points, end: Points) -> None:
        """One more."""
        self._begins, self._ends = np.vstack([self._begins, begin]), np.vstack([self._ends, end])
        self._set_boxes()

    def _set_boxes(self) -> None:
        self._low, self._high = (
            np.minimum(self._begins, self._ends).T.copy(),
            np.maximum(self._begins, self._ends).T.copy(),
        )

    def touched_by(self, begin: Points, end: Points) -> NDArray[np.intp]:
        """Which of them a segment touches; ascending indices."""
        (top, left), (bottom, right) = np.minimum(begin, end), np.maximum(begin, end)
        (low_row, low_column), (high_row, high_column) = self._low, self._high
        near = np.flatnonzero((high_row >= top) & (low_row <= bottom) & (high_column >= left) & (low_column <= right))
        a, b = self._begins[near], self._ends[near]
        sides = _turn(a, b, begin) * _turn(a, b, end), _turn(begin, end, a) * _turn(begin, end, b)
        return near[(sides[0] <= 0) & (sides[1] <= 0)]  # of those on one line, too, since their boxes meet

    def are_crossed_by(self, begin: Points, end: Points) -> bool:
        """Whether a segment touches one of them anywhere but at its own ends."""
        step = end - begin
        return len(self.touched_by(begin + SHRUNK * step, end - SHRUNK * step)) > 0


def meet(rings: Sequence[Ring]) -> bool:
    """Whether rings touch each other or themselves anywhere but where an edge follows another."""
    walls, first = Walls.of_rings(rings), 0
    for ring in rings:
        ends = np.roll(ring, -1, axis=0)
        for n, (begin, end) in enumerate(zip(ring, ends, strict=True)):
            beside = {first + (n + step) % len(ring) for step in (-1, 0, 1)}
            if not beside.issuperset(walls.touched_by(begin, end).tolist()):
                return True
        first += len(ring)
    return False


def distances_to(points: Points, begins: Points, ends: Points) -> Points:
    """From each of the points [n, 2] to the nearest of the segments [m, 2]...[m, 2]; float64 [n]."""
    steps = ends - begins
    away = points[:, None] - begins
    along = (away * steps).sum(axis=2) / np.maximum((steps**2).sum(axis=1), np.finfo(np.float64).tiny)
    return np.asarray(np.linalg.norm(away - np.clip(along, 0, 1)[..., None] * steps, axis=2).min(axis=1))


def _turn(a: Points, b: Points, c: Points) -> Points:
    """Positive, negative or 0, as the way from a by b to c turns."""
    one, other = b - a, c - a
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0])
