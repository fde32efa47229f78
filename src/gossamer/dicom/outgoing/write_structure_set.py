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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from gossamer.atomic import write_atomically
from gossamer.dicom.outgoing.made_by import MadeBy, check_made_by, check_text, is_plain, put_made_by
from gossamer.dicom.outgoing.planning_rules.rules import faults_in
from gossamer.dicom.outgoing.reference import (
    ReferenceSeries,
    check_mask,
    check_reference,
    copy_patient_and_study,
    encoded,
    image_item,
    keep_bytes,
    nothing_to_write,
)
from gossamer.dicom.rtstruct.drawing import MAX_DATA_BYTES, Drawing, Holes, Outline, draw
from gossamer.dicom.rtstruct.rings import Ring, fill
from gossamer.errors import GeometryMismatchError, UsageError

Mask = NDArray[np.bool_]
Colour = tuple[int, int, int]


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

COLOURS: tuple[Colour, ...] = (
    *((230, 60, 60), (70, 140, 240), (60, 190, 90), (240, 200, 50), (180, 90, 220), (60, 210, 220)),
    *((240, 140, 50), (250, 130, 190), (150, 200, 60), (150, 110, 70), (130, 130, 250), (200, 200, 200)),
)
"""Of structures for which none is given, in turn: distinct on a dark background."""


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
    check_reference(reference)
    _check_names(list(masks))
    _check_texts(label, name, description, made_by)
    if not 0 <= smooth_mm < np.inf:
        raise UsageError(f"wanted smoothing of 0 mm or more; found {smooth_mm}; leave it out to draw exactly")
    for place, mask in enumerate(masks.values(), start=1):
        check_mask(mask, reference.stack, f"structure {place} of {len(masks)}")
    styles = _styles(list(masks), colours or {}, interpreted_types or {})
    drawn = {
        structure: draw(mask, reference.stack, reference.positions, holes, smooth_mm)
        for structure, mask in masks.items()
        if mask.any()
    }
    if not drawn:
        raise nothing_to_write(len(masks))
    file = _file(reference, made_by, now)
    empty = tuple(structure for structure in masks if structure not in drawn)
    said = " ".join(text for text in (description, _left_out(empty), made_by.sentence) if text)
    _put_structure_set(file, reference, now, label=label, name=name, description=said)
    _put_rois(file, drawn, reference, made_by, styles)
    content = encoded(file)
    changed = {name: int((mask ^ masks[name]).sum()) for name, mask in _read_back(content, reference)}
    if not smooth_mm:
        _check_unchanged(changed)
    faults = faults_in(pydicom.dcmread(io.BytesIO(content)))
    write_atomically(path, content)
    return Written(
        path=path,
        sop_instance_uid=str(file.SOPInstanceUID),
        empty=empty,
        smoothed={s: Smoothed(drawn[s].moved_mm, changed[s]) for s in drawn} if smooth_mm else {},
        notes=(*_notes(drawn, changed, smooth_mm), *faults),
    )


def _check_names(names: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for place, name in enumerate(names, start=1):
        where = f"structure {place} of {len(names)}"
        if not 1 <= len(name) <= MAX_NAME or not is_plain(name) or name != name.strip():
            raise UsageError(
                f"{where}: wanted a name of 1 to {MAX_NAME} ASCII characters; found one of {len(name)}"
                f"{'' if is_plain(name) else ', not all of them ASCII'}; map it to a name of TG-263"
            )
        if twin := seen.get(name.casefold()):
            raise UsageError(
                f"{where}: wanted names that differ in more than case; found that of structure {twin}; rename one"
            )
        seen[name.casefold()] = place


def _check_texts(label: str, name: str, description: str, made_by: MadeBy) -> None:
    check_text(label, "a Structure Set Label", 1, MAX_SH)
    check_text(name, "a Structure Set Name", 0, MAX_LO)
    check_text(description, "a description", 0, MAX_ST // 2)
    check_made_by(made_by)


# The data set


def _file(reference: ReferenceSeries, made_by: MadeBy, now: datetime) -> FileDataset:
    """A structure set without structures: patient, study, series and equipment (PS3.3 C.7, C.8.8.1)."""
    file = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    # New ones with each write: a planning system takes a UID that it knows for the object that it knows.
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    file.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    copy_patient_and_study(reference.header, file)
    file.InstanceCreationDate, file.InstanceCreationTime = _date(now), _time(now)
    file.StudyInstanceUID, file.SeriesInstanceUID = reference.study_uid, generate_uid(prefix=None)
    file.Modality, file.SeriesNumber, file.InstanceNumber, file.OperatorsName = "RTSTRUCT", "1", "1", ""
    file.FrameOfReferenceUID, file.PositionReferenceIndicator = reference.frame_of_reference_uid, ""
    put_made_by(file, made_by)
    return file


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
    series.ContourImageSequence = [image_item(reference.sop_class_uid, uid) for uid in every]
    study, frame = image_item(STUDY_CLASS, reference.study_uid), Dataset()
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
    contour.ContourImageSequence = [image_item(reference.sop_class_uid, reference.sop_instance_uids[outline.k], frame)]
    contour.ContourGeometricType = kind
    contour.NumberOfContourPoints = str(outline.points)
    # As bytes: pydicom would make an object of each number, and its own text of that.
    data = outline.data + b" " * (len(outline.data) % 2)
    tag = Tag("ContourData")
    contour[tag] = RawDataElement(tag, "DS", len(data), data, 0, True, True)
    keep_bytes(contour)
    return contour


def _date(now: datetime) -> str:
    return now.strftime("%Y%m%d")


def _time(now: datetime) -> str:
    return now.strftime("%H%M%S")


def _left_out(empty: Sequence[str]) -> str:
    """A sentence on structures without a voxel, "" if there are none; as many names as there is room for."""
    names = list(empty[: MAX_ST // 8 // (MAX_NAME + 2)])
    more = [f"{len(empty) - len(names)} more"] * (len(names) < len(empty))
    return f"Not found and left out: {', '.join([*names, *more])}." if empty else ""


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
