"""Masks to a structure set (RTSTRUCT, DICOM PS3.3 A.19) that a treatment planning system opens beside its CT.

Law
    1. The file says what the masks say: it is read back and filled before it is put in its place, and one voxel that
       differs is an error (with smoothing: is counted and said).
    2. A structure without a voxel is left out and named, since an empty ROI would say that the organ is not there.
    3. What planning systems are known to refuse in it is said (``planning_rules``).
    4. A file is there whole or not at all. The CT is not touched.

What stands in it beside the contours: see ``structure_set_file``.

Errors name a structure by its place among the masks: names may be a hospital's text. Notes name it as the file does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossamer.atomic import write_atomically
from gossamer.dicom.outgoing.appearance import Colour
from gossamer.dicom.outgoing.encoding import encoded, read_again
from gossamer.dicom.outgoing.made_by import MAX_LO, MadeBy, check_made_by, check_text, is_plain
from gossamer.dicom.outgoing.planning_rules.rules import faults_in
from gossamer.dicom.outgoing.read_back import masks_in
from gossamer.dicom.outgoing.reference import ReferenceSeries, check_mask, check_reference, nothing_to_write
from gossamer.dicom.outgoing.roi_names import MAX_NAME
from gossamer.dicom.outgoing.structure_set_file import Texts, structure_set_file, styles_of
from gossamer.dicom.rtstruct.drawing import MAX_DATA_BYTES, Drawing, Holes, draw
from gossamer.errors import GeometryMismatchError, UsageError

Mask = NDArray[np.bool_]

MAX_SH, MAX_ST = 16, 1024
"""Characters that texts of these VRs may have (PS3.5 6.2)."""


@dataclass(frozen=True)
class Smoothed:
    """What smoothing did to a structure.

    Attributes:
        moved_mm: how far a point of the mask's outline lies beside the contours at most.
        changed_voxels: how many the contours enclose more or less than the mask has.
    """

    moved_mm: float
    changed_voxels: int


@dataclass(frozen=True)
class Written:
    """A structure set that was written.

    Attributes:
        path: of the file.
        sop_instance_uid: its own.
        empty: structures left out because their masks hold no voxel.
        smoothed: what smoothing did, by structure; empty where nothing was smoothed.
        notes: what a user should know.
    """

    path: Path = field(repr=False)
    sop_instance_uid: str
    empty: tuple[str, ...]
    smoothed: Mapping[str, Smoothed]
    notes: tuple[str, ...]


def write_structure_set(
    path: Path,
    masks: Mapping[str, Mask],
    reference: ReferenceSeries,
    *,
    label: str,
    made_by: MadeBy,
    now: datetime,
    name: str = "",
    description: str = "",
    colours: Mapping[str, Colour] | None = None,
    interpreted_types: Mapping[str, str] | None = None,
    holes: Holes = "keyhole",
    smooth_mm: float = 0.0,
) -> Written:
    """Write masks as a structure set.

    Args:
        path: the file; its folder exists. One that is there is replaced.
        masks: bool [k, r, c] on the stack's grid, by structure; ROI Numbers are in their order, from 1.
        reference: the CT.
        label: Structure Set Label, at most 16 characters.
        made_by: what made the masks.
        now: Structure Set Date and Time.
        name: Structure Set Name, at most 64 characters.
        description: begins the Structure Set Description; 512 characters.
        colours: red, green and blue, 0-255, by structure; others get that of ``appearance``.
        interpreted_types: RT ROI Interpreted Type by structure; others get ORGAN.
        holes: how holes are written; see ``drawing``.
        smooth_mm: contours may leave the masks' outlines by this much, so as to have fewer points; 0 is exact.

    Raises:
        UsageError: a name, text or colour is not one that a structure set may have, or smoothing is negative.
        GeometryMismatchError: a mask is not on the stack's grid, the reference contradicts itself, or what was written
            does not enclose the mask (nothing is left on the disk).
        EmptyMaskError: no mask holds a voxel; nothing is written.
        StorageError: the file cannot be written.

    Source: DICOM PS3.3 A.19.3, C.8.8.5, C.8.8.6, C.8.8.8.
    """
    check_reference(reference)
    _check_names(list(masks))
    _check_texts(label, name, description, made_by)
    if not 0 <= smooth_mm < np.inf:
        raise UsageError(f"wanted smoothing of 0 mm or more; found {smooth_mm}; leave it out to draw exactly")
    styles = styles_of(list(masks), colours or {}, interpreted_types or {})
    drawn = _drawn(masks, reference, holes, smooth_mm)
    empty = tuple(structure for structure in masks if structure not in drawn)
    said = " ".join(text for text in (description, _left_out(empty), made_by.sentence) if text)
    file = structure_set_file(drawn, reference, Texts(label, name, said), styles, made_by=made_by, now=now)
    content = encoded(file)
    as_read = read_again(content)
    faults = faults_in(as_read)
    changed = {name: int((mask ^ masks[name]).sum()) for name, mask in masks_in(as_read, reference.stack)}
    _check_all_there(drawn, changed)
    if not smooth_mm:
        _check_unchanged(changed)
    write_atomically(path, content)
    return Written(
        path=path,
        sop_instance_uid=str(file.SOPInstanceUID),
        empty=empty,
        smoothed={s: Smoothed(drawn[s].moved_mm, changed[s]) for s in drawn} if smooth_mm else {},
        notes=(*_notes(drawn, changed, smooth_mm), *faults),
    )


def _drawn(masks: Mapping[str, Mask], reference: ReferenceSeries, holes: Holes, smooth_mm: float) -> dict[str, Drawing]:
    """The contours of each mask that holds a voxel; each is asked for once."""
    drawn = {}
    for place, (structure, mask) in enumerate(masks.items(), start=1):
        check_mask(mask, reference.stack, f"structure {place} of {len(masks)}")
        if mask.any():
            drawn[structure] = draw(mask, reference.stack, reference.positions, holes, smooth_mm)
    if not drawn:
        raise nothing_to_write(len(masks))
    return drawn


def _check_names(names: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for place, name in enumerate(names, start=1):
        where = f"structure {place} of {len(names)}"
        if not 1 <= len(name) <= MAX_NAME or not is_plain(name) or name != name.strip():
            raise UsageError(
                f"{where}: wanted a name of 1 to {MAX_NAME} ASCII characters; found one of {len(name)}"
                f"{'' if is_plain(name) else ', not all of them ASCII'}; map it to a name of TG-263"
            )
        if twin := seen.get(name.casefold()):
            raise UsageError(
                f"{where}: wanted names that differ in more than case; found that of structure {twin}; rename one"
            )
        seen[name.casefold()] = place


def _check_texts(label: str, name: str, description: str, made_by: MadeBy) -> None:
    check_text(label, "a Structure Set Label", 1, MAX_SH)
    check_text(name, "a Structure Set Name", 0, MAX_LO)
    check_text(description, "a description", 0, MAX_ST // 2)
    check_made_by(made_by)


def _left_out(empty: Sequence[str]) -> str:
    """A sentence on structures without a voxel, "" if there are none; as many names as there is room for."""
    names = list(empty[: MAX_ST // 8 // (MAX_NAME + 2)])
    more = [f"{len(empty) - len(names)} more"] * (len(names) < len(empty))
    return f"Not found and left out: {', '.join([*names, *more])}." if empty else ""


def _check_all_there(drawn: Collection[str], changed: Collection[str]) -> None:
    if set(changed) != set(drawn):
        raise GeometryMismatchError(
            f"wanted {len(drawn)} structures that are drawn; found {len(changed)} in what was read back, or others; "
            "nothing was written: report this as a fault of Gossamer"
        )


def _check_unchanged(changed: Mapping[str, int]) -> None:
    for place, voxels in enumerate(changed.values(), start=1):
        if voxels:
            raise GeometryMismatchError(
                f"structure {place} of {len(changed)}: wanted contours that enclose the mask; found {voxels} voxels "
                "that differ in what was read back; nothing was written: report this as a fault of Gossamer"
            )


def _notes(drawn: Mapping[str, Drawing], changed: Mapping[str, int], smooth_mm: float) -> Iterator[str]:
    for name, drawing in drawn.items():
        if smooth_mm:
            yield (
                f"{name}: smoothed within {smooth_mm:g} mm; no point moved by more than {drawing.moved_mm:.2f} mm, "
                f"voxels changed: {changed[name]}"
            )
        if drawing.rough_slices:
            yield f"{name}: slices not smoothed, since contours would have met: {drawing.rough_slices}"
        if drawing.cut_slices:
            yield (
                f"{name}: slices on which a contour was cut in two that touch, so that none is longer than "
                f"{MAX_DATA_BYTES:,} bytes: {drawing.cut_slices}"
            )
