"""Slices at one place: the same one twice, acquisitions that overlap, or a contradiction.

Law
    1. Slices stand in the order of Image Position (Patient) along the normal, alone; Instance Number and Slice Location
       are a hospital's text.
    2. Of slices at one place that hold the same HU one is kept. Others part into acquisitions by their Acquisition
       Number, if each of these is even on its own and they overlap in more than an end; else they refuse the series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from gossamer.dicom.files.header import Header
from gossamer.dicom.series.ct_series import Slice
from gossamer.dicom.series.evenness import EVEN_MM, SAME_POSITION_MM, unevenness_mm
from gossamer.dicom.series.groups import weight
from gossamer.dicom.series.one_image import Floats, geometry_of
from gossamer.dicom.series.pixels import StoredFrames, read_stored, same_hu
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import SliceStackError
from gossamer.words import counted, first_few

Read = Callable[[Header], StoredFrames]


def sorted_stack(slices: Sequence[Slice]) -> tuple[list[Slice], SliceStack]:
    """Slices of one group in the order of their positions along the normal (law 1), and where they lie."""
    positions, directions, spacing = zip(*map(geometry_of, slices), strict=True)
    across, down = directions[0] / np.linalg.norm(directions[0], axis=1, keepdims=True)
    first = np.stack(positions)
    order = np.argsort(first @ np.cross(across, down), kind="stable")
    header = slices[0].header
    stack = SliceStack(header.rows, header.columns, first[order], spacing[0][0] * down, spacing[0][1] * across)
    return [slices[place] for place in order], stack


def acquisitions(slices: Sequence[Slice], referenced: frozenset[str]) -> list[tuple[list[Slice], list[str]]]:
    """The stacks among slices of one group, with notes: one, or acquisitions that overlap.

    Args:
        slices: that can be of one stack; see ``groups``.
        referenced: SOP Instance UIDs of images that a structure set refers to; they choose among acquisitions, and
            among equal slices.

    Raises:
        SliceStackError: slices at one place contradict each other.
        UnreadableImageError: their pixels cannot be read.
    """
    slices, stack = sorted_stack(slices)
    once = _once(slices, stack, referenced)
    if (once.contradicting_mm or not _is_even(once.kept)) and (parts := _overlapping_parts(slices)):
        most = max(weight(part, referenced)[0] for part in parts)
        return [
            (part, [f"{len(parts)} acquisitions overlap; this is number {_number(part)}, of {len(part)} slices"])
            for part in parts
            if weight(part, referenced)[0] == most
        ]
    if once.contradicting_mm:
        listed = first_few([f"{position:.2f} mm" for position in once.contradicting_mm])
        raise SliceStackError(
            f"wanted one slice a position; found two or more that differ, at {listed}; "
            "were two series joined? keep one of them in the folder"
        )
    doubled = len(slices) - len(once.kept)
    notes = [f"{counted(doubled, 'slice')} left out: equal to another at the same place"] if doubled else []
    return [(once.kept, notes)]


@dataclass(frozen=True)
class _Once:
    """One slice of each place, and the places where others differ from it."""

    kept: list[Slice]
    contradicting_mm: list[float]


def _once(slices: Sequence[Slice], stack: SliceStack, referenced: frozenset[str]) -> _Once:
    kept, contradicting_mm, read = [], [], _reader()
    for places in _clusters(stack):
        same = [slices[place] for place in places]
        if not _all_same(same, stack.shifts_mm[places], read):
            contradicting_mm.append(float(stack.positions_mm[places[0]]))
        kept.append(next((one for one in same if one.header.sop_instance_uid in referenced), same[0]))
    return _Once(kept, contradicting_mm)


def _clusters(stack: SliceStack) -> list[list[int]]:
    """Places of slices, those at one position together."""
    ends = np.flatnonzero(np.diff(stack.positions_mm) > SAME_POSITION_MM) + 1
    return [part.tolist() for part in np.split(np.arange(len(stack.positions_mm)), ends)]


def _all_same(slices: Sequence[Slice], shifts_mm: Floats, read: Read) -> bool:
    if float(np.ptp(shifts_mm, axis=0).max()) > SAME_POSITION_MM:
        return False
    first, *others = slices
    return all(same_hu((read(first.header), first.plane), (read(one.header), one.plane)) for one in others)


def _reader() -> Read:
    """Reads files and keeps the last two: the frames of a large one are compared one after the other."""
    kept: dict[Path, StoredFrames] = {}

    def read(header: Header) -> StoredFrames:
        if header.path not in kept:
            while len(kept) > 1:
                kept.pop(next(iter(kept)))
            kept[header.path] = read_stored(header)
        return kept[header.path]

    return read


def _is_even(slices: Sequence[Slice]) -> bool:
    """Whether slices are at least two, at different places, an even distance apart."""
    if len(slices) < 2:
        return False
    stack = sorted_stack(slices)[1]
    return len(_clusters(stack)) == len(slices) and unevenness_mm(stack) <= EVEN_MM


def _overlapping_parts(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Slices, sorted, by Acquisition Number, if that makes even stacks that overlap in more than an end; else []."""
    by_number: dict[int | None, list[Slice]] = {}
    for one in slices:
        by_number.setdefault(one.header.acquisition_number, []).append(one)
    parts = list(by_number.values())
    if len(parts) < 2 or None in by_number or not all(_is_even(part) for part in parts):
        return []
    position_mm = dict(zip(map(id, slices), sorted_stack(slices)[1].positions_mm, strict=True))
    ends_mm = sorted((position_mm[id(part[0])], position_mm[id(part[-1])]) for part in parts)
    apart = all(end <= start + SAME_POSITION_MM for (_, end), (start, _) in pairwise(ends_mm))
    return [] if apart else parts


def _number(acquisition: Sequence[Slice]) -> int | None:
    return acquisition[0].header.acquisition_number
