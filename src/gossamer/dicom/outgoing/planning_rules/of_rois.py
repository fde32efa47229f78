"""Rules about the ROIs: three sequences, names, colours."""

from __future__ import annotations

from collections import Counter

from pydicom.dataset import Dataset

from gossamer.dicom.files.elements import items_of
from gossamer.dicom.outgoing.planning_rules.rule import Faults, Rule
from gossamer.dicom.outgoing.planning_rules.written import INTEGER, bytes_of, text_of, texts_of

MAX_NAME = 16
"""Characters of a structure's name: TG-263 (7.2), and Eclipse."""


def _joined_by_number(file: Dataset) -> Faults:
    listed = texts_of(items_of(file, "StructureSetROISequence"), "ROINumber")
    if not listed:
        yield "no ROI is listed"
    for numbers, what in (
        (texts_of(items_of(file, "ROIContourSequence"), "ReferencedROINumber"), "ROI Contour"),
        (texts_of(items_of(file, "RTROIObservationsSequence"), "ReferencedROINumber"), "RT ROI Observations"),
    ):
        if Counter(numbers) != Counter(listed):
            yield f"{what} Sequence does not have one item for each of {len(listed)} ROIs"


def _numbers_differ(file: Dataset) -> Faults:
    listed = [(bytes_of(roi, "ROINumber") or b"") for roi in items_of(file, "StructureSetROISequence")]
    if len(set(listed)) < len(listed) or not all(INTEGER.fullmatch(number) for number in listed):
        yield "ROI Numbers are not different integers"


def _names(file: Dataset) -> Faults:
    for roi in items_of(file, "StructureSetROISequence"):
        name = bytes_of(roi, "ROIName") or b""
        if not 1 <= len(name) <= MAX_NAME or not name.isascii():
            yield f"ROI {text_of(roi, 'ROINumber')}: its name is not 1 to {MAX_NAME} ASCII characters, but {len(name)}"


def _names_differ(file: Dataset) -> Faults:
    names = Counter(text_of(roi, "ROIName").casefold() for roi in items_of(file, "StructureSetROISequence"))
    if twins := sum(count for count in names.values() if count > 1):
        yield f"{twins} ROIs have a name that another has, too, but for case"


def _roi_elements(file: Dataset) -> Faults:
    frames = texts_of(items_of(file, "ReferencedFrameOfReferenceSequence"), "FrameOfReferenceUID")
    for roi in items_of(file, "StructureSetROISequence"):
        if text_of(roi, "ReferencedFrameOfReferenceUID") not in frames:
            yield f"ROI {text_of(roi, 'ROINumber')}: its frame of reference is not one that the file refers to"
        if "ROIGenerationAlgorithm" not in roi:
            yield f"ROI {text_of(roi, 'ROINumber')}: ROIGenerationAlgorithm is absent"


def _observations(file: Dataset) -> Faults:
    observations = items_of(file, "RTROIObservationsSequence")
    numbers = texts_of(observations, "ObservationNumber")
    if len(set(numbers)) < len(numbers) or not all(numbers):
        yield "Observation Numbers are absent or not different"
    for item in observations:
        for keyword in ("RTROIInterpretedType", "ROIInterpreter"):
            if keyword not in item:
                yield f"ROI {text_of(item, 'ReferencedROINumber')}: {keyword} is absent"


def _approval(file: Dataset) -> Faults:
    automatic = any(
        text_of(roi, "ROIGenerationAlgorithm") == "AUTOMATIC" for roi in items_of(file, "StructureSetROISequence")
    )
    if automatic and text_of(file, "ApprovalStatus") != "UNAPPROVED":
        yield "automatic structures are not UNAPPROVED"


def _colours(file: Dataset) -> Faults:
    for roi in items_of(file, "ROIContourSequence"):
        parts = (bytes_of(roi, "ROIDisplayColor") or b"").split(b"\\")
        if len(parts) != 3 or not all(INTEGER.fullmatch(part.strip()) and 0 <= int(part) <= 255 for part in parts):
            yield f"ROI {text_of(roi, 'ReferencedROINumber')}: no colour of three integers 0-255"


def _not_empty(file: Dataset) -> Faults:
    for roi in items_of(file, "ROIContourSequence"):
        if not items_of(roi, "ContourSequence"):
            yield f"ROI {text_of(roi, 'ReferencedROINumber')}: no contours"


OF_ROIS = (
    Rule("three sequences of the same ROIs", "PS3.3 C.8.8.5, C.8.8.6, C.8.8.8; OHIF", _joined_by_number),
    Rule("ROI Numbers", "PS3.3 C.8.8.5", _numbers_differ),
    Rule("names of 16 characters", "TG-263 7.2; Eclipse", _names),
    Rule("names that differ", "TG-263 7.2; 3D Slicer", _names_differ),
    Rule("ROIs' elements", "PS3.3 C.8.8.5", _roi_elements),
    Rule("observations' elements", "PS3.3 C.8.8.8", _observations),
    Rule("not approved by itself", "PS3.3 C.8.8.16", _approval),
    Rule("a colour", "PS3.3 C.8.8.6; OHIF", _colours),
    Rule("no empty ROI", "PS3.3 C.8.8.6; OHIF, RayStation", _not_empty),
)
