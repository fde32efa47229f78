"""Where rings are joined to one polygon: channels of no width between them.

Law: channels join all rings, each the shortest one, between points a quarter of a pixel apart, that crosses no ring and
no other channel and keeps away from pixels' centres; so that a reader who counts edges otherwise finds the same pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, KDTree

from gossamer.dicom.rtstruct.rings import Ring
from gossamer.dicom.rtstruct.segments import Walls

Point = tuple[float, float]
Points = NDArray[np.float64]

BERTH_PIXELS = 0.25
"""A channel may begin at points of a ring this far apart: where rings go straight, corners alone lie too far away. Of
traced rings, all these have coordinates that floats hold exactly."""

CLEARANCE_PIXELS = 0.2
"""Of a channel from pixels' centres; one that runs along a quarter of a pixel keeps it."""

NEAREST = 8
"""Points of another ring that are tried from each berth."""


@dataclass(frozen=True)
class Berth:
    """A point of a ring where a channel may begin.

    Attributes:
        ring: its index.
        place: index of the ring's point before it, and a fraction of the edge behind that.
        point: (row, column).
    """

    ring: int
    place: float
    point: Point


def channels_between(rings: Sequence[Ring]) -> Iterator[tuple[Berth, Berth]]:
    """Channels that join all rings: the shortest first, as in Kruskal's tree.

    What is asked of a channel is given up only where no pair of berths has it: first that it keeps away from centres
    and shares no berth, and at last that it crosses nothing, which changes no pixel by the even-odd rule.
    """
    berths = _Berths(rings)
    pairs = _pairs(berths.points, berths.ring_of)
    walls, groups, used = Walls.of_rings(rings), _Groups(len(rings)), set[int]()
    for demand in range(3):
        for a, b in pairs:
            if groups.left == 1:
                return
            one, other = int(berths.ring_of[a]), int(berths.ring_of[b])
            if groups.root(one) == groups.root(other):
                continue
            begin, end = berths.points[a], berths.points[b]
            if demand < 1 and (a in used or b in used or not _is_clear(begin, end)):
                continue
            if demand < 2 and walls.are_crossed_by(begin, end):
                continue
            groups.join(one, other)
            used |= {a, b}
            walls.add(begin, end)
            yield berths.of(a), berths.of(b)


class _Berths:
    """Points [n, 2] along all rings, of each the ring, and its place there."""

    def __init__(self, rings: Sequence[Ring]) -> None:
        points, ring_of, places = [], [], []
        for i, ring in enumerate(rings):
            steps = np.roll(ring, -1, axis=0) - ring
            pieces = np.maximum(1, np.rint(np.abs(steps).max(axis=1) / BERTH_PIXELS)).astype(np.intp)
            edge = np.repeat(np.arange(len(ring)), pieces)
            fraction = (np.arange(len(edge)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) / pieces[edge]
            along = ring[edge] + fraction[:, None] * steps[edge]
            beside = (along != np.rint(along)).all(axis=1)  # from the others a channel goes straight through centres
            kept = beside if beside.any() else np.ones_like(beside)
            points.append(along[kept])
            ring_of.append(np.full(kept.sum(), i))
            places.append((edge + fraction)[kept])
        self.points, self.ring_of, self.places = map(np.concatenate, (points, ring_of, places))

    def of(self, index: int) -> Berth:
        row, column = self.points[index].tolist()
        return Berth(int(self.ring_of[index]), float(self.places[index]), (row, column))


class _Groups:
    """Which rings are joined already (union-find)."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))
        self.left = count

    def root(self, ring: int) -> int:
        while self._parents[ring] != ring:
            self._parents[ring] = self._parents[self._parents[ring]]
            ring = self._parents[ring]
        return ring

    def join(self, one: int, other: int) -> None:
        self._parents[self.root(one)] = self.root(other)
        self.left -= 1


def _pairs(points: Points, ring_of: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Berths of different rings that may be joined, the nearest first.

    Of each two rings that are neighbours in the Delaunay graph, which is connected, some of the nearest: the graph's
    own edges run askew where rings are straight, and through centres.
    """
    corners = Delaunay(points).simplices
    sides = np.sort(ring_of[np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])], axis=1)
    members = [np.flatnonzero(ring_of == ring) for ring in range(int(ring_of.max()) + 1)]
    trees = [KDTree(points[own]) for own in members]
    lengths, firsts, seconds = [], [], []
    for pair in np.unique(sides[sides[:, 0] != sides[:, 1]], axis=0).tolist():
        small, large = sorted(pair, key=lambda ring: len(members[ring]))
        found = np.arange(1, 1 + min(NEAREST, len(members[large])))
        length, place = trees[large].query(points[members[small]], k=found)
        lengths.append(length.ravel())
        firsts.append(np.repeat(members[small], len(found)))
        seconds.append(members[large][place].ravel())
    order = np.argsort(np.concatenate(lengths), kind="stable")
    return list(zip(np.concatenate(firsts)[order].tolist(), np.concatenate(seconds)[order].tolist(), strict=True))


def _is_clear(begin: Points, end: Points) -> bool:
    """Whether a segment keeps away from the centres of all pixels beside it."""
    (row, column), (row_step, column_step) = begin.tolist(), (end - begin).tolist()
    if abs(row_step) < abs(column_step):  # along the longer way a centre lies on each line that is crossed
        row, column, row_step, column_step = column, row, column_step, row_step
    leaning = abs(row_step) / math.hypot(row_step, column_step)
    low, high = sorted((row, row + row_step))
    met = (column + (line - row) / row_step * column_step for line in range(math.ceil(low), math.floor(high) + 1))
    return all(abs(where - round(where)) * leaning >= CLEARANCE_PIXELS for where in met)
