"""Rings sorted into parts: each outer one with the holes directly in it.

Law: of rings that do not touch, one in an even number of others is an outer one, else it is a hole of the smallest of
them. Holes run against the ring around them, so that the even-odd and the non-zero rule find the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossamer.dicom.rtstruct.rings import Ring, area

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Part:
    """A ring and the holes directly in it: the pixels of one connected piece.

    Attributes:
        outer: points [n, 2], with positive area.
        holes: each with negative area; without the islands in them, which are parts of their own.
    """

    outer: Ring
    holes: tuple[Ring, ...]

    @property
    def rings(self) -> tuple[Ring, ...]:
        """The outer one first."""
        return self.outer, *self.holes


def parts_of(rings: Sequence[Ring]) -> list[Part]:
    """Rings of one slice, none of which touches another, by what lies in what; in the order of the outer rings."""
    inside = containment(rings)
    sizes = np.array([abs(area(ring)) for ring in rings])
    depths = inside.sum(axis=1)
    holes: dict[int, list[Ring]] = {i: [] for i in range(len(rings)) if depths[i] % 2 == 0}
    for i in np.flatnonzero(depths % 2 == 1).tolist():
        around = np.flatnonzero(inside[i])
        holes[int(around[sizes[around].argmin()])].append(_turned(rings[i], -1))
    return [Part(_turned(rings[i], +1), tuple(within)) for i, within in holes.items()]


def containment(rings: Sequence[Ring]) -> Mask:
    """Which rings lie in which, of rings that do not meet.

    Returns:
        bool [i, j]: whether ring i lies in ring j.
    """
    firsts = np.array([ring[0] for ring in rings]).reshape(-1, 2)
    inside = np.zeros((len(rings), len(rings)), np.bool_)
    for j, ring in enumerate(rings):
        near = ((firsts > ring.min(axis=0)) & (firsts < ring.max(axis=0))).all(axis=1)
        near[j] = False
        inside[near, j] = _are_inside(firsts[near], ring)
    return inside


def _turned(ring: Ring, sign: int) -> Ring:
    return ring if area(ring) * sign > 0 else np.asarray(ring[::-1])


def _are_inside(points: Points, ring: Ring) -> Mask:
    """Of each point, whether the ring encloses it; bool [n]."""
    begins, ends = ring, np.roll(ring, -1, axis=0)
    row, column = points[:, :1], points[:, 1:]
    meets = (begins[:, 0] <= row) != (ends[:, 0] <= row)
    rise = np.where(begins[:, 0] == ends[:, 0], 1.0, ends[:, 0] - begins[:, 0])
    where = begins[:, 1] + (row - begins[:, 0]) / rise * (ends[:, 1] - begins[:, 1])
    return np.asarray((meets & (where > column)).sum(axis=1) % 2 == 1)
