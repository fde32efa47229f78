"""Closed rings on a slice and the pixels inside them, both ways.

Law
    1. A pixel is inside if its centre is, by the even-odd rule over all rings of a slice; edges are half-open, so that
       of two rings with a common edge each pixel belongs to one.
    2. ``fill(trace(mask)) == mask``, also after the points were rounded by up to a tenth of a pixel.

Points are (row, column), in pixels, not rounded; (0, 0) is the centre of the first pixel. Rings are not closed: the
first point is not repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours

Ring = NDArray[np.float64]
"""Points [n, 2] as (row, column), n >= 3."""


def fill(rings: Iterable[Ring], rows: int, columns: int) -> NDArray[np.bool_]:
    """Pixels whose centres lie inside an odd number of rings; rings may reach beyond the slice.

    Returns:
        Mask bool [rows, columns].
    """
    toggles = np.zeros((rows, columns + 1), np.int64)
    for ring in rings:
        row, column, _ = _crossings(ring, rows, columns)
        np.add.at(toggles, (row, column), 1)
    return np.asarray(np.cumsum(toggles, axis=1)[:, :columns] % 2 == 1)


def wound(ring: Ring, rows: int, columns: int) -> NDArray[np.bool_]:
    """Pixels around whose centres a ring winds at all (the non-zero rule); bool [rows, columns]."""
    turns = np.zeros((rows, columns + 1), np.int64)
    row, column, direction = _crossings(ring, rows, columns)
    np.add.at(turns, (row, column), direction)
    return np.asarray(np.cumsum(turns, axis=1)[:, :columns] != 0)


def box_around(rings: Sequence[Ring], shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First row and column of a slice that rings may reach, and those behind the last.

    Rings less the first of both enclose in the box what they do on the slice: moved by whole pixels, none changes side.
    """
    points = np.concatenate(rings)
    low = np.clip(np.floor(points.min(axis=0)), 0, shape).astype(np.intp)
    return low, np.clip(np.ceil(points.max(axis=0)) + 1, low, shape).astype(np.intp)


def _crossings(ring: Ring, rows: int, columns: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Where the ring's edges cross the rows' middles: rows, the first columns behind, and 1 for down or -1 for up."""
    begins, ends = ring, np.roll(ring, -1, axis=0)
    # From the upper end to the lower one, whichever way the ring runs: an edge that is passed twice, as the channel of
    # a keyhole is, crosses at the very same column both times.
    flipped = begins[:, 0] > ends[:, 0]
    upper, lower = np.where(flipped[:, None], ends, begins), np.where(flipped[:, None], begins, ends)
    first = np.clip(np.ceil(upper[:, 0]), 0, rows).astype(np.intp)
    behind = np.clip(np.ceil(lower[:, 0]), 0, rows).astype(np.intp)
    counts = behind - first
    edge = np.repeat(np.arange(len(ring)), counts)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    a, b = upper[edge], lower[edge]
    column = a[:, 1] + (row - a[:, 0]) / (b[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    return row, np.clip(np.ceil(column), 0, columns).astype(np.intp), np.where(flipped, -1, 1)[edge]


def trace(mask: NDArray[np.bool_]) -> list[Ring]:
    """Rings around a mask and around its holes, half way between the centres of pixels inside and outside.

    Args:
        mask: bool [rows, columns].

    Returns:
        Rings without points that lie on a straight line between their neighbours; [] for an empty mask.
    """
    padded = np.pad(mask, 1).astype(np.float64)  # else rings would be open where the mask meets the border
    contours: list[Ring] = find_contours(padded, 0.5, fully_connected="low")
    return [_without_straight(contour[:-1] - 1.0) for contour in contours]


def _without_straight(ring: Ring) -> Ring:
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return np.asarray(ring[turns])


def area(ring: Ring) -> float:
    """Enclosed by a ring, in pixels; the shoelace formula. Positive where it turns from rows to columns."""
    after = np.roll(ring, -1, axis=0)
    return float((ring[:, 0] * after[:, 1] - ring[:, 1] * after[:, 0]).sum() / 2)
