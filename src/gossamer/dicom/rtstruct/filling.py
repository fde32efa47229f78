"""Contours of a structure set onto the slices of a CT: masks.

Law
    1. Contours are placed by their points (``placing``) and filled slice by slice (``one_slice``). Nothing is drawn
       between slices.
    2. Equal contours count once. Those of type CLOSED_PLANAR that overlap in part refuse the ROI; of CLOSEDPLANAR_XOR
       they are what was meant.
    3. Nothing is left out without a note, and nothing that was not drawn is taken for empty: a ROI whose mask would
       hold nothing is an error.

Masks are bool [k, r, c] on the grid of a ``SliceStack``. Pixel coordinates are (r, c), see ``rings``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossamer.dicom.files.codes import shown_code
from gossamer.dicom.rtstruct.one_slice import check_no_overlap, fill_slice
from gossamer.dicom.rtstruct.placing import SAME_POINT_MM, Images, Loop, Notes, of_nearest_planes, placed
from gossamer.dicom.rtstruct.rings import Ring
from gossamer.dicom.rtstruct.structure_set import CLOSED_TYPES, Contour, Roi, RoiState
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import EmptyMaskError, GeometryMismatchError, UnreadableImageError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

NOTED_DIFFERENCE = 0.01
"""Of the areas by the even-odd rule and by union; more is a drawing that another system may read otherwise."""


@dataclass(frozen=True, eq=False)
class Filled:
    """A ROI on the grid.

    Attributes:
        mask: bool [k, r, c].
        notes: what was left out, and what a user should know.
    """

    mask: Mask
    notes: tuple[str, ...]


def fill_structure(
    roi: Roi, stack: SliceStack, image_uids: Sequence[str] = (), frame_numbers: Sequence[int] = ()
) -> Filled:
    """The mask of a ROI on the slices of a CT.

    Args:
        roi: as read.
        stack: the CT's grid.
        image_uids: SOP Instance UIDs of the stack's slices, in its order; without them no reference is checked.
        frame_numbers: of the slices in their files, from 1, where these are multi-frame; else ().

    Raises:
        UnreadableImageError: the ROI is refused for what it says: broken numbers, mixed types, contours that overlap.
        GeometryMismatchError: it is refused for where it lies: not in planes parallel to the slices, on other images
            than it refers to, or on none of these slices.
        EmptyMaskError: nobody drew it, or its contours enclose no pixel.

    Source: DICOM PS3.3 C.8.8.6.
    """
    notes = Notes(roi.number)
    kind, closed = _closed_contours(roi)
    loops = placed(closed, stack, Images(image_uids, frame_numbers), notes)
    loops = of_nearest_planes(loops, notes)
    _note_clipped(loops, stack, notes)
    mask = np.zeros(stack.shape, np.bool_)
    sum_odd = sum_union = 0
    kept = _by_slice(_without_equal(loops, notes))
    for k, rings in kept.items():
        if kind != "CLOSEDPLANAR_XOR":
            where = f"ROI {roi.number}, slice at {stack.positions_mm[k]:.2f} mm"
            check_no_overlap(rings, stack.rows, stack.columns, where)
        odd, union = fill_slice(rings, mask[k])
        sum_odd, sum_union = sum_odd + odd, sum_union + union
    _note_empty_slices(mask, sorted(kept), notes)
    if kind != "CLOSEDPLANAR_XOR":
        _note_other_area(sum_odd, sum_union, stack, notes)
    if not mask.any():
        raise EmptyMaskError(
            f"ROI {roi.number}: wanted a mask; found contours on {len(kept)} slices that go around no pixel's centre; "
            "leave the structure out, or draw it larger"
        )
    return Filled(mask, (*roi.notes, *notes.texts))


def _closed_contours(roi: Roi) -> tuple[str, list[Contour]]:
    """The type of its contours, and those that enclose something."""
    if roi.refusal:
        raise UnreadableImageError(roi.refusal)
    if roi.state is not RoiState.CONTOURED:
        raise EmptyMaskError(
            f"ROI {roi.number}: wanted contours; found none ({roi.state}); nobody says that the organ is not there: "
            "leave the structure out"
        )
    kinds = Counter(contour.kind for contour in roi.contours)
    if not kinds.keys() & CLOSED_TYPES:
        raise EmptyMaskError(
            f"ROI {roi.number}: wanted closed contours; found {_counted(kinds) or 'none of three points or more'}; "
            "it is not a volume: leave it out"
        )
    del kinds["POINT"]  # some systems write a contour of one point so, among the others of an organ; the reader counts
    if kinds.keys() - CLOSED_TYPES or ("CLOSEDPLANAR_XOR" in kinds and len(kinds) > 1):
        raise UnreadableImageError(
            f"ROI {roi.number}: wanted contours of one closed type; found {_counted(kinds)}; "
            "they have no common meaning (PS3.3 C.8.8.6.3): export the structure again"
        )
    kind = "CLOSEDPLANAR_XOR" if "CLOSEDPLANAR_XOR" in kinds else "CLOSED_PLANAR"
    return kind, [contour for contour in roi.contours if contour.kind in CLOSED_TYPES]


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{kinds[kind]} of type {shown_code('ContourGeometricType', kind)}" for kind in sorted(kinds))


def _by_slice(loops: Sequence[Loop]) -> dict[int, list[Ring]]:
    found: dict[int, list[Ring]] = {}
    for loop in loops:
        found.setdefault(loop.k, []).append(loop.ring)
    return found


def _note_clipped(loops: Sequence[Loop], stack: SliceStack, notes: Notes) -> None:
    """Contours that reach beyond the field of view, which fill() clips; an error if all lie beside it."""
    sides_mm = np.array([np.linalg.norm(stack.row_step_xyz), np.linalg.norm(stack.column_step_xyz)])
    low, high = np.full(2, -0.5), np.array([stack.rows, stack.columns]) - 0.5
    if all(((loop.ring.max(axis=0) < low) | (loop.ring.min(axis=0) > high)).any() for loop in loops):
        raise GeometryMismatchError(
            f"ROI {notes.number}: wanted contours within the slices' {stack.rows} rows and {stack.columns} columns; "
            f"found all {len(loops)} beside them; add the series it was drawn on, or leave the structure out"
        )
    rounded = SAME_POINT_MM / sides_mm  # of contours along the very border, as a body's are on a CT that cuts it off
    beyond = [bool(((loop.ring < low - rounded) | (loop.ring > high + rounded)).any()) for loop in loops]
    notes.count("contours clipped where they reach beyond the field of view", sum(beyond))


def _note_other_area(pixels_odd: int, pixels_union: int, stack: SliceStack, notes: Notes) -> None:
    if pixels_union - pixels_odd > NOTED_DIFFERENCE * pixels_union:
        pixel_mm2 = float(np.linalg.norm(np.cross(stack.row_step_xyz, stack.column_step_xyz)))
        notes.add(
            f"its area by the even-odd rule, which is taken, is {pixels_odd * pixel_mm2:.1f} mm² over all slices; "
            f"as a union it would be {pixels_union * pixel_mm2:.1f} mm²"
        )


def _note_empty_slices(mask: Mask, drawn: Sequence[int], notes: Notes) -> None:
    notes.count("slices whose contours go around no pixel's centre", sum(not mask[k].any() for k in drawn))
    notes.count("slices without contour between its first and last", drawn[-1] - drawn[0] + 1 - len(drawn))


# Equal loops


def _without_equal(loops: Sequence[Loop], notes: Notes) -> list[Loop]:
    """Loops without repetitions: the same cycle of points, from any start, in either direction."""
    kept: list[Loop] = []
    cycles: dict[tuple[int, int], list[Floats]] = {}
    for loop in loops:
        cycle = _without_repeated(loop.contour.points_xyz)
        seen = cycles.setdefault((loop.k, len(cycle)), [])
        if not any(_same_cycle(cycle, other) for other in seen):
            seen.append(cycle)
            kept.append(loop)
    notes.count("contours that repeat another, taken once", len(loops) - len(kept))
    return kept


def _without_repeated(points: Floats) -> Floats:
    """Without points equal to the one before, as the last of a loop that was closed by its first point."""
    return np.asarray(points[(points != np.roll(points, 1, axis=0)).any(axis=1)])


def _same_cycle(one: Floats, other: Floats) -> bool:
    if not np.allclose(one.min(axis=0), other.min(axis=0), rtol=0, atol=SAME_POINT_MM):
        return False
    for way in (other, other[::-1]):
        for start in np.flatnonzero(np.abs(way - one[0]).max(axis=1) <= SAME_POINT_MM):
            if np.abs(np.roll(way, -start, axis=0) - one).max() <= SAME_POINT_MM:
                return True
    return False
