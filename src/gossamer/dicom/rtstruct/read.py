"""Reading a structure set: what the file says, and where it cannot be believed.

Law
    1. ROIs are known by their ROI Number. The three sequences about them (PS3.3 C.8.8.5, C.8.8.6, C.8.8.8) may differ
       in order and length, and are joined by that number alone, never by their place.
    2. What one ROI has wrong costs this ROI (``Roi.refusal``), not its neighbours; a file that is cut off or is no
       structure set is refused as a whole.
    3. Values are read from their bytes, whatever VR the file gives them: long Contour Data may be UN (PS3.5 6.2.2),
       and numbers longer than the 16 characters of a DS are as good as others.
    4. Nothing here is filled, moved or completed; see ``filling``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import RTStructureSetStorage

from gossamer.dicom.files.codes import shown_code
from gossamer.dicom.files.elements import (
    ascii_of,
    bytes_of,
    charset_of,
    check_complete,
    decoded,
    items_of,
    whole_number_of,
)
from gossamer.dicom.files.open_file import foreign_errors_mapped, open_dicom
from gossamer.dicom.rtstruct.structure_set import (
    CLOSED_TYPES,
    Contour,
    Floats,
    ImageReference,
    Roi,
    RoiState,
    StructureSet,
    shared_names,
)
from gossamer.errors import UnreadableImageError

FEWEST_POINTS = 3
"""Of a contour that encloses something."""

NUMBER_CHARACTERS = b"0123456789+-.eE \\"
"""Of decimal strings and what separates them (PS3.5 6.2). ``float`` would take nan, inf and 1_0, too."""

MAX_ITEMS = 100_000
"""Of all sequences of a file: 50,000 contours with an image each, as 80 ROIs have on 300 slices twice over."""

MAX_CONTOUR_BYTES = 2**22
"""Of a contour's points as text: 90,000 points in full. They take ten times as much while they are read."""

FARTHEST_MM = 1e5
"""Of a point from the origin; no patient is further away."""


def read_structure_set(path: Path) -> StructureSet:
    """Read a structure set.

    Args:
        path: a file of any transfer syntax, with or without the preamble of PS3.10.

    Raises:
        UnreadableImageError: it cannot be read, is cut off, or is something else than a structure set.

    Source: DICOM PS3.3 C.8.8.5 (Structure Set), C.8.8.6 (ROI Contour), C.8.8.8 (RT ROI Observations).
    """
    with foreign_errors_mapped():
        file = open_dicom(path, None, max_items=MAX_ITEMS)  # old exports lack the preamble; the SOP class decides
        if ascii_of(file, "SOPClassUID") != RTStructureSetStorage:
            raise UnreadableImageError(
                "wanted a structure set (SOP class RT Structure Set Storage); found "
                f"{shown_code('Modality', ascii_of(file, 'Modality'), absent='no DICOM object')}; choose an RTSTRUCT"
            )
        for element in file.elements():
            _check_complete(element)
        return _structure_set(file)


def _structure_set(file: Dataset) -> StructureSet:
    charset = charset_of(file)
    rois, notes = _rois(file, charset)
    frames = _items(file, "ReferencedFrameOfReferenceSequence")
    studies = [study for frame in frames for study in _items(frame, "RTReferencedStudySequence")]
    series = [one for study in studies for one in _items(study, "RTReferencedSeriesSequence")]
    images = [image for one in series for image in _items(one, "ContourImageSequence")]
    return StructureSet(
        label=_text(file, "StructureSetLabel", charset),
        name=_text(file, "StructureSetName", charset),
        date=ascii_of(file, "StructureSetDate"),
        time=ascii_of(file, "StructureSetTime"),
        approval_status=ascii_of(file, "ApprovalStatus").upper(),
        manufacturer=_text(file, "Manufacturer", charset),
        sop_instance_uid=ascii_of(file, "SOPInstanceUID"),
        study_uid=ascii_of(file, "StudyInstanceUID"),
        patient_key=_text(file, "PatientID", charset),
        frame_of_reference_uids=_unique(
            *(roi.frame_of_reference_uid for roi in rois.values()),
            *(ascii_of(frame, "FrameOfReferenceUID") for frame in frames),
            ascii_of(file, "FrameOfReferenceUID"),
        ),
        series_uids=_unique(*(ascii_of(one, "SeriesInstanceUID") for one in series)),
        referenced_study_uids=_unique(*(ascii_of(study, "ReferencedSOPInstanceUID") for study in studies)),
        image_uids=frozenset(_unique(*(ascii_of(image, "ReferencedSOPInstanceUID") for image in images))),
        rois=rois,
        notes=tuple(notes),
    )


def _rois(file: Dataset, charset: Sequence[str]) -> tuple[dict[int, Roi], list[str]]:
    """The three sequences, joined by ROI Number (law 1)."""
    listed, notes = _by_number(_items(file, "StructureSetROISequence"), "ROINumber", "the list of ROIs")
    if not listed:
        notes.append("no ROI is listed")
    drawn, more = _by_number(_items(file, "ROIContourSequence"), "ReferencedROINumber", "the contours")
    notes += more
    observed, more = _by_number(_items(file, "RTROIObservationsSequence"), "ReferencedROINumber", "the observations")
    notes += more
    for number in drawn.keys() - listed.keys():
        notes.append(f"ROI {number} has contours and is not in the list of ROIs; it is left out")
    for number in observed.keys() - listed.keys():
        notes.append(f"ROI {number} has an observation and is not in the list of ROIs")
    rois = {}
    for number, items in listed.items():
        if len(items) > 1:
            notes.append(f"ROI {number} is listed {len(items)} times; none of them is taken")
            continue
        rois[number] = _roi(number, items[0], drawn.get(number, []), observed.get(number, []), charset)
    return rois, notes + _name_notes(rois)


def _by_number(items: Sequence[Dataset], keyword: str, where: str) -> tuple[dict[int, list[Dataset]], list[str]]:
    found: dict[int, list[Dataset]] = {}
    lost = 0
    for item in items:
        number = whole_number_of(item, keyword)
        if number is None:
            lost += 1
        else:
            found.setdefault(number, []).append(item)
    return found, [f"items without a ROI number in {where}, left out: {lost}"] if lost else []


def _name_notes(rois: Mapping[int, Roi]) -> list[str]:
    notes = []
    if nameless := [roi.number for roi in rois.values() if not roi.name]:
        notes.append(f"{_named(nameless)} without a name; not taken by name")
    for shared in sorted(shared_names(rois)):
        twins = [roi.number for roi in rois.values() if roi.name.casefold() == shared]
        notes.append(f"{_named(twins)} with one and the same name; none of them is taken by name")
    return notes


def _named(numbers: Sequence[int]) -> str:
    return f"ROI{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _roi(
    number: int, listed: Dataset, drawn: Sequence[Dataset], observed: Sequence[Dataset], charset: Sequence[str]
) -> Roi:
    contours: list[Contour] = []
    notes: list[str] = []
    refusal, state = "", RoiState.ABSENT
    if len(drawn) > 1:
        refusal = f"ROI {number}: wanted one item of contours; found {len(drawn)}; export the structure set again"
        state = RoiState.CONTOURED
    elif drawn:
        items = _items(drawn[0], "ContourSequence")
        with_points = [item for item in items if _has_points(item)]
        state = RoiState.CONTOURED if with_points else RoiState.DECLARED_EMPTY
        contours, refusal, notes = _contours(number, with_points)
        if with_points and not refusal and len(with_points) < len(items):
            notes.append(f"ROI {number}: contours without points, skipped: {len(items) - len(with_points)}")
    charset = charset_of(listed) or charset
    name = bytes_of(listed, "ROIName")
    if not charset and not name.isascii():
        notes.append(f"ROI {number}: the file does not say its name's character set")
    return Roi(
        number=number,
        name=_text(listed, "ROIName", charset),
        name_bytes=name,
        interpreted_type=next((ascii_of(item, "RTROIInterpretedType") for item in observed), ""),
        frame_of_reference_uid=ascii_of(listed, "ReferencedFrameOfReferenceUID"),
        state=state,
        contours=() if refusal else tuple(contours),
        refusal=refusal,
        notes=tuple(notes),
    )


def _contours(number: int, items: Sequence[Dataset]) -> tuple[list[Contour], str, list[str]]:
    """The contours of a ROI, or why it is refused; and notes."""
    contours, thin = [], 0
    for place, item in enumerate(items, start=1):
        points, wrong = _points(item)
        if wrong:
            return [], f"ROI {number}, contour {place} of {len(items)}: {wrong}; export the structure set again", []
        kind = ascii_of(item, "ContourGeometricType").upper()
        if kind in CLOSED_TYPES and not _encloses(points):
            thin += 1
            continue
        contours.append(Contour(kind, points, _referenced(_items(item, "ContourImageSequence"))))
    notes = [f"ROI {number}: contours of fewer than {FEWEST_POINTS} distinct points, skipped: {thin}"] if thin else []
    kinds = Counter(contour.kind for contour in contours)
    for kind in sorted(kinds.keys() - CLOSED_TYPES):
        said = shown_code("ContourGeometricType", kind)
        notes.append(f"ROI {number}: contours of type {said}, which are not a volume: {kinds[kind]}")
    if interpolated := kinds["INTERPOLATED_PLANAR"]:
        notes.append(f"ROI {number}: contours of type INTERPOLATED_PLANAR, taken as CLOSED_PLANAR: {interpolated}")
    return contours, "", notes


def _has_points(item: Dataset) -> bool:
    """Whether a contour has points, or claims to."""
    return bool(bytes_of(item, "ContourData").strip(b" \0") or whole_number_of(item, "NumberOfContourPoints"))


def _referenced(items: Sequence[Dataset]) -> tuple[ImageReference, ...]:
    """Images that items name; frames that are no numbers refer to none, and so to the whole file."""
    images = []
    for item in items:
        if uid := ascii_of(item, "ReferencedSOPInstanceUID"):
            frames = ascii_of(item, "ReferencedFrameNumber").split("\\")
            images.append(ImageReference(uid, tuple(int(text) for text in frames if text.strip().isdecimal())))
    return tuple(dict.fromkeys(images))


def _points(item: Dataset) -> tuple[Floats, str]:
    """The points of a contour, float64 [n, 3], and what is wrong with them.

    Each number is what ``float`` makes of its text, so that a point is the same wherever it is read.
    """
    none = np.empty((0, 3))
    data = bytes_of(item, "ContourData").strip(b" \0")
    if wrong := _why_no_numbers(data):
        return none, wrong
    try:
        values = np.array([float(text) for text in data.decode("ascii").split("\\")] if data else [])
    except ValueError:
        return none, "wanted decimal numbers; found text that is none"
    if (np.abs(values) > FARTHEST_MM).any():  # also what float() makes infinite
        return none, "wanted points in the room; found one more than 100 m away"
    if len(values) % 3:
        return none, f"wanted three numbers a point; found {len(values)} numbers"
    claimed = whole_number_of(item, "NumberOfContourPoints")
    if claimed is not None and claimed * 3 != len(values):
        return none, f"wanted the {claimed} points that it claims; found {len(values) / 3:g}"
    return values.reshape(-1, 3), ""


def _why_no_numbers(data: bytes) -> str:
    if len(data) > MAX_CONTOUR_BYTES:
        return f"wanted at most {MAX_CONTOUR_BYTES / 2**20:.0f} MiB of points; found {len(data) / 2**20:,.1f} MiB"
    if strange := data.translate(None, NUMBER_CHARACTERS):
        return f"wanted decimal numbers; found {len(strange)} characters that no finite number has"
    return ""


def _encloses(points: Floats) -> bool:
    """Whether three of the points differ."""
    others = points[(points != points[0]).any(axis=1)]
    return len(others) > 0 and bool((others != others[0]).any())


def _items(data: Dataset, keyword: str) -> Sequence[Dataset]:
    """The items of a sequence; none if it is absent, as those of type 3 may be."""
    if keyword in data:
        element = data.get_item(keyword)
        _check_complete(element)
        if element.value and not isinstance(data[keyword].value, DicomSequence):
            raise UnreadableImageError(
                f"wanted a sequence of items in {keyword}; found something else; export the structure set again"
            )
    return items_of(data, keyword)


def _check_complete(element: RawDataElement | DataElement) -> None:
    """Raise if the file ends within an element: all ROIs behind the cut would be left out without a word."""
    if isinstance(element, RawDataElement):
        check_complete(element)


def _text(data: Dataset, keyword: str, charset: Sequence[str]) -> str:
    """A text; without a character set UTF-8 if it is that, else Latin 1; what cannot be decoded is replaced."""
    return decoded(bytes_of(data, keyword), charset)


def _unique(*texts: str) -> tuple[str, ...]:
    """Texts in their order, without repetitions and empty ones."""
    return tuple(dict.fromkeys(text for text in texts if text))
