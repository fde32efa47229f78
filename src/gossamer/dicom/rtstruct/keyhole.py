"""Rings with holes as polygons without: each hole hangs on a channel of no width (DICOM PS3.3 C.8.8.6.3, keyhole).

Law
    1. ``fill(keyholes(trace(mask))) == mask``, also after the points were rounded as a structure set rounds them.
    2. A channel is passed twice, there and back, by the same two points: it encloses nothing, by any rule. It is the
       shortest one, between points a quarter of a pixel apart, that crosses no ring and no other channel and keeps
       away from pixels' centres; so that a reader who counts edges otherwise finds the same pixels.
    3. Holes run against the ring around them: the even-odd and the non-zero rule find the same pixels.

Points are (row, column) as in ``rings``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, KDTree

from gossamer.dicom.rtstruct.rings import Ring, area

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]

BERTH_PIXELS = 0.25
"""A channel may begin at points of a ring this far apart: where rings go straight, corners alone lie too far away. Of
traced rings, all these have coordinates that floats hold exactly."""

CLEARANCE_PIXELS = 0.2
"""Of a channel from pixels' centres; one that runs along a quarter of a pixel keeps it."""

NEAREST = 8
"""Points of another ring that are tried from each berth."""

SHRUNK = 1e-6
"""Part of a channel at each end in which it may touch: there it meets its own rings."""


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


def keyholes(rings: Sequence[Ring]) -> list[Ring]:
    """Polygons without holes that enclose what rings do by the even-odd rule.

    Args:
        rings: of one slice, as ``trace`` gives them; none of them touches another.

    Returns:
        A polygon a part, in the order of the outer rings.
    """
    return [joined(part) for part in parts_of(rings)]


def parts_of(rings: Sequence[Ring]) -> list[Part]:
    """Rings by containment: a ring in an even number of others is an outer one, else a hole of the smallest of them."""
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


def joined(part: Part) -> Ring:
    """One polygon [n, 2] along the outer ring and, by channels, along its holes; points that channels share recur."""
    if not part.holes:
        return part.outer
    rings = part.rings
    stops: list[list[_Stop]] = [[] for _ in rings]
    for channel, (one, other) in enumerate(_channels(rings)):
        stops[one.ring].append(_Stop(channel, one, other))
        stops[other.ring].append(_Stop(channel, other, one))
    return _walk(rings, stops)


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


# Channels

_Point = tuple[float, float]


@dataclass(frozen=True)
class _Berth:
    """A point of a ring where a channel may begin; ``place`` is the index of the point before it, and a fraction."""

    ring: int
    place: float
    point: _Point


@dataclass(frozen=True)
class _Stop:
    """A channel as met on the way along a ring."""

    channel: int
    here: _Berth
    there: _Berth


_Way = Iterator[tuple[_Point, _Stop | None]]
"""Points, and the channels that begin at them."""


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


def _channels(rings: Sequence[Ring]) -> Iterator[tuple[_Berth, _Berth]]:
    """Channels that join all rings: the shortest first, as in Kruskal's tree.

    What is asked of a channel is given up only where no pair of berths has it: first that it keeps away from centres
    and shares no berth, and at last that it crosses nothing, which law 1 does not need.
    """
    points, ring_of, places = _berths(rings)
    pairs = _pairs(points, ring_of)
    walls = np.concatenate([np.stack([ring, np.roll(ring, -1, axis=0)], axis=1) for ring in rings])
    groups, used = _Groups(len(rings)), set[int]()
    for demand in range(3):
        for a, b in pairs:
            if groups.left == 1:
                return
            if groups.root(int(ring_of[a])) == groups.root(int(ring_of[b])):
                continue
            segment = points[[a, b]]
            if demand < 1 and (a in used or b in used or not _is_clear(segment)):
                continue
            if demand < 2 and _crosses_any(segment, walls):
                continue
            groups.join(int(ring_of[a]), int(ring_of[b]))
            used |= {a, b}
            walls = np.concatenate([walls, segment[None]])
            yield _berth(a, points, ring_of, places), _berth(b, points, ring_of, places)


def _berth(index: int, points: Points, ring_of: NDArray[np.intp], places: Points) -> _Berth:
    row, column = points[index].tolist()
    return _Berth(int(ring_of[index]), float(places[index]), (row, column))


def _berths(rings: Sequence[Ring]) -> tuple[Points, NDArray[np.intp], Points]:
    """Points [n, 2] along all rings, of each the ring, and its place there."""
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
    return np.concatenate(points), np.concatenate(ring_of), np.concatenate(places)


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


def _is_clear(segment: Points) -> bool:
    """Whether a segment keeps away from the centres of all pixels beside it."""
    (row, column), (row_step, column_step) = segment[0].tolist(), (segment[1] - segment[0]).tolist()
    if abs(row_step) < abs(column_step):  # along the longer way a centre lies on each line that is crossed
        row, column, row_step, column_step = column, row, column_step, row_step
    leaning = abs(row_step) / math.hypot(row_step, column_step)
    low, high = sorted((row, row + row_step))
    met = (column + (line - row) / row_step * column_step for line in range(math.ceil(low), math.floor(high) + 1))
    return all(abs(where - round(where)) * leaning >= CLEARANCE_PIXELS for where in met)


def distances_to(points: Points, begins: Points, ends: Points) -> Points:
    """From each of the points [n, 2] to the nearest of the segments [m, 2]...[m, 2]; float64 [n]."""
    steps = ends - begins
    away = points[:, None] - begins
    along = (away * steps).sum(axis=2) / np.maximum((steps**2).sum(axis=1), np.finfo(np.float64).tiny)
    return np.asarray(np.linalg.norm(away - np.clip(along, 0, 1)[..., None] * steps, axis=2).min(axis=1))


def _crosses_any(segment: Points, walls: Points) -> bool:
    """Whether a segment touches one of the walls [n, 2, 2] anywhere but at its ends."""
    step = segment[1] - segment[0]
    begin, end = segment[0] + SHRUNK * step, segment[1] - SHRUNK * step
    low, high = np.minimum(begin, end), np.maximum(begin, end)
    near = ((walls.max(axis=1) >= low) & (walls.min(axis=1) <= high)).all(axis=1)
    a, b = walls[near, 0], walls[near, 1]
    sides = _turn(a, b, begin) * _turn(a, b, end), _turn(begin, end, a) * _turn(begin, end, b)
    return bool(((sides[0] <= 0) & (sides[1] <= 0)).any())


def _turn(a: Points, b: Points, c: Points) -> Points:
    """Positive, negative or 0, as the way from a by b to c turns."""
    one, other = b - a, c - a
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0])


def cross_each_other(rings: Sequence[Ring]) -> bool:
    """Whether an edge of any ring crosses another edge; touching at ends is none."""
    begins = np.concatenate(list(rings))
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    for a, b in zip(begins, ends, strict=True):
        sides = _turn(a, b, begins) * _turn(a, b, ends), _turn(begins, ends, a) * _turn(begins, ends, b)
        if bool(((sides[0] < 0) & (sides[1] < 0)).any()):
            return True
    return False


# The way along rings and channels


def _walk(rings: Sequence[Ring], stops: Sequence[Sequence[_Stop]]) -> Ring:
    """The outer ring from its first point on, with an excursion to each hole where its channel begins."""
    polygon: list[_Point] = []

    def add(point: _Point) -> None:
        if not polygon or polygon[-1] != point:  # a channel that begins at a corner
            polygon.append(point)

    # A loop rather than recursion, since holes may hang on each other in a row longer than the stack is deep.
    open_ways: list[tuple[_Way, tuple[_Point, ...]]] = [(_way(rings[0], stops[0], None), ())]
    while open_ways:
        way, back = open_ways[-1]
        for point, stop in way:
            add(point)
            if stop:
                there = stop.there
                add(there.point)
                onward = _way(rings[there.ring], stops[there.ring], stop.channel)
                open_ways.append((onward, (there.point, point)))
                break
        else:
            for point in back:
                add(point)
            open_ways.pop()
    return np.array(polygon[:-1] if polygon[0] == polygon[-1] else polygon)


def _way(ring: Ring, stops: Sequence[_Stop], arrived_by: int | None) -> _Way:
    """Once around a ring: its points, and the stops between them, from where one arrived."""
    corners: list[tuple[float, _Point, _Stop | None]] = [
        (float(n), (row, column), None) for n, (row, column) in enumerate(ring.tolist())
    ]
    items = sorted([*corners, *((stop.here.place, stop.here.point, stop) for stop in stops)], key=lambda item: item[0])
    start = next((n for n, item in enumerate(items) if item[2] and item[2].channel == arrived_by), -1)
    onward = items[start + 1 :] + items[: max(start, 0)]
    yield from ((point, stop) for _, point, stop in onward)
