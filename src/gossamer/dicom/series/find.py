"""CT series: which images make up a stack, and what is wrong with it.

Law
    1. Slices stand in the order of Image Position (Patient) along the normal, alone; Instance Number and Slice Location
       are a hospital's text. A number may only testify: neighbours numbered in a row were scanned so.
    2. Images that cannot be of one stack (another orientation, size, pixel spacing or frame of reference; scouts) are
       told apart. One stack is kept, and what is left out is said.
    3. No slice is invented, moved, or dropped by a guess: a slice that is missing, or two that contradict each other,
       refuse the series. What is only uneven or tilted stays as it is, with a note; see ``volume``.

A slice is named by its position along the normal in mm, or by its Instance Number where it has no position.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gossamer.dicom.files.headers import CT_CLASSES, Header, Plane
from gossamer.dicom.series.pixels import MAX_PIXELS, check_scale, same_hu
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import DataError, GeometryMismatchError, UnreadableImageError

Floats = NDArray[np.float64]

EVEN_MM = 0.1
"""Slices that lie nearer than this to an even, straight grid lie on it. Writers round positions to 0.1 mm: that moves a
slice by half of it, and the ends, which the grid hangs on, too."""

SAME_POSITION_MM = 0.01
"""Slices nearer than this are at one place."""

DIRECTION_TOLERANCE = 1e-3
"""Of directions that should be of length 1, at right angles, or equal; writers round to three digits or more."""

SPACING_TOLERANCE = 1e-4
"""Relative; over 512 pixels it moves the last one by a twentieth of a pixel."""

MIN_SPACING_MM, MAX_SPACING_MM = 0.01, 100.0
"""No CT has pixels or slices nearer or further apart; as for NIfTI."""

MAX_POSITION_MM = 1e5
"""Of a slice from the origin; no patient is further away."""

MISSING_FROM = 1.5
"""Times the usual gap: from here on a slice may be missing."""

WHOLE_GAPS = 0.1
"""Part of the usual gap by which a multiple of it may be off."""

MAX_GAP = 3.0
"""Times the usual gap; over more, nothing can be interpolated."""

SHOWN_SLICES = 5
"""Named in a message; more are counted."""

SCOUTS = frozenset({"LOCALIZER", "SCOUT"})
"""Values of Image Type of projections (PS3.3 C.8.2.1.1.1), and a vendor's own."""


@dataclass(frozen=True)
class Slice:
    """An image of a series: a file, or a frame of one."""

    header: Header
    plane: Plane


@dataclass(frozen=True, eq=False)
class CtSeries:
    """A stack of slices that can be read.

    Attributes:
        series_uid: Series Instance UID.
        study_uid: Study Instance UID.
        frame_of_reference_uid: of its coordinates; "" if the files have none.
        patient_key: tells patients apart; never shown.
        slices: in the order of the stack.
        stack: where they lie.
        notes: what was left out, and what a user should know.
    """

    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    patient_key: str = field(repr=False)
    slices: tuple[Slice, ...] = field(repr=False)
    stack: SliceStack = field(repr=False)
    notes: tuple[str, ...]

    @property
    def sop_instance_uids(self) -> tuple[str, ...]:
        """Of its slices, in the order of the stack; frames of one file share one."""
        return tuple(one.header.sop_instance_uid for one in self.slices)

    @property
    def frame_numbers(self) -> tuple[int, ...]:
        """Of its slices in their files, from 1, where these are multi-frame; else ()."""
        multi = any(len(one.header.planes) > 1 for one in self.slices)
        return tuple(one.plane.frame + 1 for one in self.slices) if multi else ()


@dataclass(frozen=True)
class RefusedSeries:
    """A series that cannot be read.

    Attributes:
        series_uid: Series Instance UID.
        study_uid: Study Instance UID.
        patient_key: tells patients apart; never shown.
        sop_instance_uids: of all its images.
        reason: a message in four parts.
    """

    series_uid: str
    study_uid: str
    patient_key: str = field(repr=False)
    sop_instance_uids: frozenset[str] = field(repr=False)
    reason: str


@dataclass(frozen=True)
class FoundSeries:
    """The CT series among headers, and those that are refused."""

    series: tuple[CtSeries, ...]
    refused: tuple[RefusedSeries, ...]


def find_series(headers: Iterable[Header], referenced: Collection[str] = frozenset()) -> FoundSeries:
    """All CT series among headers.

    Args:
        headers: of any objects; those that are no CT images are passed over.
        referenced: SOP Instance UIDs of images that a structure set refers to; see :func:`stacks_of_series`.
    """
    by_series: dict[tuple[str, str, str], list[Header]] = {}
    for header in headers:
        if header.sop_class_uid in CT_CLASSES:
            by_series.setdefault((header.patient_key, header.study_uid, header.series_uid), []).append(header)
    series: list[CtSeries] = []
    refused: list[RefusedSeries] = []
    for (patient_key, study_uid, series_uid), images in by_series.items():
        try:
            series += stacks_of_series(images, referenced)
        except DataError as error:
            uids = frozenset(image.sop_instance_uid for image in images)
            refused.append(RefusedSeries(series_uid, study_uid, patient_key, uids, str(error)))
    return FoundSeries(tuple(series), tuple(refused))


def stacks_of_series(headers: Sequence[Header], referenced: Collection[str] = frozenset()) -> tuple[CtSeries, ...]:
    """The stack of a series; more than one only where acquisitions overlap.

    Args:
        headers: of the CT images with one Series Instance UID, in any order.
        referenced: SOP Instance UIDs of images that a structure set refers to. They choose among stacks; without any,
            the largest one is kept.

    Raises:
        UnreadableImageError: an image lacks its geometry or scale, or contradicts another.
        GeometryMismatchError: images cannot be told apart, one is missing, or they lie too far apart.
    """
    referenced = frozenset(referenced)
    every = [Slice(header, plane) for header in headers for plane in header.planes]
    notes: list[str] = []
    slices = _without_scouts(every, notes)
    for one in slices:
        _check_usable(one)
    check_scale([one.plane for one in slices])
    slices = _main_group(slices, referenced, notes)
    return tuple(_checked(part, [*notes, *more]) for part, more in _acquisitions(slices, referenced))


def unevenness_mm(stack: SliceStack) -> float:
    """How far slices lie beside an even grid from the first to the last one, along the normal."""
    positions = stack.positions_mm
    even = np.linspace(positions[0], positions[-1], len(positions))
    return float(np.abs(positions - even).max())


def skew_mm(stack: SliceStack) -> float:
    """How far slices are shifted within their planes; 0 unless the gantry was tilted or the table moved askew."""
    return float(np.linalg.norm(stack.shifts_mm, axis=1).max())


def usual_gap_mm(stack: SliceStack) -> float:
    """The gap between slices, of at least two: their median, the lower one of two."""
    gaps = np.sort(np.diff(stack.positions_mm))
    return float(gaps[(len(gaps) - 1) // 2])


# One image


def _name(one: Slice) -> str:
    number = one.header.instance_number
    image = "an image without a number" if number is None else f"image {number}"
    return f"frame {one.plane.frame + 1} of {image}" if len(one.header.planes) > 1 else image


def _check_usable(one: Slice) -> None:
    """Raise unless an image has a geometry, and one content."""
    plane, name = one.plane, _name(one)
    if one.header.contradicted:
        raise UnreadableImageError(
            f"wanted one image a SOP Instance UID; found two files of {name} that differ; remove the wrong one"
        )
    for value, keyword in (
        (plane.position_xyz, "Image Position (Patient)"),
        (plane.orientation, "Image Orientation (Patient)"),
        (plane.spacing_mm, "Pixel Spacing"),
    ):
        if value is None:
            raise UnreadableImageError(f"wanted {keyword} in each slice; found none in {name}; export the series again")
    position, orientation, spacing = _geometry(one)
    if np.abs(position).max() > MAX_POSITION_MM:
        raise UnreadableImageError(
            f"{name}: wanted a slice within 100 m of the origin; found {np.abs(position).max():.3g} mm; "
            "export the series again"
        )
    if not _are_directions(*orientation):
        raise UnreadableImageError(
            f"{name}: wanted an Image Orientation of two directions of length 1 at right angles; found "
            f"{', '.join(f'{number:.4g}' for number in orientation.ravel())}; export the series again"
        )
    if min(spacing) < MIN_SPACING_MM or max(spacing) > MAX_SPACING_MM:
        raise UnreadableImageError(
            f"{name}: wanted pixels of {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g} mm; found "
            f"{spacing[0]:.4g} x {spacing[1]:.4g} mm; export the series again"
        )
    if min(one.header.rows, one.header.columns) < 1:
        raise UnreadableImageError(f"{name}: wanted rows and columns; found none; export the series again")


def _are_directions(across: Floats, down: Floats) -> bool:
    """Whether two vectors are of length 1 and at right angles."""
    if max(np.abs(across).max(), np.abs(down).max()) > 2:  # their squares may overflow
        return False
    lengths = np.linalg.norm([across, down], axis=1)
    return bool(np.abs(lengths - 1.0).max() <= DIRECTION_TOLERANCE and abs(across @ down) <= DIRECTION_TOLERANCE)


def _geometry(one: Slice) -> tuple[Floats, Floats, Floats]:
    """Position [3], directions in which columns and rows grow [2, 3], and spacing between rows and columns [2]."""
    plane = one.plane
    return (
        np.array(plane.position_xyz, dtype=np.float64),
        np.array(plane.orientation, dtype=np.float64).reshape(2, 3),
        np.array(plane.spacing_mm, dtype=np.float64),
    )


def _without_scouts(slices: Sequence[Slice], notes: list[str]) -> list[Slice]:
    kept = [one for one in slices if not SCOUTS & set(one.header.image_type)]
    if scouts := len(slices) - len(kept):
        notes.append(f"{_counted(scouts, 'image')} left out: scout, by its Image Type")
    if not kept:
        raise UnreadableImageError(
            f"wanted slices; found {_counted(scouts, 'image')}, all scouts; choose another series"
        )
    return kept


# Groups of images that can be of one stack (law 2)


def _main_group(slices: Sequence[Slice], referenced: frozenset[str], notes: list[str]) -> list[Slice]:
    """The group that is referenced most, or else the largest one."""
    groups: list[list[Slice]] = []
    for one in slices:
        group = next((group for group in groups if not _differences(group[0], one)), None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    groups.sort(key=lambda group: _weight(group, referenced), reverse=True)
    kept, *others = groups
    if others and _weight(kept, referenced) == _weight(others[0], referenced):
        raise GeometryMismatchError(
            f"wanted one stack of slices; found two of {_counted(len(kept), 'image')} each with "
            f"{', '.join(_differences(kept[0], others[0][0]))}; leave one of them out of the folder"
        )
    for group in others:
        notes.append(f"{_counted(len(group), 'image')} left out: {', '.join(_differences(kept[0], group[0]))}")
        if lost := sum(one.header.sop_instance_uid in referenced for one in group):
            notes.append(f"{lost} of these {'is' if lost == 1 else 'are'} referred to")
    return kept


def _weight(group: Sequence[Slice], referenced: frozenset[str]) -> tuple[int, int]:
    return sum(one.header.sop_instance_uid in referenced for one in group), len(group)


def _differences(one: Slice, other: Slice) -> list[str]:
    """In what an image differs from one of a stack; [] if it can be of the same."""
    _, directions, spacing = _geometry(one)
    _, other_directions, other_spacing = _geometry(other)
    found = []
    if np.abs(directions - other_directions).max() > DIRECTION_TOLERANCE:
        normals = np.cross(*directions), np.cross(*other_directions)
        degrees = np.degrees(np.arccos(np.clip(float(normals[0] @ normals[1]), -1.0, 1.0)))
        found.append(f"another orientation (normals {degrees:.1f} degrees apart)")
    size, other_size = ((it.header.rows, it.header.columns) for it in (one, other))
    if size != other_size:
        found.append(f"another size ({other_size[0]} x {other_size[1]} rather than {size[0]} x {size[1]} pixels)")
    if (np.abs(spacing - other_spacing) > SPACING_TOLERANCE * spacing).any():
        found.append(
            f"another pixel spacing ({other_spacing[0]:.4f} x {other_spacing[1]:.4f} rather than "
            f"{spacing[0]:.4f} x {spacing[1]:.4f} mm)"
        )
    if one.header.frame_of_reference_uid != other.header.frame_of_reference_uid:
        found.append("another frame of reference")
    return found


# Slices at one place, and acquisitions


def _sorted(slices: Sequence[Slice]) -> tuple[list[Slice], SliceStack]:
    """Slices in the order of their positions along the normal (law 1), and where they lie."""
    positions, directions, spacing = zip(*map(_geometry, slices), strict=True)
    across, down = directions[0] / np.linalg.norm(directions[0], axis=1, keepdims=True)
    first = np.stack(positions)
    order = np.argsort(first @ np.cross(across, down), kind="stable")
    header = slices[0].header
    stack = SliceStack(header.rows, header.columns, first[order], spacing[0][0] * down, spacing[0][1] * across)
    return [slices[place] for place in order], stack


def _acquisitions(slices: Sequence[Slice], referenced: frozenset[str]) -> list[tuple[list[Slice], list[str]]]:
    """The stacks among slices, with notes: one, or acquisitions that overlap and are regular each on its own."""
    slices, stack = _sorted(slices)
    at_once = _clusters(stack)
    kept, doubled, contradicting_mm = [], 0, []
    for members in at_once:
        same = [slices[place] for place in members]
        if not _all_same(same, stack.shifts_mm[members]):
            contradicting_mm.append(float(stack.positions_mm[members[0]]))
        kept.append(next((one for one in same if one.header.sop_instance_uid in referenced), same[0]))
        doubled += len(same) - 1
    if (contradicting_mm or not _is_even(kept)) and (parts := _overlapping_parts(slices)):
        named = [(one.header.acquisition_number, part) for part in parts for one in part[:1]]
        most = max(_weight(part, referenced)[0] for part in parts)
        return [
            (part, [f"{len(parts)} acquisitions overlap; this is number {number}, of {len(part)} slices"])
            for number, part in named
            if _weight(part, referenced)[0] == most
        ]
    if contradicting_mm:
        raise UnreadableImageError(
            f"wanted one slice a position; found two or more that differ, at {_listed_mm(contradicting_mm)}; "
            "were two series joined? keep one of them in the folder"
        )
    return [(kept, [f"{_counted(doubled, 'slice')} left out: equal to another at the same place"] if doubled else [])]


def _clusters(stack: SliceStack) -> list[list[int]]:
    """Places of slices, those at one position together."""
    ends = np.flatnonzero(np.diff(stack.positions_mm) > SAME_POSITION_MM) + 1
    return [part.tolist() for part in np.split(np.arange(len(stack.positions_mm)), ends)]


def _all_same(slices: Sequence[Slice], shifts_mm: Floats) -> bool:
    if float(np.ptp(shifts_mm, axis=0).max()) > SAME_POSITION_MM:
        return False
    first = slices[0]
    return all(same_hu((first.header, first.plane), (one.header, one.plane)) for one in slices[1:])


def _is_even(slices: Sequence[Slice]) -> bool:
    """Whether slices are at least two, at different places, an even distance apart."""
    if len(slices) < 2:
        return False
    stack = _sorted(slices)[1]
    return len(_clusters(stack)) == len(slices) and unevenness_mm(stack) <= EVEN_MM


def _overlapping_parts(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Slices, sorted, by Acquisition Number, if that makes even stacks that overlap in more than an end; else []."""
    by_number: dict[int | None, list[Slice]] = {}
    for one in slices:
        by_number.setdefault(one.header.acquisition_number, []).append(one)
    parts = list(by_number.values())
    if len(parts) < 2 or None in by_number or not all(_is_even(part) for part in parts):
        return []
    position_mm = dict(zip(map(id, slices), _sorted(slices)[1].positions_mm, strict=True))
    ends_mm = sorted((position_mm[id(part[0])], position_mm[id(part[-1])]) for part in parts)
    apart = all(end <= start + SAME_POSITION_MM for (_, end), (start, _) in pairwise(ends_mm))
    return [] if apart else parts


# A stack


def _checked(slices: Sequence[Slice], notes: list[str]) -> CtSeries:
    """A series, unless its stack cannot be read as one (law 3)."""
    slices, stack = _sorted(slices)
    if len(slices) < 2:
        raise GeometryMismatchError(
            f"wanted at least 2 slices; found {len(slices)}, at {stack.positions_mm[0]:.2f} mm; copy the whole series"
        )
    if np.prod(stack.shape, dtype=np.float64) > MAX_PIXELS:
        raise UnreadableImageError(
            f"wanted at most {MAX_PIXELS:,} pixels; found {' x '.join(map(str, stack.shape))}; export a smaller series"
        )
    _check_gaps(slices, stack)
    _check_skew(stack)
    header = slices[0].header
    return CtSeries(
        series_uid=header.series_uid,
        study_uid=header.study_uid,
        frame_of_reference_uid=header.frame_of_reference_uid,
        patient_key=header.patient_key,
        slices=tuple(slices),
        stack=stack,
        notes=(*notes, *_stack_notes(slices, stack)),
    )


def _check_gaps(slices: Sequence[Slice], stack: SliceStack) -> None:
    usual_mm, gaps_mm, positions = usual_gap_mm(stack), np.diff(stack.positions_mm), stack.positions_mm
    if not MIN_SPACING_MM <= usual_mm <= MAX_SPACING_MM:
        raise GeometryMismatchError(
            f"wanted slices {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g} mm apart; found {usual_mm:.4g} mm; "
            "export the series again"
        )
    missing, lost = [], 0
    for k in np.flatnonzero(gaps_mm > MISSING_FROM * usual_mm).tolist():
        between = f"between {positions[k]:.2f} and {positions[k + 1]:.2f} mm"
        gaps = round(gaps_mm[k] / usual_mm)
        whole = abs(gaps_mm[k] - gaps * usual_mm) <= WHOLE_GAPS * usual_mm
        if whole and not _numbered_in_a_row(slices[k], slices[k + 1]):
            missing.append(between)
            lost += gaps - 1
        elif gaps_mm[k] > MAX_GAP * usual_mm:
            raise GeometryMismatchError(
                f"wanted slices at most {MAX_GAP:g} times their usual {usual_mm:.2f} mm apart; found "
                f"{gaps_mm[k]:.2f} mm {between}; copy the whole series, or choose another"
            )
    if missing:
        raise GeometryMismatchError(
            f"wanted slices every {usual_mm:.2f} mm; found {_counted(lost, 'slice')} missing, {_listed(missing)}; "
            "copy the whole series again"
        )


def _numbered_in_a_row(one: Slice, other: Slice) -> bool:
    """Whether numbers testify that nothing was scanned between two slices."""
    if one.header is other.header:
        return abs(one.plane.frame - other.plane.frame) == 1
    numbers = one.header.instance_number, other.header.instance_number
    return None not in numbers and abs((numbers[0] or 0) - (numbers[1] or 0)) == 1


def _check_skew(stack: SliceStack) -> None:
    """Raise if slices do not lie above each other; a grid around them would have no bounds."""
    for step, pixels in ((stack.row_step_xyz, stack.rows), (stack.column_step_xyz, stack.columns)):
        size_mm = float(np.linalg.norm(step))
        shifts = stack.shifts_mm @ step / size_mm
        k = int(np.abs(shifts).argmax())
        if abs(shifts[k]) > pixels * size_mm:
            raise GeometryMismatchError(
                f"wanted slices above each other; found the one at {stack.positions_mm[k]:.2f} mm "
                f"{abs(shifts[k]):.1f} mm beside the first, which is {pixels * size_mm:.1f} mm wide; "
                "export the series again"
            )


def _stack_notes(slices: Sequence[Slice], stack: SliceStack) -> list[str]:
    notes = []
    gaps_mm, off_mm, skew = np.diff(stack.positions_mm), unevenness_mm(stack), skew_mm(stack)
    if off_mm > EVEN_MM:
        notes.append(
            f"slices are unevenly spaced: {gaps_mm.min():.2f} to {gaps_mm.max():.2f} mm apart, "
            f"mostly {usual_gap_mm(stack):.2f} mm"
        )
    elif off_mm > SAME_POSITION_MM:
        notes.append(f"slices lie up to {off_mm:.3f} mm beside an even grid, and are taken to lie on it")
    if skew > EVEN_MM:
        degrees = np.degrees(np.arctan2(skew, stack.positions_mm[-1] - stack.positions_mm[0]))
        notes.append(
            f"slices are shifted within their planes by up to {skew:.2f} mm, "
            f"as by a gantry tilt of {degrees:.1f} degrees"
        )
    if any(one.header.lossy for one in slices):
        notes.append("images were compressed with loss")
    return notes


# Words


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - SHOWN_SLICES
    return ", ".join(texts[:SHOWN_SLICES]) + (f" and {more} more" if more > 0 else "")


def _listed_mm(positions_mm: Sequence[float]) -> str:
    return _listed([f"{position:.2f} mm" for position in positions_mm])
