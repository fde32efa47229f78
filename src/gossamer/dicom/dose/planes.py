"""Where the planes of an RT Dose lie, by Grid Frame Offset Vector (DICOM PS3.3 C.8.8.3.2).

Law
    1. If the vector begins with 0 it is a distance along the normal from Image Position (Patient). If it begins with
       the z of that position, and planes are axial, it is z. One that may be either, and then means two places, is
       refused.
    2. Planes at uneven distances are taken if all distances are whole multiples of the smallest: planes are put in
       between by a line, which changes nothing in a dose that is trilinear anyway. Others are refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from gossamer.data.nifti import MAX_ORIGIN_MM, MAX_SPACING_MM, MIN_SPACING_MM
from gossamer.dicom.files.elements import Numbers, bytes_of, decimals_of
from gossamer.dicom.series.evenness import EVEN_MM
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import GeometryMismatchError

Floats = NDArray[np.float64]

DIRECTION = 1e-3
"""How far a direction may be from unit length, or two from a right angle; less is rounding in decimal strings."""

SEPARATOR = b"\\"
"""Between values of an element (PS3.5 6.4)."""

SAME_Z_MM = 0.01
"""Between Image Position and the first offset, which are written with different digits."""


@dataclass(frozen=True, eq=False)
class Planes:
    """Where the planes of a dose lie.

    Attributes:
        stack: even and straight.
        order: in which the file's planes stand along its normal.
        insertions: if planes are to be put in between, where on the stack those of the file stand; else None.
        notes: what a user should know.
    """

    stack: SliceStack
    order: slice
    insertions: NDArray[np.intp] | None
    notes: tuple[str, ...]

    def placed(self, gray: NDArray[np.float32]) -> NDArray[np.float32]:
        """The doses of a file's planes [k, r, c], on the stack (law 2)."""
        ordered = gray[self.order]
        return ordered if self.insertions is None else _with_planes_between(ordered, self.insertions)


def read_planes(data: Dataset, shape: tuple[int, int, int], most: int) -> Planes:
    """Find out where the planes of a dose lie.

    Args:
        data: the file's elements.
        shape: planes, rows and columns.
        most: planes, with those that are put in between.

    Raises:
        GeometryMismatchError: that is unknown, or they are no grid.
    """
    position, spacing = decimals_of(data, "ImagePositionPatient", 3), decimals_of(data, "PixelSpacing", 2)
    orientation = decimals_of(data, "ImageOrientationPatient", 6)
    if position is None or orientation is None or spacing is None:
        raise GeometryMismatchError(
            "wanted Image Position, Image Orientation and Pixel Spacing; found a dose without; export it again"
        )
    along_row, along_column = _directions(orientation)
    farthest_mm = max(map(abs, position))
    if min(spacing) < MIN_SPACING_MM or max(spacing) > MAX_SPACING_MM or farthest_mm > MAX_ORIGIN_MM:
        raise GeometryMismatchError(
            f"wanted pixels of {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g} mm, within a kilometre; found {spacing[0]:g} x "
            f"{spacing[1]:g} mm, {farthest_mm:g} mm away; export the dose again"
        )
    normal = np.cross(along_row, along_column)
    offsets = _offsets_mm(data, shape[0], position[2], float(normal[2]))
    order = slice(None, None, -1) if offsets[0] > offsets[-1] else slice(None)
    places_mm, insertions, notes = _even(offsets[order], most)
    first = np.asarray(position) + places_mm[:, None] * normal
    stack = SliceStack(*shape[1:], first, along_column * spacing[0], along_row * spacing[1])
    return Planes(stack, order, insertions, notes)


def _directions(orientation: Numbers) -> tuple[Floats, Floats]:
    """Unit vectors along a row and along a column."""
    pair = np.asarray(orientation).reshape(2, 3)
    lengths = np.linalg.norm(pair, axis=1)
    if np.abs(lengths - 1).max() > DIRECTION or abs(float(pair[0] @ pair[1])) > DIRECTION:
        raise GeometryMismatchError(
            "wanted two directions at right angles in Image Orientation (Patient); found "
            f"{', '.join(f'{number:.4g}' for number in orientation)}; export the dose again"
        )
    return pair[0] / lengths[0], pair[1] / lengths[1]


def _offsets_mm(data: Dataset, planes: int, first_z_mm: float, normal_z: float) -> Floats:
    """Distance of each plane from the first along the normal, all ascending or all descending (law 1)."""
    numbers = decimals_of(data, "GridFrameOffsetVector", planes)
    if planes < 2 or numbers is None:
        given = bytes_of(data, "GridFrameOffsetVector")
        raise GeometryMismatchError(
            f"wanted at least 2 planes, and an offset of each; found {planes} and "
            f"{given.count(SEPARATOR) + bool(given)} in Grid Frame Offset Vector; export the dose of the whole plan "
            "again"
        )
    vector = np.asarray(numbers)
    steps = np.diff(vector)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise GeometryMismatchError(
            "wanted planes in the order of their places; found Grid Frame Offset Vector to turn back; export the dose "
            "again"
        )
    relative, axial = vector[0] == 0, abs(abs(normal_z) - 1) <= DIRECTION
    absolute = axial and abs(vector[0] - first_z_mm) <= SAME_Z_MM
    if relative and absolute and normal_z < 0:
        raise GeometryMismatchError(
            "wanted planes in one place; found a Grid Frame Offset Vector from 0 at z = 0 in planes that face the "
            "feet, which is z or its opposite; export the dose again, from another first plane"
        )
    if relative:
        return vector
    if absolute:
        return np.asarray((vector - vector[0]) * math.copysign(1.0, normal_z))
    raise GeometryMismatchError(
        f"wanted a Grid Frame Offset Vector that begins with 0, or in axial planes with the z of Image Position "
        f"({first_z_mm:.2f} mm); found {vector[0]:.6g} mm; export the dose again"
    )


def _even(places_mm: Floats, most: int) -> tuple[Floats, NDArray[np.intp] | None, tuple[str, ...]]:
    """At most so many even places; where the file's planes stand if there are more of them; notes (law 2)."""
    gaps_mm = np.diff(places_mm)
    smallest, largest = float(gaps_mm.min()), float(gaps_mm.max())
    steps = (
        np.rint(gaps_mm / smallest) if smallest >= MIN_SPACING_MM and largest <= MAX_SPACING_MM else np.inf * gaps_mm
    )
    if steps.sum() < most:
        insertions = np.concatenate([[0], np.cumsum(steps)]).astype(np.intp)
        total = int(insertions[-1])
        even = places_mm[0] + (places_mm[-1] - places_mm[0]) / total * np.arange(total + 1)
        if np.abs(even[insertions] - places_mm).max() <= EVEN_MM:
            if total == len(gaps_mm):
                return even, None, ()
            note = f"planes of the dose are {smallest:g} to {largest:g} mm apart; it is linear between them"
            return even, insertions, (note,)
    raise GeometryMismatchError(
        f"wanted planes {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g} mm apart, at even distances or at whole multiples of "
        f"the smallest; found {smallest:.4g} to {largest:.4g} mm; export the dose on an even grid"
    )


def _with_planes_between(gray: NDArray[np.float32], places: NDArray[np.intp]) -> NDArray[np.float32]:
    """The dose with planes on all places up to the last, linear between those that are there (law 2)."""
    wanted = np.arange(places[-1] + 1)
    below = np.clip(np.searchsorted(places, wanted, side="right") - 1, 0, len(places) - 2)
    share = ((wanted - places[below]) / (places[below + 1] - places[below])).astype(np.float32)[:, None, None]
    return np.asarray(gray[below] * (1 - share) + gray[below + 1] * share)
