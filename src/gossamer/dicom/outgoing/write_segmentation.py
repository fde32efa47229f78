"""Masks to a DICOM segmentation (SEG, PS3.3 A.51): a segment a structure, which may overlap, on the CT's own slices.

Law
    1. The file says what the masks say: each frame is read back from the bytes, placed by its own Plane Position, and
       compared before the file is put in its place.
    2. A structure without a voxel is left out and named.
    3. A file is there whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossamer.atomic import write_atomically
from gossamer.dicom.outgoing.appearance import Colour
from gossamer.dicom.outgoing.encoding import encoded, read_again
from gossamer.dicom.outgoing.made_by import MAX_LO, MadeBy, check_made_by, check_text, is_plain
from gossamer.dicom.outgoing.reference import ReferenceSeries, check_mask, check_reference, nothing_to_write
from gossamer.dicom.outgoing.segmentation_file import segmentation_file
from gossamer.dicom.outgoing.segmentation_frames import masks_in, packed, slices_of_frames
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import GeometryMismatchError, UsageError

Mask = NDArray[np.bool_]

MAX_LABEL = 16
"""Of a Content Label, a CS (PS3.5 6.2)."""


@dataclass(frozen=True)
class WrittenSegmentation:
    """A segmentation that was written.

    Attributes:
        path: of the file.
        sop_instance_uid: its own.
        empty: structures left out because their masks hold no voxel.
        notes: what a user should know.
    """

    path: Path = field(repr=False)
    sop_instance_uid: str
    empty: tuple[str, ...]
    notes: tuple[str, ...]


def write_segmentation(
    path: Path,
    masks: Mapping[str, Mask],
    reference: ReferenceSeries,
    *,
    label: str,
    made_by: MadeBy,
    now: datetime,
    colours: Mapping[str, Colour],
) -> WrittenSegmentation:
    """Write masks as a segmentation of type BINARY.

    Args:
        path: the file; its folder exists. One that is there is replaced.
        masks: bool [k, r, c] on the stack's grid, by structure; each is asked for several times and kept never.
        reference: the CT.
        label: Content Label and Series Description, at most 16 characters.
        made_by: what made the masks.
        now: Content Date and Time.
        colours: red, green and blue, 0-255, of each structure.

    Raises:
        UsageError: a name or text is not one that a segmentation may have.
        GeometryMismatchError: a mask is not on the stack's grid, the reference contradicts itself, or what was written
            is not the masks (nothing is left on the disk).
        EmptyMaskError: no mask holds a voxel; nothing is written.
        StorageError: the file cannot be written.

    Source: DICOM PS3.3 A.51, C.8.20.2, C.8.20.4.
    """
    check_reference(reference)
    check_text(label, "a label", 1, MAX_LABEL)
    check_made_by(made_by)
    found, overlap = _found(masks, reference.stack)
    if not found:
        raise nothing_to_write(len(masks))
    empty = tuple(name for name in masks if name not in found)
    file = segmentation_file(found, reference, label=label, made_by=made_by, now=now, colours=colours, empty=empty)
    file.SegmentsOverlap = "YES" if overlap else "NO"
    file.PixelData = packed(masks, found, slices_of_frames(file, reference.stack))
    content = encoded(file)
    del file.PixelData
    _check_unchanged(content, masks, found, reference.stack)
    write_atomically(path, content)
    return WrittenSegmentation(path, str(file.SOPInstanceUID), empty, ())


def _found(masks: Mapping[str, Mask], stack: SliceStack) -> tuple[list[str], bool]:
    """Structures with voxels, and whether any two share one."""
    found, overlap, taken = [], False, np.zeros(stack.shape, np.bool_)
    for place, (name, mask) in enumerate(masks.items(), start=1):
        where = f"structure {place} of {len(masks)}"
        check_mask(mask, stack, where)
        if not 1 <= len(name) <= MAX_LO or not is_plain(name):
            raise UsageError(f"{where}: wanted a name of 1 to {MAX_LO} ASCII characters; found another; rename it")
        if mask.any():
            found.append(name)
            overlap = overlap or bool((taken & mask).any())
            taken |= mask
    return found, overlap


def _check_unchanged(content: bytes, masks: Mapping[str, Mask], found: Sequence[str], stack: SliceStack) -> None:
    """Raise unless the bytes of a file hold the masks, whatever they were made of."""
    read = masks_in(read_again(content), stack)
    for place, (name, (label, mask)) in enumerate(zip(found, read, strict=True), start=1):
        voxels = int((mask ^ masks[name]).sum())
        if voxels or label != name:
            raise GeometryMismatchError(
                f"structure {place} of {len(found)}: wanted frames that hold the mask; found {voxels} voxels that "
                "differ in what was read back; nothing was written: report this as a fault of Gossamer"
            )
