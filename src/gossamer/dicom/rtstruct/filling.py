"""Contours of a structure set onto the slices of a CT: masks.

Law
    1. A contour lies where its points say. It stands for the slice nearest to it along the normal, if that is no
       further than half the gap to its neighbour (a lone slice: ``OFF_PLANE_MM``); else it is outside, and counted. A
       reference to an image only confirms: where it contradicts the points, the ROI is refused.
    2. No slice gets its contours from two planes: the nearest plane has it. Nothing is drawn between slices.
    3. Equal contours count once. Then a pixel is inside if an odd number of contours goes around its centre: nested
       ones are holes and islands, keyholes are what they were drawn for (PS3.3 C.8.8.6.3). Contours of type
       CLOSED_PLANAR that overlap in part mean nothing by this rule, and the ROI is refused; of CLOSEDPLANAR_XOR they
       do.
    4. Nothing is left out without a note, and nothing that was not drawn is taken for empty: a ROI whose mask would
       hold nothing is an error.

Masks are bool [k, r, c] on the grid of a ``SliceStack``. Pixel coordinates are (r, c), see ``rings``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gossamer.dicom.files.codes import shown_code
from gossamer.dicom.rtstruct.rings import Ring, area, fill
from gossamer.dicom.rtstruct.structure_set import CLOSED_TYPES, Contour, Roi, RoiState
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import EmptyMaskError, GeometryMismatchError, UnreadableImageError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

OFF_PLANE_MM = 0.5
"""How far points may lie beside the plane of a slice, or of each other, before it is said; writers round to 0.1 mm."""

SAME_PLANE_MM = 0.25
"""Of contours on one slice: half of ``OFF_PLANE_MM``."""

SAME_POINT_MM = 0.01
"""Points nearer than this are one; more than what writers round to, less than anyone draws."""

LARGEST_OVERLAP_PIXELS = 1.0
"""Contours that only touch overlap by what their points were rounded."""

FINE = 4
"""Samples along a pixel's side where areas are compared: 1/16 of a pixel."""

PIXEL_DECIMALS = 6
"""Pixel coordinates are rounded to these, so that points drawn on pixels' centres lie there despite float64's noise."""

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


@dataclass(frozen=True, eq=False)
class _Loop:
    """A contour on its slice; ``offset_mm`` is how far above the slice it lies."""

    contour: Contour
    k: int
    offset_mm: float
    ring: Ring


@dataclass
class _Notes:
    """Notes on one ROI."""

    number: int
    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.texts.append(f"ROI {self.number}: {text}")

    def count(self, text: str, count: int) -> None:
        """A note, if there is anything to count."""
        if count:
            self.add(f"{text}: {count}")


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
    notes = _Notes(roi.number)
    kind, closed = _closed_contours(roi, notes)
    loops = _placed(closed, stack, _Images(image_uids, frame_numbers), notes)
    loops = _of_nearest_planes(loops, notes)
    _note_clipped(loops, stack, notes)
    mask = np.zeros(stack.shape, np.bool_)
    sum_odd = sum_union = 0
    kept = _by_slice(_without_equal(loops, notes))
    for k, rings in kept.items():
        if kind != "CLOSEDPLANAR_XOR":
            where = f"ROI {roi.number}, slice at {stack.positions_mm[k]:.2f} mm"
            _check_no_overlap(rings, stack.rows, stack.columns, where)
        odd, union = _fill_slice(rings, mask[k])
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


def _closed_contours(roi: Roi, notes: _Notes) -> tuple[str, list[Contour]]:
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
    points = kinds.pop("POINT", 0)  # some systems write a contour of one point so, among the others of an organ
    if kinds.keys() - CLOSED_TYPES or ("CLOSEDPLANAR_XOR" in kinds and len(kinds) > 1):
        raise UnreadableImageError(
            f"ROI {roi.number}: wanted contours of one closed type; found {_counted(kinds)}; "
            "they have no common meaning (PS3.3 C.8.8.6.3): export the structure again"
        )
    kind = "CLOSEDPLANAR_XOR" if "CLOSEDPLANAR_XOR" in kinds else "CLOSED_PLANAR"
    notes.count("contours of type POINT, skipped", points)
    return kind, [contour for contour in roi.contours if contour.kind in CLOSED_TYPES]


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{kinds[kind]} of type {shown_code('ContourGeometricType', kind)}" for kind in sorted(kinds))


class _Images:
    """Which slices a contour refers to."""

    def __init__(self, uids: Sequence[str], frame_numbers: Sequence[int]) -> None:
        self._slices: dict[str, list[tuple[int, int]]] = {}  # of a file: each frame's number and its slice
        for k, uid in enumerate(uids):
            if uid:
                self._slices.setdefault(uid, []).append((frame_numbers[k] if frame_numbers else 1, k))

    def __bool__(self) -> bool:
        return bool(self._slices)

    def of(self, contour: Contour) -> list[int]:
        return [
            k
            for image in contour.images
            for frame, k in self._slices.get(image.uid, ())
            if not image.frames or frame in image.frames
        ]


def _placed(contours: Sequence[Contour], stack: SliceStack, images: _Images, notes: _Notes) -> list[_Loop]:
    """Contours with their slices (law 1)."""
    limits_mm = np.where(np.isinf(stack.half_gaps_mm), OFF_PLANE_MM, stack.half_gaps_mm)
    loops, outside_mm, off_mm, dangling = [], [], [], 0
    for contour in contours:
        position_mm = _position_mm(contour, stack, f"ROI {notes.number}")
        k, _ = stack.nearest_slice(position_mm - SAME_POINT_MM)  # half way: the lower one, whatever was rounded
        offset_mm = position_mm - float(stack.positions_mm[k])
        referred = images.of(contour)
        dangling += bool(contour.images) and not referred
        _check_reference(position_mm, referred, stack, limits_mm, f"ROI {notes.number}")
        if abs(offset_mm) > limits_mm[k] + SAME_POINT_MM:
            outside_mm.append(position_mm)
            continue
        if abs(offset_mm) > OFF_PLANE_MM:
            off_mm.append(abs(offset_mm))
        pixels = np.round(stack.pixel_from_world(contour.points_xyz, k), PIXEL_DECIMALS)
        loops.append(_Loop(contour, k, offset_mm, pixels))
    if not loops:
        raise GeometryMismatchError(
            f"ROI {notes.number}: wanted contours on the slices (they reach from {stack.positions_mm[0]:.2f} to "
            f"{stack.positions_mm[-1]:.2f} mm along the normal); found all {len(contours)} elsewhere, from "
            f"{min(outside_mm):.2f} to {max(outside_mm):.2f} mm; name the right series, or leave the structure out"
        )
    if images:
        notes.count("contours that refer to images of no slice here, placed by their points alone", dangling)
    if outside_mm:
        low_mm, high_mm = min(outside_mm), max(outside_mm)
        where = f"from {low_mm:.2f} to {high_mm:.2f} mm, with no slice within half its gap"
        notes.count(f"contours left out, {where}", len(outside_mm))
    if off_mm:
        far = f"up to {max(off_mm):.2f} mm off the slices' planes"
        notes.count(f"contours {far}, taken for the nearest one", len(off_mm))
    return loops


def _position_mm(contour: Contour, stack: SliceStack, where: str) -> float:
    """Where along the normal a contour lies that is flat and parallel to the slices."""
    heights_mm = contour.points_xyz @ stack.normal_xyz
    middle_mm = float(heights_mm.min() + heights_mm.max()) / 2
    if (spread_mm := float(np.ptp(heights_mm))) <= 2 * OFF_PLANE_MM:
        return middle_mm
    centred = contour.points_xyz - contour.points_xyz.mean(axis=0)
    normal_xyz = np.linalg.svd(centred, full_matrices=False)[2][2]
    away_mm = float(np.abs(centred @ normal_xyz).max())
    degrees = float(np.degrees(np.arccos(min(1.0, abs(float(normal_xyz @ stack.normal_xyz))))))
    found = (
        f"one that is not flat: points up to {away_mm:.2f} mm off its plane"
        if away_mm > OFF_PLANE_MM
        else f"one at {degrees:.1f} degrees to them"
    )
    raise GeometryMismatchError(
        f"{where}, contour around {middle_mm:.2f} mm: wanted a flat contour parallel to the slices; found {found}, "
        f"over {spread_mm:.2f} mm along the normal; name the series it was drawn on"
    )


def _check_reference(
    position_mm: float, referred: Sequence[int], stack: SliceStack, limits_mm: Floats, where: str
) -> None:
    """A reference only confirms (law 1)."""
    if not referred:
        return
    nearest = min(referred, key=lambda k: abs(position_mm - stack.positions_mm[k]))
    if abs(position_mm - stack.positions_mm[nearest]) > limits_mm[nearest] + SAME_POINT_MM:
        raise GeometryMismatchError(
            f"{where}: wanted a contour on the image that it refers to, at {stack.positions_mm[nearest]:.2f} mm; found "
            f"its points at {position_mm:.2f} mm; the CT or the structures were moved: export both again"
        )


def _of_nearest_planes(loops: Sequence[_Loop], notes: _Notes) -> list[_Loop]:
    """Of each slice the loops in the plane that is nearest to it (law 2)."""
    nearest_mm: dict[int, float] = {}
    for loop in loops:
        best_mm = nearest_mm.setdefault(loop.k, loop.offset_mm)
        if (abs(loop.offset_mm), loop.offset_mm) < (abs(best_mm), best_mm):
            nearest_mm[loop.k] = loop.offset_mm
    kept = [loop for loop in loops if abs(loop.offset_mm - nearest_mm[loop.k]) <= SAME_PLANE_MM]
    notes.count("contours left out, another plane being nearer to their slice", len(loops) - len(kept))
    return kept


def _by_slice(loops: Sequence[_Loop]) -> dict[int, list[Ring]]:
    found: dict[int, list[Ring]] = {}
    for loop in loops:
        found.setdefault(loop.k, []).append(loop.ring)
    return found


def _note_clipped(loops: Sequence[_Loop], stack: SliceStack, notes: _Notes) -> None:
    """Contours that reach beyond the field of view, which fill() clips; an error if all lie beside it."""
    low, high = np.array([-0.5, -0.5]), np.array([stack.rows - 0.5, stack.columns - 0.5])
    if all(((loop.ring.max(axis=0) < low) | (loop.ring.min(axis=0) > high)).any() for loop in loops):
        raise GeometryMismatchError(
            f"ROI {notes.number}: wanted contours within the slices' {stack.rows} rows and {stack.columns} columns; "
            f"found all {len(loops)} beside them; name the right series, or leave the structure out"
        )
    beyond = [bool(((loop.ring < low) | (loop.ring > high)).any()) for loop in loops]
    notes.count("contours clipped where they reach beyond the field of view", sum(beyond))


def _note_other_area(pixels_odd: int, pixels_union: int, stack: SliceStack, notes: _Notes) -> None:
    if pixels_union - pixels_odd > NOTED_DIFFERENCE * pixels_union:
        pixel_mm2 = float(np.linalg.norm(np.cross(stack.row_step_xyz, stack.column_step_xyz)))
        notes.add(
            f"its area by the even-odd rule, which is taken, is {pixels_odd * pixel_mm2:.1f} mm² over all slices; "
            f"as a union it would be {pixels_union * pixel_mm2:.1f} mm²"
        )


def _note_empty_slices(mask: Mask, drawn: Sequence[int], notes: _Notes) -> None:
    notes.count("slices whose contours go around no pixel's centre", sum(not mask[k].any() for k in drawn))
    notes.count("slices without contour between its first and last", drawn[-1] - drawn[0] + 1 - len(drawn))


# Equal loops


def _without_equal(loops: Sequence[_Loop], notes: _Notes) -> list[_Loop]:
    """Loops without repetitions: the same cycle of points, from any start, in either direction."""
    kept: list[_Loop] = []
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


# Loops of one slice


def _check_no_overlap(rings: Sequence[Ring], rows: int, columns: int, where: str) -> None:
    """Raise if two rings are neither nested nor apart, as far as the slice reaches."""
    if len(rings) < 2:
        return
    lows, highs = np.array([ring.min(axis=0) for ring in rings]), np.array([ring.max(axis=0) for ring in rings])
    by_size = np.argsort([-abs(area(ring)) for ring in rings], kind="stable")
    for place, small in enumerate(by_size):
        for large in by_size[:place]:
            if (lows[small] >= highs[large]).any() or (highs[small] <= lows[large]).any():
                continue
            overlap = _partial_overlap_pixels(rings[small], rings[large], rows, columns)
            if overlap > LARGEST_OVERLAP_PIXELS:
                raise UnreadableImageError(
                    f"{where}: wanted CLOSED_PLANAR contours that are nested or apart; found two that overlap in part, "
                    f"by {overlap:.1f} pixels; join them in the planning system, or leave the structure out"
                )


def _partial_overlap_pixels(small: Ring, large: Ring, rows: int, columns: int) -> float:
    """The lesser of what the small ring shares with the large one and what it does not, in pixels of the slice."""
    low = np.clip(np.floor(small.min(axis=0)), -1, (rows, columns))
    high = np.clip(np.ceil(small.max(axis=0)), low, (rows, columns))
    fine_rows, fine_columns = ((high - low) * FINE).astype(int)
    # Samples lie on neither the centres nor the edges of pixels, where contours like to run.
    inside, around = (fill([(ring - low) * FINE - 0.5], fine_rows, fine_columns) for ring in (small, large))
    shared = int((inside & around).sum())
    return min(shared, int(inside.sum()) - shared) / FINE**2


def _fill_slice(rings: Sequence[Ring], mask: Mask) -> tuple[int, int]:
    """Fill the rings of a slice into its mask, bool [r, c].

    Returns:
        Pixels by the even-odd rule, which is used, and in the union of what each ring winds around.
    """
    points = np.concatenate(rings)
    shape = np.array(mask.shape)
    low = np.clip(np.floor(points.min(axis=0)), 0, shape).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + 1, low, shape).astype(int)
    # Rings are moved by whole pixels only: what is cut out is filled as the whole slice would be.
    moved = [ring - low for ring in rings]
    odd = fill(moved, *(high - low))
    mask[low[0] : high[0], low[1] : high[1]] = odd
    union = np.zeros_like(odd)
    for ring in moved:
        union |= _wound(ring, *union.shape)
    return int(odd.sum()), int(union.sum())


def _wound(ring: Ring, rows: int, columns: int) -> Mask:
    """Pixels around whose centres a ring winds at all (the non-zero rule); bool [rows, columns].

    As ``rings.fill``, with directions: of an edge downwards +1, of one upwards −1.
    """
    turns = np.zeros((rows, columns + 1), np.int64)
    ends = np.roll(ring, -1, axis=0)
    upper = np.where((ring[:, 0] > ends[:, 0])[:, None], ends, ring)
    lower = np.where((ring[:, 0] > ends[:, 0])[:, None], ring, ends)
    first = np.clip(np.ceil(upper[:, 0]), 0, rows).astype(np.intp)
    counts = np.clip(np.ceil(lower[:, 0]), 0, rows).astype(np.intp) - first
    edge = np.repeat(np.arange(len(ring)), counts)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    a, b = upper[edge], lower[edge]
    column = a[:, 1] + (row - a[:, 0]) / (b[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    sign = np.where(ring[:, 0] > ends[:, 0], -1, 1)[edge]
    np.add.at(turns, (row, np.clip(np.ceil(column), 0, columns).astype(np.intp)), sign)
    return np.asarray(np.cumsum(turns, axis=1)[:, :columns] != 0)
