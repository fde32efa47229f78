"""Rules about the file and what it refers to."""

from __future__ import annotations

from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage

from gossamer.dicom.files.elements import items_of
from gossamer.dicom.outgoing.planning_rules.rule import Faults, Rule, filled, present
from gossamer.dicom.outgoing.planning_rules.written import (
    bytes_of,
    image_lists,
    referenced_series,
    referenced_studies,
    text_of,
    texts_of,
)

MAX_SH, MAX_LO = 16, 64
"""Characters of these VRs (PS3.5 6.2)."""


def _transfer_syntax(file: Dataset) -> Faults:
    meta = file.file_meta if isinstance(file, FileDataset) else Dataset()
    if (found := str(meta.get("TransferSyntaxUID", ""))) != ImplicitVRLittleEndian:
        yield f"found {found or 'none'}"


def _sop_class(file: Dataset) -> Faults:
    if text_of(file, "SOPClassUID") != RTStructureSetStorage or text_of(file, "Modality") != "RTSTRUCT":
        yield "SOP Class UID or Modality is that of another object"


def _same_as_in_meta(file: Dataset) -> Faults:
    meta = file.file_meta if isinstance(file, FileDataset) else Dataset()
    if str(meta.get("MediaStorageSOPInstanceUID", "")) != text_of(file, "SOPInstanceUID"):
        yield "SOP Instance UID differs from that of the file's own header"


def _own_series(file: Dataset) -> Faults:
    if text_of(file, "SeriesInstanceUID") in texts_of(referenced_series(file), "SeriesInstanceUID"):
        yield "Series Instance UID is that of the images"


def _charset(file: Dataset) -> Faults:
    if bytes_of(file, "SpecificCharacterSet"):
        return
    for keyword in ("PatientName", "PatientID", "ReferringPhysicianName", "StructureSetLabel", "StudyDescription"):
        if not (bytes_of(file, keyword) or b"").isascii():
            yield f"{keyword} has characters that no character set is given for"


def _text_lengths(file: Dataset) -> Faults:
    limits = {"StructureSetLabel": MAX_SH, "StructureSetName": MAX_LO, "SeriesDescription": MAX_LO, "StudyID": MAX_SH}
    for keyword, most in limits.items():
        if len(bytes_of(file, keyword) or b"") > most:
            yield f"{keyword} has {len(bytes_of(file, keyword) or b'')} characters, of {most}"


def _one_reference(file: Dataset) -> Faults:
    frames = items_of(file, "ReferencedFrameOfReferenceSequence")
    counts = {
        "Referenced Frame of Reference": len(frames),
        "RT Referenced Study": len(referenced_studies(file)),
        "RT Referenced Series": len(referenced_series(file)),
    }
    for what, count in counts.items():
        if count != 1:
            yield f"{what} Sequence has {count} items, of 1"


def _same_study(file: Dataset) -> Faults:
    if any(
        uid != text_of(file, "StudyInstanceUID")
        for uid in texts_of(referenced_studies(file), "ReferencedSOPInstanceUID")
    ):
        yield "the referenced study is another than the file's own"


def _images_listed(file: Dataset) -> Faults:
    for images in image_lists(file):
        uids = texts_of(images, "ReferencedSOPInstanceUID")
        if not uids or not all(uids) or not all(texts_of(images, "ReferencedSOPClassUID")):
            yield "the referenced series lists no images, or some without class or instance UID"
        if len(set(uids)) < len(uids):
            yield "the referenced series lists an image twice"


OF_FILE = (
    Rule("Implicit VR Little Endian", "a planning system, pydicom issue 1530", _transfer_syntax),
    Rule("an RT Structure Set", "PS3.3 A.19, C.8.8.1", _sop_class),
    Rule(
        "patient's elements present",
        "PS3.3 C.7.1.1; Eclipse",
        present("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    ),
    Rule("patient has name and ID", "RayStation 4.6", filled("PatientName", "PatientID")),
    Rule("a study", "PS3.3 C.7.2.1", filled("StudyInstanceUID")),
    Rule(
        "study's elements present",
        "PS3.3 C.7.2.1; Eclipse",
        present("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    ),
    Rule("a series", "PS3.3 C.8.8.1", filled("SeriesInstanceUID")),
    Rule("series' elements present", "PS3.3 C.8.8.1; Eclipse", present("SeriesNumber", "OperatorsName")),
    Rule("a series of its own", "PS3.3 C.8.8.1", _own_series),
    Rule("one UID for the object", "PS3.10 7.1", _same_as_in_meta),
    Rule("an object with a UID", "PS3.3 C.12.1; Eclipse", filled("SOPInstanceUID")),
    Rule("a frame of reference", "PS3.3 C.7.4.1", filled("FrameOfReferenceUID")),
    Rule("position reference indicator present", "PS3.3 C.7.4.1; Eclipse", present("PositionReferenceIndicator")),
    Rule("manufacturer present", "PS3.3 C.7.5.1", present("Manufacturer")),
    Rule("a character set", "PS3.3 C.12.1.1.2; 3D Slicer", _charset),
    Rule("a label", "PS3.3 C.8.8.5", filled("StructureSetLabel")),
    Rule("texts not too long", "PS3.5 6.2", _text_lengths),
    Rule("date and time present", "PS3.3 C.8.8.5", present("StructureSetDate", "StructureSetTime")),
    Rule("one series referred to", "PS3.3 C.8.8.5; 3D Slicer takes the first", _one_reference),
    Rule("the images' study", "PS3.3 C.8.8.5; OHIF", _same_study),
    Rule("images listed", "PS3.3 C.8.8.5; RayStation 4.6", _images_listed),
)
