"""The CT series that structure sets and segmentations are drawn on: what they copy from it and how they refer to it.

Law: what is drawn belongs to the CT's patient, study and frame of reference, of which it copies every byte. The CT is
not touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from gossamer.dicom.files.elements import ascii_of
from gossamer.dicom.files.open_file import foreign_errors_mapped, open_dicom
from gossamer.dicom.series.ct_series import CtSeries, Slice
from gossamer.dicom.series.stack import SliceStack
from gossamer.dicom.series.volume import NativeVolume, read_volume
from gossamer.errors import EmptyMaskError, GeometryMismatchError, UnreadableImageError

COPIED_TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
"""From the CT; empty where it has none, never absent (PS3.3 C.7.1.1, C.7.2.1): Eclipse logs some of them."""

COPIED_TYPE_3 = (
    *("SpecificCharacterSet", "IssuerOfPatientID", "StudyDescription", "TimezoneOffsetFromUTC"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
)
"""From the CT, where it has them and they say something."""

TIME_ZONE = re.compile("[+-](0[0-9]|1[0-4])[0-5][0-9]")
"""Timezone Offset From UTC (PS3.3 C.12.1)."""

COMPRESSION = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
"""Whether, how far and how an image was ever compressed with loss (PS3.3 C.7.6.1.1.5)."""

SAME_POSITION_MM = 0.001
"""How far the texts of Image Position (Patient) may lie beside the stack; they are where it comes from."""


@dataclass(frozen=True, eq=False)
class ReferenceSeries:
    """The CT series that masks lie on.

    Attributes:
        header: data set of one of its slices, from which patient and study are copied; and how it was compressed.
        series_uid: Series Instance UID.
        study_uid: Study Instance UID.
        frame_of_reference_uid: Frame of Reference UID.
        sop_class_uid: of its images.
        sop_instance_uids: of its slices, in the order of the stack; frames of one file share one.
        positions: of its slices, the three texts of Image Position (Patient) as they stand in the files.
        stack: where the slices lie.
        frame_numbers: of the slices in their files, from 1, if these are multi-frame; else ().
    """

    header: Dataset = field(repr=False)
    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    sop_class_uid: str
    sop_instance_uids: tuple[str, ...] = field(repr=False)
    positions: tuple[tuple[str, str, str], ...] = field(repr=False)
    stack: SliceStack = field(repr=False)
    frame_numbers: tuple[int, ...] = field(default=(), repr=False)


def reference_of(series: CtSeries) -> ReferenceSeries:
    """What a structure set or segmentation copies from, and refers to, of a CT series as it was read.

    Raises:
        UnreadableImageError: the first file is gone or damaged.
    """
    first = series.slices[0].header
    with foreign_errors_mapped():
        header = open_dicom(first.path, [*COPIED_TYPE_2, *COPIED_TYPE_3, *COMPRESSION])
    return ReferenceSeries(
        header=header,
        series_uid=series.series_uid,
        study_uid=series.study_uid,
        frame_of_reference_uid=series.frame_of_reference_uid,
        sop_class_uid=first.sop_class_uid,
        sop_instance_uids=series.sop_instance_uids,
        positions=tuple(_texts(one) for one in series.slices),
        stack=series.stack,
        frame_numbers=series.frame_numbers,
    )


def read_referred(series: CtSeries) -> tuple[ReferenceSeries, NativeVolume]:
    """A CT series that will do to be drawn on, and its pixels.

    Raises:
        GeometryMismatchError: it contradicts itself.
        UnreadableImageError: it cannot be read, or lacks a UID that has to be copied.
    """
    reference = reference_of(series)
    check_reference(reference)
    return reference, read_volume(series)


def _texts(one: Slice) -> tuple[str, str, str]:
    x, y, z = (text.strip(" \0") for text in one.plane.position_text.split("\\"))
    return x, y, z


def check_reference(reference: ReferenceSeries) -> None:
    """Raise unless a series can be referred to, and agrees with itself.

    Raises:
        GeometryMismatchError: it contradicts itself.
        UnreadableImageError: it lacks a UID that has to be copied.
    """
    slices, advice = reference.stack.shape[0], "read the series again"
    if not {slices} == {len(reference.sop_instance_uids), len(reference.positions)}:
        raise GeometryMismatchError(
            f"wanted an image and a position for each of {slices} slices; found {len(reference.sop_instance_uids)} and "
            f"{len(reference.positions)}; {advice}"
        )
    if len(set(reference.sop_instance_uids)) < slices and len(reference.frame_numbers) != slices:
        raise GeometryMismatchError(
            f"wanted a frame number for each of {slices} slices that share files; found "
            f"{len(reference.frame_numbers)}; {advice}"
        )
    written = np.array([[float(text) for text in position] for position in reference.positions])
    if (away_mm := float(np.abs(written - reference.stack.first_xyz).max())) > SAME_POSITION_MM:
        raise GeometryMismatchError(
            f"wanted slices where their Image Position (Patient) says; found one {away_mm:.3f} mm beside it; {advice}"
        )
    for uid, what in (
        (reference.study_uid, "Study Instance UID"),
        (reference.series_uid, "Series Instance UID"),
        (reference.frame_of_reference_uid, "Frame of Reference UID"),
    ):
        if not uid:
            raise UnreadableImageError(
                f"wanted a CT with a {what}; found none; nothing can be drawn on it: export the series again"
            )


def check_mask(mask: NDArray[np.bool_], stack: SliceStack, where: str) -> None:
    """Raise GeometryMismatchError unless a mask is bool [k, r, c] on the slices' grid."""
    if mask.shape != stack.shape or mask.dtype != np.bool_:
        raise GeometryMismatchError(
            f"{where}: wanted a mask of booleans on the slices' grid {stack.shape}; found {mask.dtype} {mask.shape}; "
            "carry it to the native grid first"
        )


def nothing_to_write(masks: int) -> EmptyMaskError:
    """What is said where none of so many masks holds a voxel."""
    return EmptyMaskError(
        f"wanted a structure to write; found {masks} masks without a voxel; nothing was written: look whether "
        "the image shows what the model was trained on"
    )


def copy_patient_and_study(header: Dataset, file: Dataset) -> None:
    """Copy what says whose the file is, as bytes: a name keeps its characters whatever set it is written in."""
    for keyword in COPIED_TYPE_2:
        setattr(file, keyword, "")
    for keyword in (*COPIED_TYPE_2, *COPIED_TYPE_3):
        if keyword not in header:
            continue
        element = header.get_item(keyword)
        if not element.value:  # an empty one of type 1C, as Specific Character Set is, would be a fault of our file
            continue
        if keyword.endswith("Sequence"):  # whose bytes may be those of another transfer syntax
            element = header[keyword]
        elif isinstance(element, RawDataElement) and len(element.value) % 2:
            element = element._replace(value=element.value + b" ", length=element.length + 1)
        file[keyword] = element


def in_zone_of(header: Dataset, now: datetime) -> datetime:
    """A moment in the time zone that is copied from the CT: it holds for all dates and times of a file (PS3.3 C.12.1).

    Args:
        header: of the CT.
        now: local time if it has no zone; returned as it is if the CT names none.
    """
    zone = ascii_of(header, "TimezoneOffsetFromUTC")
    return now.astimezone(datetime.strptime(zone, "%z").tzinfo) if TIME_ZONE.fullmatch(zone) else now


def image_item(sop_class_uid: str, uid: str, frame: int | None = None) -> Dataset:
    """An item that refers to an image, or to a frame of it, from 1."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, uid
    if frame is not None:
        item.ReferencedFrameNumber = str(frame)
    return item
