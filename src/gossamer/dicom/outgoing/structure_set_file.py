"""The data set of a structure set: its modules, filled with contours that are drawn (DICOM PS3.3 A.19).

Law
    1. It belongs to the CT's patient, study and frame of reference, of which it copies every byte; it is a new object
       in a series of its own, whenever it is made.
    2. Nobody is made to believe more than is known: ROIs are AUTOMATIC, the set is UNAPPROVED.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from gossamer.dicom.outgoing.appearance import Colour, colour_of
from gossamer.dicom.outgoing.encoding import keep_bytes
from gossamer.dicom.outgoing.made_by import MAX_LO, MadeBy, put_made_by
from gossamer.dicom.outgoing.reference import ReferenceSeries, copy_patient_and_study, image_item, in_zone_of
from gossamer.dicom.rtstruct.drawing import Drawing, Outline
from gossamer.errors import UsageError

STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management; retired, and still what systems expect here (PS3.3 C.8.8.5)."""

CODE_STRING = re.compile("[A-Z0-9_ ]{0,16}")
"""A CS (PS3.5 6.2)."""


@dataclass(frozen=True)
class Texts:
    """What people read: Structure Set Label, Name ("" for none) and Description."""

    label: str
    name: str
    description: str


@dataclass(frozen=True)
class Style:
    """How a planning system shows a structure."""

    colour: Colour
    interpreted_type: str


def styles_of(
    names: Sequence[str], colours: Mapping[str, Colour], interpreted_types: Mapping[str, str]
) -> dict[str, Style]:
    """Of each structure; a colour that is not given is that of ``appearance``, a type ORGAN.

    Raises:
        UsageError: a colour or type is not one that a structure set may have.
    """
    styles = {}
    for n, name in enumerate(names):
        colour = colours.get(name, colour_of(name))
        if len(colour) != 3 or not all(0 <= part <= 255 for part in colour):
            raise UsageError(f"structure {n + 1}: wanted a colour of three numbers 0-255; found {colour}; correct it")
        kind = interpreted_types.get(name, "ORGAN")
        if not CODE_STRING.fullmatch(kind):
            raise UsageError(
                f"structure {n + 1}: wanted an interpreted type of at most 16 capital letters, digits, spaces and _; "
                f"found one of {len(kind)} characters; take one of PS3.3 C.8.8.8.1, as ORGAN"
            )
        styles[name] = Style(colour, kind)
    return styles


def structure_set_file(
    drawn: Mapping[str, Drawing],
    reference: ReferenceSeries,
    texts: Texts,
    styles: Mapping[str, Style],
    *,
    made_by: MadeBy,
    now: datetime,
) -> FileDataset:
    """A structure set of what was drawn; ROI Numbers are in its order, from 1.

    Args:
        drawn: contours by structure, none without.
        reference: the CT.
        texts: each as long as its VR may be.
        styles: of each structure.
        made_by: what made the masks.
        now: Structure Set Date and Time.
    """
    file = _patient_study_series(reference, made_by, now)
    _put_structure_set(file, reference, texts)
    _put_rois(file, drawn, reference, made_by, styles)
    return file


def _patient_study_series(reference: ReferenceSeries, made_by: MadeBy, now: datetime) -> FileDataset:
    """A structure set without structures: patient, study, series and equipment (PS3.3 C.7, C.8.8.1)."""
    file = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    # New ones with each write: a planning system takes a UID that it knows for the object that it knows.
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    file.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    copy_patient_and_study(reference.header, file)
    made = in_zone_of(reference.header, now)
    file.InstanceCreationDate = file.StructureSetDate = made.strftime("%Y%m%d")
    file.InstanceCreationTime = file.StructureSetTime = made.strftime("%H%M%S")
    file.StudyInstanceUID, file.SeriesInstanceUID = reference.study_uid, generate_uid(prefix=None)
    file.Modality, file.SeriesNumber, file.InstanceNumber, file.OperatorsName = "RTSTRUCT", "1", "1", ""
    file.FrameOfReferenceUID, file.PositionReferenceIndicator = reference.frame_of_reference_uid, ""
    put_made_by(file, made_by)
    return file


def _put_structure_set(file: Dataset, reference: ReferenceSeries, texts: Texts) -> None:
    """The Structure Set module up to its ROIs (PS3.3 C.8.8.5), and Approval (C.8.8.16)."""
    file.StructureSetLabel, file.StructureSetDescription = texts.label, texts.description
    file.SeriesDescription = texts.name or texts.label
    if texts.name:
        file.StructureSetName = texts.name
    file.ApprovalStatus = "UNAPPROVED"
    series = Dataset()
    series.SeriesInstanceUID = reference.series_uid
    # Every image of the series, drawn on or not: systems look for the series by them.
    every = dict.fromkeys(reference.sop_instance_uids)
    series.ContourImageSequence = [image_item(reference.sop_class_uid, uid) for uid in every]
    study, frame = image_item(STUDY_CLASS, reference.study_uid), Dataset()
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = reference.frame_of_reference_uid, [study]
    file.ReferencedFrameOfReferenceSequence = [frame]


def _put_rois(
    file: Dataset,
    drawn: Mapping[str, Drawing],
    reference: ReferenceSeries,
    made_by: MadeBy,
    styles: Mapping[str, Style],
) -> None:
    """The three sequences about ROIs (PS3.3 C.8.8.5, C.8.8.6, C.8.8.8), joined by ROI Number."""
    listed, contoured, observed = [], [], []
    for number, (name, drawing) in enumerate(drawn.items(), start=1):
        roi = Dataset()
        roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = str(number), name, "AUTOMATIC"
        roi.ReferencedFrameOfReferenceUID = reference.frame_of_reference_uid
        made = f"{made_by.software} {made_by.version}, model {made_by.model_hash[:12]}"
        roi.ROIGenerationDescription = made[:MAX_LO]
        listed.append(roi)
        contours = Dataset()
        contours.ReferencedROINumber, contours.ROIDisplayColor = str(number), [str(c) for c in styles[name].colour]
        contours.ContourSequence = [_contour(outline, drawing.kind, reference) for outline in drawing.outlines]
        contoured.append(contours)
        observation = Dataset()
        observation.ObservationNumber = observation.ReferencedROINumber = str(number)
        observation.RTROIInterpretedType, observation.ROIInterpreter = styles[name].interpreted_type, ""
        observed.append(observation)
    file.StructureSetROISequence, file.ROIContourSequence = listed, contoured
    file.RTROIObservationsSequence = observed


def _contour(outline: Outline, kind: str, reference: ReferenceSeries) -> Dataset:
    contour = Dataset()
    frame = reference.frame_numbers[outline.k] if reference.frame_numbers else None
    contour.ContourImageSequence = [image_item(reference.sop_class_uid, reference.sop_instance_uids[outline.k], frame)]
    contour.ContourGeometricType = kind
    contour.NumberOfContourPoints = str(outline.points)
    # As bytes: pydicom would make an object of each number, and its own text of that.
    data = outline.data + b" " * (len(outline.data) % 2)
    tag = Tag("ContourData")
    contour[tag] = RawDataElement(tag, "DS", len(data), data, 0, True, True)
    keep_bytes(contour)
    return contour
