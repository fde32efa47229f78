"""The data set of a segmentation but for its pixels (DICOM PS3.3 A.51).

Law
    1. It belongs to the CT's patient, study and frame of reference; see ``reference``. It says whether the CT was ever
       compressed with loss.
    2. Of each structure every slice is a frame, also an empty one: old viewers count on that.

highdicom makes the object from headers alone: it is given empty pixels that take no memory.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import highdicom
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

from gossamer.dicom.files.elements import DECIMAL, ascii_of
from gossamer.dicom.outgoing.appearance import CATEGORY, Colour, side_of, type_of
from gossamer.dicom.outgoing.made_by import MAX_LO, MadeBy, put_made_by
from gossamer.dicom.outgoing.reference import (
    COMPRESSION,
    ReferenceSeries,
    copy_patient_and_study,
    image_item,
    in_zone_of,
)
from gossamer.dicom.outgoing.segmentation_frames import slices_of_frames

NO_CODE_STRING = re.compile("[^A-Z0-9_ ]")


def segmentation_file(
    found: Sequence[str],
    reference: ReferenceSeries,
    *,
    label: str,
    made_by: MadeBy,
    now: datetime,
    colours: Mapping[str, Colour],
    empty: Sequence[str],
) -> Any:
    """A segmentation without Pixel Data: a segment a structure, a frame for each of its slices.

    Args:
        found: structures.
        reference: the CT.
        label: Content Label and Series Description, at most 16 characters.
        made_by: what made the masks.
        now: Content Date and Time.
        colours: red, green and blue, 0-255, of each structure.
        empty: structures that were not found, for the Content Description.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of what the CT has against the standard, which is copied
        file = _of_highdicom(found, reference, made_by, label, colours)
        del file.PixelData
        copy_patient_and_study(reference.header, file)
        put_made_by(file, made_by)
        _put_content(file, in_zone_of(reference.header, now), label, empty)
        _put_references(file, reference)
    return file


def _of_highdicom(
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
    for frame, k in zip(file.PerFrameFunctionalGroupsSequence, slices_of_frames(file, reference.stack), strict=True):
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
