"""What planning systems, viewers and archives are known to reject in a structure set, as rules for a written file.

Law
    1. Each rule names whose it is: a section of the standard (DICOM PS3.3 or PS3.5), or systems that were seen to
       refuse a file for it.
    2. A fault says what was wanted and found, and where: by a ROI Number and a contour's place. No text of the file is
       repeated, since names may be persons'.
    3. No rule needs another: each is right about a file that breaks all others, also one that nobody wrote here.

Which system does what is known from reports of their users (issues of open-source projects, forums), not from vendors;
that a file has no fault does not promise that a system opens it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage

from gossamer.dicom.files.open_file import foreign_errors_mapped

Faults = Iterator[str]

MAX_SH, MAX_LO, MAX_DS = 16, 64, 16
"""Characters of these VRs (PS3.5 6.2)."""

MAX_NAME = 16
"""Characters of a structure's name: TG-263 (7.2), and Eclipse."""

MAX_DATA_BYTES = 65_534
"""Of Contour Data: what Explicit VR has a length for (PS3.5 7.1.2)."""

DECIMAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
INTEGER = re.compile(rb"[+-]?\d{1,11}")
"""A DS and an IS (PS3.5 6.2)."""

FLAT_MM = 0.01
"""How far points of a contour may lie beside its plane; writers round to 0.01 mm at most."""

TYPES = frozenset({"POINT", "OPEN_PLANAR", "OPEN_NONPLANAR", "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})
"""Contour Geometric Types (PS3.3 C.8.8.6.1)."""

CLOSED_TYPES = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        name: what it asks for.
        source: section of the standard, or systems.
        faults: finds what breaks it in a data set.
    """

    name: str
    source: str
    faults: Callable[[Dataset], Faults]


def faults_of(path: Path) -> tuple[str, ...]:
    """What is wrong with a structure set for the systems that are known.

    Returns:
        A line a fault, with the rule and its source; () if none is known.

    Raises:
        UnreadableImageError: it is no DICOM file, or damaged.
    """
    with foreign_errors_mapped():
        return faults_in(pydicom.dcmread(path))


def faults_in(file: Dataset) -> tuple[str, ...]:
    """As ``faults_of``, of a data set that was read and not changed since."""
    return tuple(f"{rule.name}: {fault} ({rule.source})" for rule in RULES for fault in rule.faults(file))


# Elements from their bytes


def _bytes(data: Dataset, keyword: str) -> bytes | None:
    """The bytes of an element, without padding; None if it is absent."""
    if keyword not in data:
        return None
    element = data.get_item(keyword)
    value = element.value
    if isinstance(element, RawDataElement):
        return (value or b"").strip(b" \0")
    if value is None or isinstance(value, DicomSequence):
        return b""
    values = value if isinstance(value, list | pydicom.multival.MultiValue) else [value]
    return "\\".join(str(one) for one in values).encode("utf-8", "replace")


def _text(data: Dataset, keyword: str) -> str:
    return (_bytes(data, keyword) or b"").decode("ascii", "replace")


def _items(data: Dataset, keyword: str) -> Sequence[Dataset]:
    value = data[keyword].value if keyword in data else None
    return value if isinstance(value, DicomSequence) else ()


def _numbers(items: Sequence[Dataset], keyword: str) -> list[str]:
    return [_text(item, keyword) for item in items]


@dataclass(frozen=True)
class _Contour:
    """A contour and where it is."""

    where: str
    item: Dataset

    @property
    def kind(self) -> str:
        return _text(self.item, "ContourGeometricType")

    @property
    def values(self) -> list[bytes]:
        data = _bytes(self.item, "ContourData") or b""
        return [value.strip(b" \0") for value in data.split(b"\\")] if data else []

    @property
    def points(self) -> NDArray[np.float64] | None:
        """float64 [n, 3]; None where the values are no points."""
        values = self.values
        if len(values) % 3 or not all(DECIMAL.fullmatch(value) for value in values):
            return None
        return np.array([float(value) for value in values]).reshape(-1, 3)


def _contours(file: Dataset) -> Iterator[_Contour]:
    for roi in _items(file, "ROIContourSequence"):
        number = _text(roi, "ReferencedROINumber")
        for place, item in enumerate(_items(roi, "ContourSequence"), start=1):
            yield _Contour(f"ROI {number}, contour {place}", item)


def _image_lists(file: Dataset) -> Iterator[Sequence[Dataset]]:
    for series in _referenced_series(file):
        yield _items(series, "ContourImageSequence")


def _referenced_studies(file: Dataset) -> list[Dataset]:
    frames = _items(file, "ReferencedFrameOfReferenceSequence")
    return [study for frame in frames for study in _items(frame, "RTReferencedStudySequence")]


def _referenced_series(file: Dataset) -> list[Dataset]:
    return [one for study in _referenced_studies(file) for one in _items(study, "RTReferencedSeriesSequence")]


def _present(*keywords: str) -> Callable[[Dataset], Faults]:
    """Elements that must be there, and may be empty (type 2)."""

    def faults(file: Dataset) -> Faults:
        for keyword in keywords:
            if keyword not in file:
                yield f"{keyword} is absent"

    return faults


def _filled(*keywords: str) -> Callable[[Dataset], Faults]:
    """Elements that must have a value (type 1)."""

    def faults(file: Dataset) -> Faults:
        for keyword in keywords:
            if not _bytes(file, keyword):
                yield f"{keyword} is absent or empty"

    return faults


# The rules, one function each


def _transfer_syntax(file: Dataset) -> Faults:
    meta = file.file_meta if isinstance(file, FileDataset) else Dataset()
    if (found := str(meta.get("TransferSyntaxUID", ""))) != ImplicitVRLittleEndian:
        yield f"found {found or 'none'}"


def _sop_class(file: Dataset) -> Faults:
    if _text(file, "SOPClassUID") != RTStructureSetStorage or _text(file, "Modality") != "RTSTRUCT":
        yield "SOP Class UID or Modality is that of another object"


def _same_as_in_meta(file: Dataset) -> Faults:
    meta = file.file_meta if isinstance(file, FileDataset) else Dataset()
    if str(meta.get("MediaStorageSOPInstanceUID", "")) != _text(file, "SOPInstanceUID"):
        yield "SOP Instance UID differs from that of the file's own header"


def _own_series(file: Dataset) -> Faults:
    if _text(file, "SeriesInstanceUID") in _numbers(_referenced_series(file), "SeriesInstanceUID"):
        yield "Series Instance UID is that of the images"


def _charset(file: Dataset) -> Faults:
    if _bytes(file, "SpecificCharacterSet"):
        return
    for keyword in ("PatientName", "PatientID", "ReferringPhysicianName", "StructureSetLabel", "StudyDescription"):
        if not (_bytes(file, keyword) or b"").isascii():
            yield f"{keyword} has characters that no character set is given for"


def _text_lengths(file: Dataset) -> Faults:
    limits = {"StructureSetLabel": MAX_SH, "StructureSetName": MAX_LO, "SeriesDescription": MAX_LO, "StudyID": MAX_SH}
    for keyword, most in limits.items():
        if len(_bytes(file, keyword) or b"") > most:
            yield f"{keyword} has {len(_bytes(file, keyword) or b'')} characters, of {most}"


def _one_reference(file: Dataset) -> Faults:
    frames = _items(file, "ReferencedFrameOfReferenceSequence")
    counts = {
        "Referenced Frame of Reference": len(frames),
        "RT Referenced Study": len(_referenced_studies(file)),
        "RT Referenced Series": len(_referenced_series(file)),
    }
    for what, count in counts.items():
        if count != 1:
            yield f"{what} Sequence has {count} items, of 1"


def _same_study(file: Dataset) -> Faults:
    if any(
        uid != _text(file, "StudyInstanceUID")
        for uid in _numbers(_referenced_studies(file), "ReferencedSOPInstanceUID")
    ):
        yield "the referenced study is another than the file's own"


def _images_listed(file: Dataset) -> Faults:
    for images in _image_lists(file):
        uids = _numbers(images, "ReferencedSOPInstanceUID")
        if not uids or not all(uids) or not all(_numbers(images, "ReferencedSOPClassUID")):
            yield "the referenced series lists no images, or some without class or instance UID"
        if len(set(uids)) < len(uids):
            yield "the referenced series lists an image twice"


def _joined_by_number(file: Dataset) -> Faults:
    listed = _numbers(_items(file, "StructureSetROISequence"), "ROINumber")
    if not listed:
        yield "no ROI is listed"
    for numbers, what in (
        (_numbers(_items(file, "ROIContourSequence"), "ReferencedROINumber"), "ROI Contour"),
        (_numbers(_items(file, "RTROIObservationsSequence"), "ReferencedROINumber"), "RT ROI Observations"),
    ):
        if Counter(numbers) != Counter(listed):
            yield f"{what} Sequence does not have one item for each of {len(listed)} ROIs"


def _numbers_differ(file: Dataset) -> Faults:
    listed = [(_bytes(roi, "ROINumber") or b"") for roi in _items(file, "StructureSetROISequence")]
    if len(set(listed)) < len(listed) or not all(INTEGER.fullmatch(number) for number in listed):
        yield "ROI Numbers are not different integers"


def _names(file: Dataset) -> Faults:
    for roi in _items(file, "StructureSetROISequence"):
        name = _bytes(roi, "ROIName") or b""
        if not 1 <= len(name) <= MAX_NAME or not name.isascii():
            yield f"ROI {_text(roi, 'ROINumber')}: its name is not 1 to {MAX_NAME} ASCII characters, but {len(name)}"


def _names_differ(file: Dataset) -> Faults:
    names = Counter(_text(roi, "ROIName").casefold() for roi in _items(file, "StructureSetROISequence"))
    if twins := sum(count for count in names.values() if count > 1):
        yield f"{twins} ROIs have a name that another has, too, but for case"


def _roi_elements(file: Dataset) -> Faults:
    frames = _numbers(_items(file, "ReferencedFrameOfReferenceSequence"), "FrameOfReferenceUID")
    for roi in _items(file, "StructureSetROISequence"):
        if _text(roi, "ReferencedFrameOfReferenceUID") not in frames:
            yield f"ROI {_text(roi, 'ROINumber')}: its frame of reference is not one that the file refers to"
        if "ROIGenerationAlgorithm" not in roi:
            yield f"ROI {_text(roi, 'ROINumber')}: ROIGenerationAlgorithm is absent"


def _observations(file: Dataset) -> Faults:
    observations = _items(file, "RTROIObservationsSequence")
    numbers = _numbers(observations, "ObservationNumber")
    if len(set(numbers)) < len(numbers) or not all(numbers):
        yield "Observation Numbers are absent or not different"
    for item in observations:
        for keyword in ("RTROIInterpretedType", "ROIInterpreter"):
            if keyword not in item:
                yield f"ROI {_text(item, 'ReferencedROINumber')}: {keyword} is absent"


def _approval(file: Dataset) -> Faults:
    automatic = any(
        _text(roi, "ROIGenerationAlgorithm") == "AUTOMATIC" for roi in _items(file, "StructureSetROISequence")
    )
    if automatic and _text(file, "ApprovalStatus") != "UNAPPROVED":
        yield "automatic structures are not UNAPPROVED"


def _colours(file: Dataset) -> Faults:
    for roi in _items(file, "ROIContourSequence"):
        parts = (_bytes(roi, "ROIDisplayColor") or b"").split(b"\\")
        if len(parts) != 3 or not all(INTEGER.fullmatch(part.strip()) and 0 <= int(part) <= 255 for part in parts):
            yield f"ROI {_text(roi, 'ReferencedROINumber')}: no colour of three integers 0-255"


def _not_empty(file: Dataset) -> Faults:
    for roi in _items(file, "ROIContourSequence"):
        if not _items(roi, "ContourSequence"):
            yield f"ROI {_text(roi, 'ReferencedROINumber')}: no contours"


def _one_image(file: Dataset) -> Faults:
    for contour in _contours(file):
        images = _items(contour.item, "ContourImageSequence")
        if len(images) != 1 or not all(
            _text(images[0], keyword) for keyword in ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID")
        ):
            yield f"{contour.where}: {len(images)} images, of 1 with class and instance UID"


def _known_image(file: Dataset) -> Faults:
    known = {uid for images in _image_lists(file) for uid in _numbers(images, "ReferencedSOPInstanceUID")}
    for contour in _contours(file):
        if not known.issuperset(_numbers(_items(contour.item, "ContourImageSequence"), "ReferencedSOPInstanceUID")):
            yield f"{contour.where}: its image is not listed in the referenced series"


def _known_type(file: Dataset) -> Faults:
    kinds: dict[str, set[str]] = {}
    for contour in _contours(file):
        if contour.kind not in TYPES:
            yield f"{contour.where}: Contour Geometric Type is none of the standard's"
        kinds.setdefault(contour.where.partition(",")[0], set()).add(contour.kind)
    for roi, found in kinds.items():
        if "CLOSEDPLANAR_XOR" in found and len(found) > 1:
            yield f"{roi}: CLOSEDPLANAR_XOR among other types"


def _not_xor(file: Dataset) -> Faults:
    if count := sum(contour.kind == "CLOSEDPLANAR_XOR" for contour in _contours(file)):
        yield f"{count} contours are CLOSEDPLANAR_XOR"


def _counts(file: Dataset) -> Faults:
    for contour in _contours(file):
        count = _bytes(contour.item, "NumberOfContourPoints") or b""
        if not INTEGER.fullmatch(count) or int(count) * 3 != len(contour.values):
            yield f"{contour.where}: Number of Contour Points is no integer, or not that of {len(contour.values)} / 3"


def _three_points(file: Dataset) -> Faults:
    for contour in _contours(file):
        points = contour.points
        if contour.kind in CLOSED_TYPES and (points is None or len(np.unique(points, axis=0)) < 3):
            yield f"{contour.where}: fewer than three different points"


def _not_closed_by_point(file: Dataset) -> Faults:
    for contour in _contours(file):
        points = contour.points
        if points is not None and len(points) > 1 and contour.kind in CLOSED_TYPES and (points[0] == points[-1]).all():
            yield f"{contour.where}: its last point repeats the first"


def _decimals(file: Dataset) -> Faults:
    for contour in _contours(file):
        if not all(DECIMAL.fullmatch(value) for value in contour.values):
            yield f"{contour.where}: not all of its Contour Data are numbers"


def _decimal_lengths(file: Dataset) -> Faults:
    for contour in _contours(file):
        if (longest := max(map(len, contour.values), default=0)) > MAX_DS:
            yield f"{contour.where}: a number of {longest} characters, of {MAX_DS}"


def _data_length(file: Dataset) -> Faults:
    for contour in _contours(file):
        if (length := len(_bytes(contour.item, "ContourData") or b"")) > MAX_DATA_BYTES:
            yield f"{contour.where}: {length:,} bytes of Contour Data, of {MAX_DATA_BYTES:,}"


def _flat(file: Dataset) -> Faults:
    for contour in _contours(file):
        points = contour.points
        if points is None or len(points) < 4 or contour.kind not in CLOSED_TYPES:
            continue
        centred = points - points.mean(axis=0)
        normal = np.linalg.svd(centred, full_matrices=False)[2][2]
        if (away := float(np.abs(centred @ normal).max())) > FLAT_MM:
            yield f"{contour.where}: a point lies {away:.2f} mm beside its plane"


def _along_an_axis(file: Dataset) -> Faults:
    for contour in _contours(file):
        points = contour.points
        if (
            contour.kind in CLOSED_TYPES
            and points is not None
            and len(points)
            and np.ptp(points, axis=0).min() > FLAT_MM
        ):
            yield f"{contour.where}: its plane is not at right angles to an axis"


RULES = (
    Rule("Implicit VR Little Endian", "a planning system, pydicom issue 1530", _transfer_syntax),
    Rule("an RT Structure Set", "PS3.3 A.19, C.8.8.1", _sop_class),
    Rule(
        "patient's elements present",
        "PS3.3 C.7.1.1; Eclipse",
        _present("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    ),
    Rule("patient has name and ID", "RayStation 4.6", _filled("PatientName", "PatientID")),
    Rule("a study", "PS3.3 C.7.2.1", _filled("StudyInstanceUID")),
    Rule(
        "study's elements present",
        "PS3.3 C.7.2.1; Eclipse",
        _present("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    ),
    Rule("a series", "PS3.3 C.8.8.1", _filled("SeriesInstanceUID")),
    Rule("series' elements present", "PS3.3 C.8.8.1; Eclipse", _present("SeriesNumber", "OperatorsName")),
    Rule("a series of its own", "PS3.3 C.8.8.1", _own_series),
    Rule("one UID for the object", "PS3.10 7.1", _same_as_in_meta),
    Rule("an object with a UID", "PS3.3 C.12.1; Eclipse", _filled("SOPInstanceUID")),
    Rule("a frame of reference", "PS3.3 C.7.4.1", _filled("FrameOfReferenceUID")),
    Rule("position reference indicator present", "PS3.3 C.7.4.1; Eclipse", _present("PositionReferenceIndicator")),
    Rule("manufacturer present", "PS3.3 C.7.5.1", _present("Manufacturer")),
    Rule("a character set", "PS3.3 C.12.1.1.2; 3D Slicer", _charset),
    Rule("a label", "PS3.3 C.8.8.5", _filled("StructureSetLabel")),
    Rule("texts not too long", "PS3.5 6.2", _text_lengths),
    Rule("date and time present", "PS3.3 C.8.8.5", _present("StructureSetDate", "StructureSetTime")),
    Rule("one series referred to", "PS3.3 C.8.8.5; 3D Slicer takes the first", _one_reference),
    Rule("the images' study", "PS3.3 C.8.8.5; OHIF", _same_study),
    Rule("images listed", "PS3.3 C.8.8.5; RayStation 4.6", _images_listed),
    Rule("three sequences of the same ROIs", "PS3.3 C.8.8.5, C.8.8.6, C.8.8.8; OHIF", _joined_by_number),
    Rule("ROI Numbers", "PS3.3 C.8.8.5", _numbers_differ),
    Rule("names of 16 characters", "TG-263 7.2; Eclipse", _names),
    Rule("names that differ", "TG-263 7.2; 3D Slicer", _names_differ),
    Rule("ROIs' elements", "PS3.3 C.8.8.5", _roi_elements),
    Rule("observations' elements", "PS3.3 C.8.8.8", _observations),
    Rule("not approved by itself", "PS3.3 C.8.8.16", _approval),
    Rule("a colour", "PS3.3 C.8.8.6; OHIF", _colours),
    Rule("no empty ROI", "PS3.3 C.8.8.6; OHIF, RayStation", _not_empty),
    Rule("one image a contour", "PS3.3 C.8.8.6; Stone of Orthanc, XNAT", _one_image),
    Rule("an image that is listed", "PS3.3 C.8.8.6; OHIF", _known_image),
    Rule("a type of the standard", "PS3.3 C.8.8.6.1, C.8.8.6.3", _known_type),
    Rule("no XOR", "Stone of Orthanc, PlatiPy, plastimatch", _not_xor),
    Rule("counts of points", "PS3.3 C.8.8.6; Stone of Orthanc", _counts),
    Rule("three points or more", "PS3.3 C.8.8.6.1", _three_points),
    Rule("first point not repeated", "PS3.3 C.8.8.6.1", _not_closed_by_point),
    Rule("numbers", "PS3.5 6.2", _decimals),
    Rule("numbers of 16 characters", "PS3.5 6.2; Eclipse", _decimal_lengths),
    Rule("contours of 65,534 bytes", "PS3.3 C.8.8.6, PS3.5 7.1.2; OHIF", _data_length),
    Rule("flat contours", "PS3.3 C.8.8.6.1", _flat),
    Rule("planes along an axis", "RayStation 4.6", _along_an_axis),
)
"""All rules, from the file down to its points."""
