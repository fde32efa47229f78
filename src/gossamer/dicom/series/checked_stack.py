"""From slices to a series, unless a slice is missing between them or they do not lie above each other.

Law: no slice is invented or moved. What is only uneven or tilted stays as it is, with a note; see ``carry``. Numbers of
a hospital may only testify: neighbours numbered in a row were scanned so.

A slice is named by its position along the normal in mm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gossamer.dicom.series.acquisitions import sorted_stack
from gossamer.dicom.series.ct_series import CtSeries, Slice
from gossamer.dicom.series.evenness import EVEN_MM, MAX_GAP, SAME_POSITION_MM, skew_mm, unevenness_mm, usual_gap_mm
from gossamer.dicom.series.one_image import MAX_SPACING_MM, MIN_SPACING_MM
from gossamer.dicom.series.pixels import MAX_PIXELS
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import SliceStackError, UnreadableImageError
from gossamer.words import counted, first_few

MISSING_FROM = 1.5
"""Times the usual gap: from here on a slice may be missing."""

WHOLE_GAPS = 0.1
"""Part of the usual gap by which a multiple of it may be off."""


def checked_series(slices: Sequence[Slice], notes: Sequence[str]) -> CtSeries:
    """The series of slices at different places.

    Args:
        slices: of one stack, in any order.
        notes: on what was left out before.

    Raises:
        SliceStackError: there are fewer than two, one is missing, or they lie too far apart or askew.
        UnreadableImageError: they have more pixels than any series.
    """
    slices, stack = sorted_stack(slices)
    if len(slices) < 2:
        raise SliceStackError(
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
        notes=(*notes, *_notes(slices, stack)),
    )


def _check_gaps(slices: Sequence[Slice], stack: SliceStack) -> None:
    usual_mm, gaps_mm, positions = usual_gap_mm(stack), np.diff(stack.positions_mm), stack.positions_mm
    if not MIN_SPACING_MM <= usual_mm <= MAX_SPACING_MM:
        raise SliceStackError(
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
            raise SliceStackError(
                f"wanted slices at most {MAX_GAP:g} times their usual {usual_mm:.2f} mm apart; found "
                f"{gaps_mm[k]:.2f} mm {between}; copy the whole series, or choose another"
            )
    if missing:
        raise SliceStackError(
            f"wanted slices every {usual_mm:.2f} mm; found {counted(lost, 'slice')} missing, {first_few(missing)}; "
            "copy the whole series again"
        )


def _numbered_in_a_row(one: Slice, other: Slice) -> bool:
    """Whether numbers testify that nothing was scanned between two slices."""
    if one.header is other.header:
        return abs(one.plane.frame - other.plane.frame) == 1
    first, second = one.header.instance_number, other.header.instance_number
    return first is not None and second is not None and abs(first - second) == 1


def _check_skew(stack: SliceStack) -> None:
    """Raise if slices do not lie above each other; a grid around them would have no bounds."""
    for step, pixels in ((stack.row_step_xyz, stack.rows), (stack.column_step_xyz, stack.columns)):
        size_mm = float(np.linalg.norm(step))
        shifts_mm = stack.shifts_mm @ step / size_mm
        k = int(np.abs(shifts_mm).argmax())
        if abs(shifts_mm[k]) > pixels * size_mm:
            raise SliceStackError(
                f"wanted slices above each other; found the one at {stack.positions_mm[k]:.2f} mm "
                f"{abs(shifts_mm[k]):.1f} mm beside the first, which is {pixels * size_mm:.1f} mm wide; "
                "export the series again"
            )


def _notes(slices: Sequence[Slice], stack: SliceStack) -> list[str]:
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
