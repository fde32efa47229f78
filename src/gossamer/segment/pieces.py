"""Pieces of a mask, and which of them are the organ: a network finds a few voxels of an organ far away from it.

Pieces are connected over faces, edges and corners. The largest stays, and any at least half as large: where the edge of
the image cuts an organ in two, as it may the rami of a mandible, both parts belong to it. Two of equal size both stay
too, so that a mirrored mask gives the mirrored answer.

A mask is taken as its *runs*, unbroken rows of voxels along x: time and memory grow with the organ's surface, not with
the box around it, which one far voxel makes as large as the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

HALF_AS_LARGE = 0.5
"""Of the largest piece. On OpenKBP no piece in a wrong place was so large: scores are those of the largest alone. With
a quarter the HD95 of gossip is 16 mm, with half 12, with every piece 46."""


@dataclass(frozen=True)
class _Runs:
    """Runs of a mask in the order of its voxels.

    ``place`` counts voxels along lines that lie end to end, with room between lines and an empty line between planes:
    so what is next to a voxel in space lies at a fixed distance from it, and nothing else does.

    Attributes:
        place: of each run's first voxel.
        length: in voxels.
        line: voxels from a line to the next.
        plane: voxels from a plane to the next.
    """

    place: NDArray[np.int64]
    length: NDArray[np.int64]
    line: int
    plane: int


def main_pieces(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest piece of a mask, and any at least half as large.

    Args:
        mask: bool [z, y, x]; not changed.

    Returns:
        bool [z, y, x], a part of ``mask``; ``mask`` itself where nothing is left out.
    """
    lines = mask.reshape(-1, mask.shape[2])
    filled = np.flatnonzero(lines.any(axis=1))
    voxels = lines[filled]
    runs = _runs(voxels, filled, mask.shape[1])
    pieces, piece = csgraph.connected_components(_touching(runs), directed=False)
    if pieces < 2:
        return mask
    size = np.bincount(piece, weights=runs.length)
    stays = size >= HALF_AS_LARGE * size.max()
    if stays.all():
        return mask
    voxels[voxels] = np.repeat(stays[piece], runs.length)
    result = np.zeros_like(lines)
    result[filled] = voxels
    return result.reshape(mask.shape)


def _runs(voxels: NDArray[np.bool_], filled: NDArray[np.intp], lines_per_plane: int) -> _Runs:
    """The runs of the lines that hold any.

    Args:
        voxels: bool [line, x].
        filled: the number of each line, counted through the mask from its first.
        lines_per_plane: of the mask.
    """
    count, width = voxels.shape
    padded = np.zeros((count, width + 2), dtype=np.bool_)
    padded[:, 1:-1] = voxels
    flat = padded.ravel()
    first, end = np.flatnonzero(flat[1:] != flat[:-1]).reshape(-1, 2).T
    line = width + 2
    row, x = np.divmod(first, line)
    z, y = np.divmod(filled[row], lines_per_plane)
    plane = (lines_per_plane + 1) * line
    return _Runs(z * plane + y * line + x, end - first, line, plane)


def _touching(runs: _Runs) -> sparse.coo_array:
    """Which runs touch: a graph [run, run] that holds each pair once."""
    end = runs.place + runs.length
    one, other = [], []
    for ahead in (runs.line, runs.plane - runs.line, runs.plane, runs.plane + runs.line):
        # Of the runs in the line ahead: that end at this one's first voxel or later, and begin at its end or before.
        begin = np.searchsorted(end, runs.place + ahead, side="left")
        count = np.searchsorted(runs.place, end + ahead, side="right") - begin
        one.append(np.repeat(np.arange(len(count)), count))
        other.append(np.arange(count.sum()) + np.repeat(begin - (np.cumsum(count) - count), count))
    pairs = np.concatenate(one), np.concatenate(other)
    shape = len(runs.place), len(runs.place)
    return sparse.coo_array((np.ones(len(pairs[0]), dtype=np.bool_), pairs), shape=shape)
