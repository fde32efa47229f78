"""Which images of a series can be of one stack.

Law: images of another orientation, size, pixel spacing or frame of reference, and scouts, are told apart. One group is
kept: the one that a structure set refers to most, or else the largest. What is left out is said; of two that weigh the
same none is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gossamer.dicom.series.ct_series import Slice
from gossamer.dicom.series.one_image import DIRECTION_TOLERANCE, geometry_of
from gossamer.errors import SliceStackError, UnreadableImageError
from gossamer.words import counted

SPACING_TOLERANCE = 1e-4
"""Relative; over 512 pixels it moves the last one by a twentieth of a pixel."""

MAX_GROUPS = 64
"""Of a series: a stack, scouts and a few reconstructions. Each image is compared with each group, and a file of 16,384
frames that all differ would take an hour."""


def without_scouts(slices: Sequence[Slice], notes: list[str]) -> list[Slice]:
    """The images that are no scouts, with a note on those.

    Raises:
        UnreadableImageError: all are.
    """
    kept = [one for one in slices if not one.header.is_scout]
    if scouts := len(slices) - len(kept):
        notes.append(f"{counted(scouts, 'image')} left out: scout, by its Image Type")
    if not kept:
        raise UnreadableImageError(
            f"wanted slices; found {counted(scouts, 'image')}, all scouts; choose another series"
        )
    return kept


def main_group(slices: Sequence[Slice], referenced: frozenset[str], notes: list[str]) -> list[Slice]:
    """The images to keep, with notes on the others.

    Args:
        slices: that have a geometry each; see ``one_image``.
        referenced: SOP Instance UIDs of images that a structure set refers to.
        notes: get what is left out.

    Raises:
        SliceStackError: two groups weigh the same, or there are more than any series has.
    """
    kept, *others = sorted(_groups(slices), key=lambda group: weight(group, referenced), reverse=True)
    if others and weight(kept, referenced) == weight(others[0], referenced):
        raise SliceStackError(
            f"wanted one stack of slices; found two of {counted(len(kept), 'image')} each with "
            f"{', '.join(_differences(kept[0], others[0][0]))}; leave one of them out of the folder"
        )
    for group in others:
        notes.append(f"{counted(len(group), 'image')} left out: {', '.join(_differences(kept[0], group[0]))}")
        if lost := weight(group, referenced)[0]:
            notes.append(f"{lost} of these {'is' if lost == 1 else 'are'} referred to")
    return kept


def weight(group: Sequence[Slice], referenced: frozenset[str]) -> tuple[int, int]:
    """By which a group is chosen: how many of its images are referred to, and how many there are."""
    return sum(one.header.sop_instance_uid in referenced for one in group), len(group)


def _groups(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Images that can be of one stack together, each as its first one."""
    groups: list[list[Slice]] = []
    for one in slices:
        group = next((group for group in groups if not _differences(group[0], one)), None)
        if group is not None:
            group.append(one)
        elif len(groups) < MAX_GROUPS:
            groups.append([one])
        else:
            raise SliceStackError(
                f"wanted one stack of slices; found images of more than {MAX_GROUPS} orientations, sizes or spacings; "
                "choose another series"
            )
    return groups


def _differences(one: Slice, other: Slice) -> list[str]:
    """In what an image differs from one of a stack; [] if it can be of the same."""
    (directions, spacing), (other_directions, other_spacing) = (
        (it.plane.orientation or (), it.plane.spacing_mm or ()) for it in (one, other)
    )
    size, other_size = ((it.header.rows, it.header.columns) for it in (one, other))
    found = []
    if any(abs(a - b) > DIRECTION_TOLERANCE for a, b in zip(directions, other_directions, strict=True)):
        found.append(f"another orientation (normals {_degrees_between(one, other):.1f} degrees apart)")
    if size != other_size:
        found.append(f"another size ({other_size[0]} x {other_size[1]} rather than {size[0]} x {size[1]} pixels)")
    if any(abs(a - b) > SPACING_TOLERANCE * a for a, b in zip(spacing, other_spacing, strict=True)):
        found.append(
            f"another pixel spacing ({other_spacing[0]:.4f} x {other_spacing[1]:.4f} rather than "
            f"{spacing[0]:.4f} x {spacing[1]:.4f} mm)"
        )
    if one.header.frame_of_reference_uid != other.header.frame_of_reference_uid:
        found.append("another frame of reference")
    return found


def _degrees_between(one: Slice, other: Slice) -> float:
    """Between the normals of two images."""
    first, second = (np.cross(*geometry_of(it)[1]) for it in (one, other))
    return float(np.degrees(np.arccos(np.clip(first @ second, -1.0, 1.0))))
