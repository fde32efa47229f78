"""Where each structure lies and how large it is: a few numbers of each mask, which all questions about it share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossamer.data.frame import Frame
from gossamer.units import ZYX


@dataclass(frozen=True, eq=False)
class Place:
    """One structure on its image's grid.

    Attributes:
        volume_ml: of all its voxels.
        middle_mm: centre of mass along z, y, x from the image's first voxel; up, back and left are more.
        by_slice: voxels in each slice: int [z].
        middle_y_mm: its middle along y in each slice, NaN where it has no voxel: float [z].
        at_faces: share of its voxels that lie on the image's faces along y and x.
    """

    volume_ml: float
    middle_mm: ZYX
    by_slice: NDArray[np.intp]
    middle_y_mm: NDArray[np.float64]
    at_faces: float

    @property
    def ends(self) -> tuple[float, float]:
        """How large its cuts by the image's first and last slice are, as shares of its largest slice."""
        largest = self.by_slice.max()
        return float(self.by_slice[0] / largest), float(self.by_slice[-1] / largest)


def places(masks: Mapping[str, NDArray[np.bool_]], frame: Frame, only: Iterable[str] | None = None) -> dict[str, Place]:
    """The places of those structures that have a voxel.

    Args:
        masks: by structure bool [z, y, x], in canonical orientation; each is asked for once.
        frame: of the grid they are on.
        only: the structures that matter; None for all.
    """
    wanted = masks.keys() if only is None else masks.keys() & set(only)
    found = {name: place_of(masks[name], frame) for name in masks if name in wanted}
    return {name: place for name, place in found.items() if place is not None}


def place_of(mask: NDArray[np.bool_], frame: Frame) -> Place | None:
    """The place of one structure; None where its mask bool [z, y, x] has no voxel."""
    filled = np.flatnonzero(mask.any(axis=(1, 2)))
    if not filled.size:
        return None
    kept = mask[filled[0] : filled[-1] + 1]  # counting is slow, and most of a mask is empty
    by_row = np.count_nonzero(kept, axis=2)
    by_slice = np.zeros(mask.shape[0], dtype=np.intp)
    by_slice[filled[0] : filled[-1] + 1] = by_row.sum(axis=1)
    by_column = np.count_nonzero(kept, axis=(0, 1))
    total = int(by_slice.sum())
    sz, sy, sx = frame.spacing_mm
    rows = np.arange(mask.shape[1]) * sy
    with np.errstate(invalid="ignore"):
        middles = by_row @ rows / by_row.sum(axis=1)
    middle_y_mm = np.full(mask.shape[0], np.nan)
    middle_y_mm[filled[0] : filled[-1] + 1] = middles
    faces = by_row[:, 0].sum() + by_row[:, -1].sum() + by_column[0] + by_column[-1]
    return Place(
        volume_ml=total * math.prod(frame.spacing_mm) / 1000,
        middle_mm=(
            float(by_slice @ np.arange(mask.shape[0]) * sz / total),
            float(by_row.sum(axis=0) @ rows / total),
            float(by_column @ np.arange(mask.shape[2]) * sx / total),
        ),
        by_slice=by_slice,
        middle_y_mm=middle_y_mm,
        at_faces=float(faces / total),
    )
