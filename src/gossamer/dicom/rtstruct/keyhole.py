"""Rings with holes as polygons without: each hole hangs on a channel of no width (DICOM PS3.3 C.8.8.6.3, keyhole).

Law
    1. A polygon encloses the pixels that its part's rings do by the even-odd rule, also after its points were rounded
       as a structure set rounds them.
    2. A channel (see ``channels``) is passed twice, there and back, by the same two points: it encloses nothing, by any
       rule.

Points are (row, column) as in ``rings``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gossamer.dicom.rtstruct.channels import Berth, Point, channels_between
from gossamer.dicom.rtstruct.parts import Part
from gossamer.dicom.rtstruct.rings import Ring


def joined(part: Part) -> Ring:
    """One polygon [n, 2] along the outer ring and, by channels, along its holes; points that channels share recur."""
    if not part.holes:
        return part.outer
    rings = part.rings
    stops: list[list[_Stop]] = [[] for _ in rings]
    for channel, (one, other) in enumerate(channels_between(rings)):
        stops[one.ring].append(_Stop(channel, one, other))
        stops[other.ring].append(_Stop(channel, other, one))
    return _walk(rings, stops)


@dataclass(frozen=True)
class _Stop:
    """A channel as met on the way along a ring."""

    channel: int
    here: Berth
    there: Berth


_Way = Iterator[tuple[Point, _Stop | None]]
"""Points, and the channels that begin at them."""


def _walk(rings: Sequence[Ring], stops: Sequence[Sequence[_Stop]]) -> Ring:
    """The outer ring from its first point on, with an excursion to each hole where its channel begins."""
    polygon: list[Point] = []

    def add(point: Point) -> None:
        if not polygon or polygon[-1] != point:  # a channel that begins at a corner
            polygon.append(point)

    # A loop rather than recursion, since holes may hang on each other in a row longer than the stack is deep.
    open_ways: list[tuple[_Way, tuple[Point, ...]]] = [(_way(rings[0], stops[0], None), ())]
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
    corners: list[tuple[float, Point, _Stop | None]] = [
        (float(n), (row, column), None) for n, (row, column) in enumerate(ring.tolist())
    ]
    items = sorted([*corners, *((stop.here.place, stop.here.point, stop) for stop in stops)], key=lambda item: item[0])
    start = next((n for n, item in enumerate(items) if item[2] and item[2].channel == arrived_by), -1)
    onward = items[start + 1 :] + items[: max(start, 0)]
    yield from ((point, stop) for _, point, stop in onward)
