"""Masks to a structure set (RTSTRUCT, DICOM PS3.3 A.19) that a treatment planning system opens beside its CT.

Law
    1. The file says what the masks say: it is read back and filled before it is put in its place, and one voxel that
       differs is an error (with smoothing: is counted and said).
    2. It belongs to the CT's patient, study and frame of reference, of which it copies every byte; it is a new object
       in a series of its own, whenever it is written. The CT is not touched.
    3. Nobody is made to believe more than is known: ROIs are AUTOMATIC, the set is UNAPPROVED, and a structure without
       a voxel is left out and named, since an empty ROI would say that the organ is not there.
    4. A file is there whole or not at all.

Errors name a structure by its place among the masks: names may be a hospital's text. Notes name it as the file does.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from gossamer.atomic import write_atomically
from gossamer.dicom.drawing import MAX_DATA_BYTES, Drawing, Holes, Outline, draw
from gossamer.dicom.headers import ascii_of, foreign_errors_mapped, open_dicom
from gossamer.dicom.planning_rules import faults_in
from gossamer.dicom.rings import Ring, fill
from gossamer.dicom.series import CtSeries
from gossamer.dicom.stack import SliceStack
from gossamer.errors import EmptyMaskError, GeometryMismatchError, UnreadableImageError, UsageError

Mask = NDArray[np.bool_]
Colour = tuple[int, int, int]

MODEL_NAME = "Gossamer organ segmentation"
"""Manufacturer's Model Name of what is written here, by which ``read_made_by`` knows it."""

COPIED_TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
"""From the CT; empty where it has none, never absent (PS3.3 C.7.1.1, C.7.2.1): Eclipse logs some of them."""

COPIED_TYPE_3 = (
    *("SpecificCharacterSet", "IssuerOfPatientID", "StudyDescription", "TimezoneOffsetFromUTC"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
)
"""From the CT, where it has them."""

STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management; retired, and still what systems expect here (PS3.3 C.8.8.5)."""

MAX_SH, MAX_LO, MAX_ST = 16, 64, 1024
"""Characters that texts of these VRs may have (PS3.5 6.2)."""

CODE_STRING = re.compile("[A-Z0-9_ ]{0,16}")
"""A CS (PS3.5 6.2)."""

MAX_NAME = 16
"""Of a structure: TG-263 (7.2), and Eclipse."""

PIXEL_DECIMALS = 6
"""Pixels read back are rounded to these, so that both ends of a channel are where they were before float64's noise."""

SAME_POSITION_MM = 0.001
"""How far the texts of Image Position (Patient) may lie beside the stack; they are where it comes from."""

COLOURS: tuple[Colour, ...] = (
    *((230, 60, 60), (70, 140, 240), (60, 190, 90), (240, 200, 50), (180, 90, 220), (60, 210, 220)),
    *((240, 140, 50), (250, 130, 190), (150, 200, 60), (150, 110, 70), (130, 130, 250), (200, 200, 200)),
)
"""Of structures for which none is given, in turn: distinct on a dark background."""


@dataclass(frozen=True)
class MadeBy:
    """What made the masks; each text is at most 64 ASCII characters.

    Attributes:
        software: its name.
        version: its release.
        model_hash: SHA-256 of the model, 64 hexadecimal digits.
        federation: whose model it is: a title or the SHA-256 of the federation's file; "" if none.
    """

    software: str
    version: str
    model_hash: str
    federation: str = ""


@dataclass(frozen=True, eq=False)
class ReferenceSeries:
    """The CT series that masks lie on.

    Attributes:
        header: data set of one of its slices, from which patient and study are copied.
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


def reference_of(series: CtSeries) -> ReferenceSeries:
    """What a structure set copies from, and refers to, of a CT series as it was read.

    Raises:
        UnreadableImageError: a file is gone or damaged.
    """
    first = series.slices[0].header
    tags = [*COPIED_TYPE_2, *COPIED_TYPE_3]
    with foreign_errors_mapped():
        header = open_dicom(first.path, tags)
        frames = tuple(one.plane.frame + 1 for one in series.slices) if len(first.planes) > 1 else ()
        positions = []
        for one in series.slices:
            numbers = one.plane.position_xyz or ()
            text = (
                ""
                if frames
                else ascii_of(open_dicom(one.header.path, ["ImagePositionPatient"]), "ImagePositionPatient")
            )
            x, y, z = [part.strip() for part in text.split("\\")] if text else [repr(number) for number in numbers]
            positions.append((x, y, z))
    return ReferenceSeries(
        header=header,
        series_uid=series.series_uid,
        study_uid=series.study_uid,
        frame_of_reference_uid=series.frame_of_reference_uid,
        sop_class_uid=first.sop_class_uid,
        sop_instance_uids=series.sop_instance_uids,
        positions=tuple(positions),
        stack=series.stack,
        frame_numbers=frames,
    )


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
        colours: red, green and blue, 0-255, by structure; others get one of ``COLOURS`` by their place among the masks.
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
    _check_reference(reference)
    _check_names(list(masks))
    _check_texts(label, name, description, made_by)
    if not 0 <= smooth_mm < np.inf:
        raise UsageError(f"wanted smoothing of 0 mm or more; found {smooth_mm}; leave it out to draw exactly")
    for place, mask in enumerate(masks.values(), start=1):
        _check_mask(mask, reference.stack, f"structure {place} of {len(masks)}")
    styles = _styles(list(masks), colours or {}, interpreted_types or {})
    drawn = {
        structure: draw(mask, reference.stack, reference.positions, holes, smooth_mm)
        for structure, mask in masks.items()
        if mask.any()
    }
    if not drawn:
        raise EmptyMaskError(
            f"wanted a structure to write; found {len(masks)} masks without a voxel; nothing was written: look whether "
            "the image shows what the model was trained on"
        )
    file = _file(reference, made_by, now)
    said = f"{description} {_sentence(made_by)}".strip()
    _put_structure_set(file, reference, now, label=label, name=name, description=said)
    _put_rois(file, drawn, reference, made_by, styles)
    content = _encoded(file)
    changed = {name: int((mask ^ masks[name]).sum()) for name, mask in _read_back(content, reference)}
    if not smooth_mm:
        _check_unchanged(changed)
    faults = faults_in(pydicom.dcmread(io.BytesIO(content)))
    write_atomically(path, content)
    return Written(
        path=path,
        sop_instance_uid=str(file.SOPInstanceUID),
        empty=tuple(structure for structure in masks if structure not in drawn),
        smoothed={s: Smoothed(drawn[s].moved_mm, changed[s]) for s in drawn} if smooth_mm else {},
        notes=(*_notes(drawn, changed, smooth_mm), *faults),
    )


def read_made_by(path: Path) -> MadeBy | None:
    """What made a structure set, if ``write_structure_set`` wrote it; else None.

    Raises:
        UnreadableImageError: it is no DICOM file, or damaged.
    """
    with foreign_errors_mapped():
        file = open_dicom(path, ["SOPClassUID", "Manufacturer", "ManufacturerModelName", "SoftwareVersions"])
        if not ascii_of(file, "SOPClassUID"):
            raise UnreadableImageError("wanted a structure set; found no DICOM object; choose the RTSTRUCT file")
        versions = ascii_of(file, "SoftwareVersions").split("\\")
        if ascii_of(file, "ManufacturerModelName") != MODEL_NAME or len(versions) < 2:
            return None
        return MadeBy(ascii_of(file, "Manufacturer"), *(text.strip() for text in versions[:3]))


# What may be asked for


def _check_reference(reference: ReferenceSeries) -> None:
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
                f"wanted a CT with a {what}; found none; a structure set cannot refer to it: export the series again"
            )


def _check_names(names: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for place, name in enumerate(names, start=1):
        where = f"structure {place} of {len(names)}"
        if not 1 <= len(name) <= MAX_NAME or not _is_plain(name) or name != name.strip():
            raise UsageError(
                f"{where}: wanted a name of 1 to {MAX_NAME} ASCII characters; found one of {len(name)}"
                f"{'' if _is_plain(name) else ', not all of them ASCII'}; map it to a name of TG-263"
            )
        if twin := seen.get(name.casefold()):
            raise UsageError(
                f"{where}: wanted names that differ in more than case; found that of structure {twin}; rename one"
            )
        seen[name.casefold()] = place


def _check_texts(label: str, name: str, description: str, made_by: MadeBy) -> None:
    for text, what, fewest, most in (
        (label, "a Structure Set Label", 1, MAX_SH),
        (name, "a Structure Set Name", 0, MAX_LO),
        (description, "a description", 0, MAX_ST // 2),
        (made_by.software, "the software's name", 1, MAX_LO),
        (made_by.version, "the software's version", 1, MAX_LO),
        (made_by.model_hash, "the model's hash", 1, MAX_LO),
        (made_by.federation, "the federation's name", 0, MAX_LO),
    ):
        if not fewest <= len(text) <= most or not _is_plain(text):
            raise UsageError(
                f"wanted {what} of {fewest} to {most} ASCII characters; found {len(text)}"
                f"{'' if _is_plain(text) else ', not all of them ASCII'}; shorten it"
            )


def _is_plain(text: str) -> bool:
    """Whether every character set has the characters, and none of them ends a value (PS3.5 6.1.2)."""
    return text.isascii() and text.isprintable() and "\\" not in text


def _check_mask(mask: Mask, stack: SliceStack, where: str) -> None:
    if mask.shape != stack.shape or mask.dtype != np.bool_:
        raise GeometryMismatchError(
            f"{where}: wanted a mask of booleans on the slices' grid {stack.shape}; found {mask.dtype} {mask.shape}; "
            "carry it to the native grid first"
        )


# The data set


def _file(reference: ReferenceSeries, made_by: MadeBy, now: datetime) -> FileDataset:
    """A structure set without structures: patient, study, series and equipment (PS3.3 C.7, C.8.8.1)."""
    file = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    # New ones with each write: a planning system takes a UID that it knows for the object that it knows.
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    file.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    _copy(reference.header, file)
    file.InstanceCreationDate, file.InstanceCreationTime = _date(now), _time(now)
    file.StudyInstanceUID, file.SeriesInstanceUID = reference.study_uid, generate_uid(prefix=None)
    file.Modality, file.SeriesNumber, file.InstanceNumber, file.OperatorsName = "RTSTRUCT", "1", "1", ""
    file.FrameOfReferenceUID, file.PositionReferenceIndicator = reference.frame_of_reference_uid, ""
    file.Manufacturer, file.ManufacturerModelName = made_by.software, MODEL_NAME
    file.SoftwareVersions = [text for text in (made_by.version, made_by.model_hash, made_by.federation) if text]
    return file


def _copy(header: Dataset, file: Dataset) -> None:
    """Copy what says whose the file is, as bytes: a name keeps its characters whatever set it is written in."""
    for keyword in COPIED_TYPE_2:
        setattr(file, keyword, "")
    for keyword in (*COPIED_TYPE_2, *COPIED_TYPE_3):
        if keyword not in header:
            continue
        element = header.get_item(keyword)
        if keyword.endswith("Sequence"):  # whose bytes may be those of another transfer syntax
            element = header[keyword]
        elif isinstance(element, RawDataElement) and len(element.value or b"") % 2:
            element = element._replace(value=element.value + b" ", length=element.length + 1)
        file[keyword] = element


def _put_structure_set(
    file: Dataset, reference: ReferenceSeries, now: datetime, *, label: str, name: str, description: str
) -> None:
    """The Structure Set module up to its ROIs (PS3.3 C.8.8.5), and Approval (C.8.8.16)."""
    file.StructureSetLabel, file.StructureSetDescription = label, description
    file.SeriesDescription = name or label
    if name:
        file.StructureSetName = name
    file.StructureSetDate, file.StructureSetTime = _date(now), _time(now)
    file.ApprovalStatus = "UNAPPROVED"
    series = Dataset()
    series.SeriesInstanceUID = reference.series_uid
    # Every image of the series, drawn on or not: systems look for the series by them.
    every = dict.fromkeys(reference.sop_instance_uids)
    series.ContourImageSequence = [_image(reference.sop_class_uid, uid) for uid in every]
    study, frame = _image(STUDY_CLASS, reference.study_uid), Dataset()
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = reference.frame_of_reference_uid, [study]
    file.ReferencedFrameOfReferenceSequence = [frame]


@dataclass(frozen=True)
class _Style:
    """How a planning system shows a structure."""

    colour: Colour
    interpreted_type: str


def _styles(
    names: Sequence[str], colours: Mapping[str, Colour], interpreted_types: Mapping[str, str]
) -> dict[str, _Style]:
    styles = {}
    for n, name in enumerate(names):
        colour = colours.get(name, COLOURS[n % len(COLOURS)])
        if len(colour) != 3 or not all(0 <= part <= 255 for part in colour):
            raise UsageError(f"structure {n + 1}: wanted a colour of three numbers 0-255; found {colour}; correct it")
        kind = interpreted_types.get(name, "ORGAN")
        if not CODE_STRING.fullmatch(kind):
            raise UsageError(
                f"structure {n + 1}: wanted an interpreted type of at most 16 capital letters, digits, spaces and _; "
                f"found one of {len(kind)} characters; take one of PS3.3 C.8.8.8.1, as ORGAN"
            )
        styles[name] = _Style(colour, kind)
    return styles


def _put_rois(
    file: Dataset,
    drawn: Mapping[str, Drawing],
    reference: ReferenceSeries,
    made_by: MadeBy,
    styles: Mapping[str, _Style],
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
    contour.ContourImageSequence = [_image(reference.sop_class_uid, reference.sop_instance_uids[outline.k], frame)]
    contour.ContourGeometricType = kind
    contour.NumberOfContourPoints = str(outline.points)
    # As bytes: pydicom would make an object of each number, and its own text of that.
    data = outline.data + b" " * (len(outline.data) % 2)
    tag = Tag("ContourData")
    contour[tag] = RawDataElement(tag, "DS", len(data), data, 0, True, True)
    _keep_bytes(contour)
    return contour


def _keep_bytes(data: Dataset) -> None:
    """Let pydicom write elements given as bytes as they are, not as it understands them."""
    charset = data.get("SpecificCharacterSet")
    data.set_original_encoding(True, True, convert_encodings(charset) if charset else default_encoding)


def _image(sop_class_uid: str, uid: str, frame: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, uid
    if frame is not None:
        item.ReferencedFrameNumber = str(frame)
    return item


def _date(now: datetime) -> str:
    return now.strftime("%Y%m%d")


def _time(now: datetime) -> str:
    return now.strftime("%H%M%S")


def _sentence(made_by: MadeBy) -> str:
    whose = f", federation {made_by.federation}" if made_by.federation else ""
    what = f"{made_by.software} {made_by.version}, model {made_by.model_hash}{whose}"
    return f"Drawn by software, not reviewed: {what}."


def _encoded(file: FileDataset) -> bytes:
    with io.BytesIO() as buffer, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of what the CT has against the standard, which is copied
        _keep_bytes(file)
        file.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()


# What was written


def _read_back(content: bytes, reference: ReferenceSeries) -> Iterator[tuple[str, Mask]]:
    """Names and masks of the ROIs in the bytes of a file: by its points alone, whatever they were made of."""
    file = pydicom.dcmread(io.BytesIO(content))
    names = {roi.ROINumber: str(roi.ROIName) for roi in file.StructureSetROISequence}
    for roi in file.ROIContourSequence:
        rings: dict[int, list[Ring]] = {}
        for contour in roi.ContourSequence:
            k, ring = _placed(contour, reference)
            rings.setdefault(k, []).append(ring)
        mask = np.zeros(reference.stack.shape, np.bool_)
        for k, on_slice in rings.items():
            _fill_box(on_slice, mask[k])
        yield names[roi.ReferencedROINumber], mask


def _placed(contour: Dataset, reference: ReferenceSeries) -> tuple[int, Ring]:
    data = contour.get_item("ContourData").value
    points_xyz = np.array(data.decode("ascii").split("\\"), dtype=np.float64).reshape(-1, 3)
    k, _ = reference.stack.nearest_slice(float(points_xyz[0] @ reference.stack.normal_xyz))
    return k, np.round(reference.stack.pixel_from_world(points_xyz, k), PIXEL_DECIMALS)


def _fill_box(rings: Sequence[Ring], mask: Mask) -> None:
    """Fill rings into a slice's mask, bool [r, c]; moved by whole pixels only, so that nothing else changes."""
    points = np.concatenate(rings)
    low = np.clip(np.floor(points.min(axis=0)), 0, mask.shape).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + 1, low, mask.shape).astype(int)
    mask[low[0] : high[0], low[1] : high[1]] = fill([ring - low for ring in rings], *(high - low))


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
