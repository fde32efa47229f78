"""Masks to a DICOM segmentation (SEG, PS3.3 A.51): a segment a structure, which may overlap, on the CT's own slices.

Law
    1. The file says what the masks say: each frame is read back from the bytes, placed by its own Plane Position, and
       compared before the file is put in its place.
    2. It belongs to the CT's patient, study and frame of reference; see ``reference``. It says whether the CT was ever
       compressed with loss.
    3. A structure without a voxel is left out and named. Of the others every slice is a frame, also an empty one: old
       viewers count on that.
    4. A file is there whole or not at all.

highdicom makes the object from headers alone: it is given empty pixels that take no memory, and the bits of the masks
are put in behind, one structure at a time.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

from gossamer.atomic import write_atomically
from gossamer.dicom.files.elements import DECIMAL, ascii_of
from gossamer.dicom.outgoing.appearance import CATEGORY, Colour, side_of, type_of
from gossamer.dicom.outgoing.made_by import MAX_LO, MadeBy, check_made_by, check_text, is_plain, put_made_by
from gossamer.dicom.outgoing.reference import (
    COMPRESSION,
    ReferenceSeries,
    check_mask,
    check_reference,
    copy_patient_and_study,
    encoded,
    image_item,
    nothing_to_write,
)
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import GeometryMismatchError, UsageError

Mask = NDArray[np.bool_]

MAX_LABEL = 16
"""Of a Content Label, a CS (PS3.5 6.2)."""

NO_CODE_STRING = re.compile("[^A-Z0-9_ ]")

IN_PLACE_MM = 0.001
"""How far a frame that is read back may lie beside its slice."""


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of what the CT has against the standard, which is copied
        file = _without_pixels(found, reference, made_by, label, colours)
        copy_patient_and_study(reference.header, file)
        put_made_by(file, made_by)
        _put_content(file, now, label, empty)
        _put_references(file, reference)
        file.SegmentsOverlap = "YES" if overlap else "NO"
        file.PixelData = _packed(masks, found, _slices_of_frames(file, reference.stack))
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


# The object


def _without_pixels(
    found: Sequence[str], reference: ReferenceSeries, made_by: MadeBy, label: str, colours: Mapping[str, Colour]
) -> Any:
    """Highdicom's object with a frame for each slice of each structure; all of its pixels are 0."""
    return highdicom.seg.Segmentation(
        source_images=_sources(reference),
        pixel_array=np.broadcast_to(np.uint8(0), reference.stack.shape),
        segmentation_type="BINARY",
        segment_descriptions=[_segment(n, name, made_by, colours[name]) for n, name in enumerate(found, start=1)],
        series_instance_uid=generate_uid(prefix=None),
        series_number=1,
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        manufacturer=made_by.software,
        manufacturer_model_name="",
        software_versions=made_by.version,
        device_serial_number="0",
        content_label=NO_CODE_STRING.sub("_", label.upper()),
        transfer_syntax_uid=ImplicitVRLittleEndian,
        omit_empty_frames=False,
    )


def _sources(reference: ReferenceSeries) -> list[Dataset]:
    """What highdicom wants to know of each slice; a frame of a multi-frame CT stands here as a slice of its own."""
    stack = reference.stack
    row_mm, column_mm = float(np.linalg.norm(stack.row_step_xyz)), float(np.linalg.norm(stack.column_step_xyz))
    directions = [*(stack.column_step_xyz / column_mm).tolist(), *(stack.row_step_xyz / row_mm).tolist()]
    gap_mm = float(np.abs(np.diff(stack.positions_mm)).min()) if len(stack.first_xyz) > 1 else 1.0
    sources, compression = [], _lossy_compression(reference.header)
    for uid, position in zip(reference.sop_instance_uids, reference.positions, strict=True):
        one = Dataset()
        one.SOPClassUID, one.SOPInstanceUID, one.Modality = CTImageStorage, uid, "CT"
        one.StudyInstanceUID, one.SeriesInstanceUID = reference.study_uid, reference.series_uid
        one.FrameOfReferenceUID = reference.frame_of_reference_uid
        one.Rows, one.Columns = stack.rows, stack.columns
        one.ImagePositionPatient = [format_number_as_ds(float(text)) for text in position]
        one.ImageOrientationPatient = [format_number_as_ds(number) for number in directions]
        one.PixelSpacing = [format_number_as_ds(row_mm), format_number_as_ds(column_mm)]
        one.SliceThickness = format_number_as_ds(round(gap_mm, 6))
        for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
            setattr(one, keyword, "")
        one.StudyDate = one.StudyTime = ""
        one.update(compression)
        sources.append(one)
    return sources


def _lossy_compression(header: Dataset) -> Dataset:
    """What the CT says of compression with loss, and what is derived of it says in turn; empty if there was none."""
    said = Dataset()
    flag, ratio, method = COMPRESSION
    if ascii_of(header, flag) == "01":
        said.LossyImageCompression = "01"
        ratios, methods = (ascii_of(header, keyword).split("\\") for keyword in (ratio, method))
        if all(DECIMAL.fullmatch(text.encode()) for text in ratios):
            said.LossyImageCompressionRatio = ratios
        if all(re.fullmatch("[A-Z0-9_ ]{1,16}", text) for text in methods):
            said.LossyImageCompressionMethod = methods
    return said


def _segment(number: int, name: str, made_by: MadeBy, colour: Colour) -> Any:
    model = {"Model SHA-256": made_by.model_hash}
    whose = {"Federation": made_by.federation} if made_by.federation else {}
    segment = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=CATEGORY,
        segmented_property_type=type_of(name),
        algorithm_type="AUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=made_by.software,
            family=codes.DCM.ArtificialIntelligence,
            version=made_by.version,
            parameters=model | whose,
        ),
        display_color=highdicom.color.CIELabColor.from_rgb(*colour),
    )
    if side := side_of(name):
        modifier = Dataset()
        modifier.CodeValue, modifier.CodingSchemeDesignator = side.value, side.scheme_designator
        modifier.CodeMeaning = side.meaning
        segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
    return segment


def _put_content(file: Dataset, now: datetime, label: str, empty: Sequence[str]) -> None:
    file.SeriesDescription, file.ContentDescription = label, _description(empty)
    file.ContentDate = file.SeriesDate = file.InstanceCreationDate = now.strftime("%Y%m%d")
    file.ContentTime = file.SeriesTime = file.InstanceCreationTime = now.strftime("%H%M%S")


def _put_references(file: Dataset, reference: ReferenceSeries) -> None:
    """The images, each once, and of which of them each frame was derived: what highdicom was not told."""
    for frame, k in zip(file.PerFrameFunctionalGroupsSequence, _slices_of_frames(file, reference.stack), strict=True):
        for derivation in frame.get("DerivationImageSequence", []):
            for image in derivation.SourceImageSequence:
                image.ReferencedSOPClassUID = reference.sop_class_uid
                if reference.frame_numbers:
                    image.ReferencedFrameNumber = str(reference.frame_numbers[k])
    images = [image_item(reference.sop_class_uid, uid) for uid in dict.fromkeys(reference.sop_instance_uids)]
    file.SourceImageSequence = images
    file.ReferencedSeriesSequence[0].ReferencedInstanceSequence = images


def _description(empty: Sequence[str]) -> str:
    """Content Description: that it is to be reviewed, and what was left out, as far as there is room."""
    if not empty:
        return "Drawn by software, not reviewed."
    named = f"Not reviewed. Left out: {', '.join(empty)}."
    return named if len(named) <= MAX_LO else f"Not reviewed. {len(empty)} structures not found and left out."


# Its pixels


def _slices_of_frames(file: Dataset, stack: SliceStack) -> list[int]:
    """The slice of each frame, by its Plane Position (Patient)."""
    return [
        _placed(np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64), stack)
        for frame in file.PerFrameFunctionalGroupsSequence
    ]


def _placed(first_xyz: NDArray[np.float64], stack: SliceStack) -> int:
    k, _ = stack.nearest_slice(float(first_xyz @ stack.normal_xyz))
    if (away_mm := float(np.abs(first_xyz - stack.first_xyz[k]).max())) > IN_PLACE_MM:
        raise GeometryMismatchError(
            f"wanted each frame on a slice; found one {away_mm:.3f} mm beside it; nothing was written: report this as "
            "a fault of Gossamer"
        )
    return k


def _packed(masks: Mapping[str, Mask], found: Sequence[str], slices: Sequence[int]) -> bytes:
    """Bits of all frames, one behind the other without a gap, the first in the lowest place (PS3.5 8.1.1, D)."""
    pieces, rest = [], np.zeros(0, np.bool_)
    for name, order in zip(found, np.array(slices).reshape(len(found), -1), strict=True):
        bits = np.concatenate([rest, masks[name][order].ravel()])
        whole = len(bits) // 8 * 8
        pieces.append(np.packbits(bits[:whole], bitorder="little").tobytes())
        rest = bits[whole:]
    pieces.append(np.packbits(rest, bitorder="little").tobytes())
    packed = b"".join(pieces)
    return packed + b"\0" * (len(packed) % 2)


def _check_unchanged(content: bytes, masks: Mapping[str, Mask], found: Sequence[str], stack: SliceStack) -> None:
    """Raise unless the bytes of a file hold the masks, whatever they were made of."""
    for place, (name, voxels) in enumerate(_changed(content, masks, found, stack), start=1):
        if voxels or name != found[place - 1]:
            raise GeometryMismatchError(
                f"structure {place} of {len(found)}: wanted frames that hold the mask; found {voxels} voxels that "
                "differ in what was read back; nothing was written: report this as a fault of Gossamer"
            )


def _changed(
    content: bytes, masks: Mapping[str, Mask], found: Sequence[str], stack: SliceStack
) -> Iterator[tuple[str, int]]:
    """Of each segment its label, and how many voxels differ."""
    file = pydicom.dcmread(io.BytesIO(content))
    pixels = np.frombuffer(file.PixelData, np.uint8)
    slices = np.array(_slices_of_frames(file, stack))
    shared = file.SharedFunctionalGroupsSequence[0]
    numbers = np.array(
        [
            (frame if "SegmentIdentificationSequence" in frame else shared)
            .SegmentIdentificationSequence[0]
            .ReferencedSegmentNumber
            for frame in file.PerFrameFunctionalGroupsSequence
        ]
    )
    size = stack.rows * stack.columns
    for segment, name in zip(file.SegmentSequence, found, strict=True):
        read = np.zeros(stack.shape, np.bool_)
        for frame in np.flatnonzero(numbers == segment.SegmentNumber):
            begin = int(frame) * size
            bits = np.unpackbits(pixels[begin // 8 : -(-(begin + size) // 8)], bitorder="little")
            read[slices[frame]] |= bits[begin % 8 : begin % 8 + size].view(np.bool_).reshape(stack.rows, stack.columns)
        yield str(segment.SegmentLabel), int((read ^ masks[name]).sum())
