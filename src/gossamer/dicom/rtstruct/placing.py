"""On which slice a contour lies.

Law
    1. A contour lies where its points say. It stands for the slice nearest to it along the normal, if that is no
       further than half the gap to its neighbour (a lone slice: ``OFF_PLANE_MM``); else it is outside, and counted. A
       reference to an image only confirms: where it contradicts the points, the ROI is refused.
    2. No slice gets its contours from two planes: the nearest plane has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gossamer.dicom.rtstruct.rings import Ring
from gossamer.dicom.rtstruct.structure_set import Contour
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import GeometryMismatchError

Floats = NDArray[np.float64]

OFF_PLANE_MM = 0.5
"""How far points may lie beside the plane of a slice, or of each other, before it is said; writers round to 0.1 mm."""

SAME_PLANE_MM = 0.25
"""Of contours on one slice: half of ``OFF_PLANE_MM``."""

SAME_POINT_MM = 0.01
"""Points nearer than this are one; more than what writers round to, less than anyone draws."""

PIXEL_DECIMALS = 6
"""Pixel coordinates are rounded to these, so that points drawn on pixels' centres lie there despite float64's noise."""


@dataclass
class Notes:
    """Notes on one ROI."""

    number: int
    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """A note."""
        self.texts.append(f"ROI {self.number}: {text}")

    def count(self, text: str, count: int) -> None:
        """A note, if there is anything to count."""
        if count:
            self.add(f"{text}: {count}")


@dataclass(frozen=True, eq=False)
class Loop:
    """A contour on its slice; ``offset_mm`` is how far above the slice it lies."""

    contour: Contour
    k: int
    offset_mm: float
    ring: Ring


class Images:
    """Which slices a contour refers to."""

    def __init__(self, uids: Sequence[str], frame_numbers: Sequence[int]) -> None:
        """As for ``fill_structure``."""
        self._slices: dict[str, list[tuple[int, int]]] = {}  # of a file: each frame's number and its slice
        for k, uid in enumerate(uids):
            if uid:
                self._slices.setdefault(uid, []).append((frame_numbers[k] if frame_numbers else 1, k))

    def __bool__(self) -> bool:
        """Whether any is known."""
        return bool(self._slices)

    def of(self, contour: Contour) -> list[int]:
        """Those that a contour names."""
        return [
            k
            for image in contour.images
            for frame, k in self._slices.get(image.uid, ())
            if not image.frames or frame in image.frames
        ]


def placed(contours: Sequence[Contour], stack: SliceStack, images: Images, notes: Notes) -> list[Loop]:
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
        loops.append(Loop(contour, k, offset_mm, pixels))
    if not loops:
        raise GeometryMismatchError(
            f"ROI {notes.number}: wanted contours on the slices (they reach from {stack.positions_mm[0]:.2f} to "
            f"{stack.positions_mm[-1]:.2f} mm along the normal); found all {len(contours)} elsewhere, from "
            f"{min(outside_mm):.2f} to {max(outside_mm):.2f} mm; add the series it was drawn on, or leave the "
            "structure out"
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
        f"over {spread_mm:.2f} mm along the normal; add the series it was drawn on, or leave the structure out"
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


def of_nearest_planes(loops: Sequence[Loop], notes: Notes) -> list[Loop]:
    """Of each slice the loops in the plane that is nearest to it (law 2)."""
    nearest_mm: dict[int, float] = {}
    for loop in loops:
        best_mm = nearest_mm.setdefault(loop.k, loop.offset_mm)
        if (abs(loop.offset_mm), loop.offset_mm) < (abs(best_mm), best_mm):
            nearest_mm[loop.k] = loop.offset_mm
    kept = [loop for loop in loops if abs(loop.offset_mm - nearest_mm[loop.k]) <= SAME_PLANE_MM]
    notes.count("contours left out, another plane being nearer to their slice", len(loops) - len(kept))
    return kept
