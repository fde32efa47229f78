"""Masks as contours in mm, in the decimal strings of a structure set.

Law
    1. Contours of a mask enclose its voxels, none less and none more, also after their points were written with
       ``DECIMALS`` digits; unless they were smoothed, and then it is said by how much.
    2. A slice's own coordinate is the text of its Image Position (Patient), to the character: some viewers hide a
       contour whose z differs from its image's in the last digit.
    3. No Contour Data is longer than ``MAX_DATA_BYTES``, so that a file keeps its VRs when an archive rewrites it as
       Explicit VR. What would be longer is cut in two that touch: the same voxels, by every rule.

Masks are bool [k, r, c] on the grid of a ``SliceStack``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gossamer.dicom.rtstruct.keyhole import joined
from gossamer.dicom.rtstruct.parts import Part, parts_of
from gossamer.dicom.rtstruct.rings import Ring, fill, trace
from gossamer.dicom.rtstruct.smoothing import moved_mm, smoothed
from gossamer.dicom.series.stack import SliceStack

Mask = NDArray[np.bool_]
Holes = Literal["keyhole", "nested", "xor"]
"""How a hole is written (PS3.3 C.8.8.6.3): by a channel from the ring around it; as a contour within a contour, as
RayStation does; or by type CLOSEDPLANAR_XOR, which few systems know."""

MAX_DATA_BYTES = 65_534
"""Of Contour Data: in Explicit VR the length of a DS has 16 bits (PS3.5 7.1.2), and is even."""

MAX_DECIMAL_CHARACTERS = 16
"""Of a DS (PS3.5 6.2); Eclipse refuses files with longer ones."""

DECIMALS = 4
"""Digits behind the point: a point moves by at most 0.00005 mm, and a contour passes no pixel's centre nearer than a
third of a pixel."""

FLAT_MM = 0.001
"""A coordinate that changes less than this over a slice is the slice's own."""


@dataclass(frozen=True, eq=False)
class Outline:
    """One contour.

    Attributes:
        k: its slice.
        points: how many it has; the first is not repeated.
        data: its Contour Data, x, y, z in turn.
    """

    k: int
    points: int
    data: bytes


@dataclass(frozen=True, eq=False)
class Drawing:
    """A mask as contours.

    Attributes:
        kind: Contour Geometric Type of all of them.
        outlines: slice by slice.
        moved_mm: how far a point of the mask's outline lies beside the contours at most; 0 without smoothing.
        cut_slices: slices on which a contour was cut in two (law 3).
        rough_slices: slices that were not smoothed, since contours would have met.
    """

    kind: str
    outlines: tuple[Outline, ...]
    moved_mm: float
    cut_slices: int
    rough_slices: int


def draw(
    mask: Mask, stack: SliceStack, positions: Sequence[tuple[str, str, str]], holes: Holes, smooth_mm: float
) -> Drawing:
    """Draw the contours of a mask.

    Args:
        mask: bool [k, r, c].
        stack: its grid.
        positions: of each slice the three texts of its Image Position (Patient).
        holes: how holes are written; ``xor`` only where a contour lies within another, since few systems know it.
        smooth_mm: contours may leave the mask's outline by this much, so as to have fewer points; 0 draws it exactly.
    """
    drawn = [
        _Slice(mask[k], k, stack=stack, position=positions[k], holes=holes, smooth_mm=smooth_mm)
        for k in np.flatnonzero(mask.any(axis=(1, 2))).tolist()
    ]
    is_xor = holes == "xor" and any(one.is_nested for one in drawn)
    return Drawing(
        kind="CLOSEDPLANAR_XOR" if is_xor else "CLOSED_PLANAR",
        outlines=tuple(outline for one in drawn for outline in one.outlines),
        moved_mm=max((one.moved_mm for one in drawn), default=0.0),
        cut_slices=sum(one.is_cut for one in drawn),
        rough_slices=sum(one.is_rough for one in drawn),
    )


def decimal_text(value: float) -> str:
    """A number of mm as a DS, without zeros that say nothing."""
    text = f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


class _Slice:
    """The contours of one slice."""

    def __init__(
        self, mask: Mask, k: int, *, stack: SliceStack, position: tuple[str, str, str], holes: Holes, smooth_mm: float
    ) -> None:
        self._k, self._holes, self._shape = k, holes, mask.shape
        self._data_of = _pen(k, stack, position)
        self.is_cut, self.is_rough, self.moved_mm = False, False, 0.0
        rings = _traced(mask)
        if smooth_mm > 0:
            sides_mm = np.array([np.linalg.norm(stack.row_step_xyz), np.linalg.norm(stack.column_step_xyz)])
            if (smooth := smoothed(rings, sides_mm, smooth_mm)) is None:
                self.is_rough = True
            else:
                self.moved_mm = moved_mm(rings, smooth, sides_mm)
                rings = smooth
        parts = parts_of(rings)
        self.is_nested = any(part.holes for part in parts)
        self.outlines = [outline for part in parts for outline in self._outlines(part)]

    def _outlines(self, part: Part) -> Iterator[Outline]:
        if (written := self._written(part)) is not None:
            yield from (Outline(self._k, points, data) for points, data in written)
            return
        self.is_cut = True
        for half in _halves(fill(part.rings, *self._shape)):
            for smaller in parts_of(_traced(half)):
                yield from self._outlines(smaller)

    def _written(self, part: Part) -> list[tuple[int, bytes]] | None:
        """Of each contour its number of points, and its Contour Data without padding; None if one is too long."""
        written = [self._data_of(ring) for ring in part.rings]
        if self._holes == "keyhole" and part.holes:
            # One polygon has all points of the rings, and more: where these are too long it need not be made, since to
            # find the channels of hundreds of holes takes seconds.
            if sum(len(data) for _, data in written) > MAX_DATA_BYTES:
                return None
            written = [self._data_of(joined(part))]
        return written if all(len(data) + len(data) % 2 <= MAX_DATA_BYTES for _, data in written) else None


def _traced(mask: Mask) -> list[Ring]:
    """As ``trace``, of the box around the mask alone: most organs are small."""
    low, high = _box(mask)
    return [ring + low for ring in trace(mask[low[0] : high[0], low[1] : high[1]])]


def _box(mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and last row and column of a mask that is not empty; the last ones not included."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([rows[0], columns[0]]), np.array([rows[-1] + 1, columns[-1] + 1])


def _halves(mask: Mask) -> tuple[Mask, Mask]:
    """A mask cut across the longer side of the box around it; neither half is empty."""
    low, high = _box(mask)
    axis = int((high - low).argmax())
    first = np.arange(mask.shape[axis]) < (low[axis] + high[axis]) // 2
    upper = mask & np.expand_dims(first, 1 - axis)
    return upper, mask & ~upper


def _pen(k: int, stack: SliceStack, position: tuple[str, str, str]) -> Callable[[Ring], tuple[int, bytes]]:
    """What writes a ring of slice ``k``: its number of points, and its Contour Data without padding."""
    changes_mm = np.abs(stack.row_step_xyz) * stack.rows + np.abs(stack.column_step_xyz) * stack.columns
    own = {
        axis: position[axis] if len(position[axis]) <= MAX_DECIMAL_CHARACTERS else decimal_text(float(position[axis]))
        for axis in np.flatnonzero(changes_mm < FLAT_MM).tolist()
    }

    def data_of(ring: Ring) -> tuple[int, bytes]:
        points_xyz = stack.world_from_index(np.column_stack([np.full(len(ring), float(k)), ring]))
        columns = [
            [own[axis]] * len(ring) if axis in own else [decimal_text(value) for value in points_xyz[:, axis].tolist()]
            for axis in range(3)
        ]
        points = list(zip(*columns, strict=True))
        kept = [point for n, point in enumerate(points) if point != points[n - 1]]
        return len(kept), "\\".join(text for point in kept for text in point).encode("ascii")

    return data_of
