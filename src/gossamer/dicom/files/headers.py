"""Headers of DICOM files as plain values: what a file says of itself and of its planes, without pixels.

Law
    1. A file costs at most itself: what cannot be read becomes a count or a message, never the end of the walk. No file
       is inflated, allocated or nested beyond the bounds of ``open_file``, whatever it claims, and workers give none
       more than those below.
    2. Values are read from their bytes (``elements``); one that is absent or broken is None or "".
    3. One SOP Instance UID is one image (PS3.3 C.12.1): equal files are taken once, unequal ones are marked as
       contradicted, and whoever would use them refuses.

Triples are (x, y, z) in LPS mm. Messages name no file: paths and names of hospitals' files hold names of persons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
)

from gossamer.bounded_pool import Bounds, Lost, outcomes
from gossamer.dicom.files.elements import Numbers, ascii_of, decimals_of, items_of, short_of, text_of, whole_number_of
from gossamer.dicom.files.open_file import (
    MARK,
    MARK_AT,
    equal_files,
    files_below,
    foreign_errors_mapped,
    looks_like_dicom,
    open_dicom,
    start_of,
)
from gossamer.errors import UnreadableImageError

CT_CLASSES = frozenset({CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage})
"""SOP classes of CT images (PS3.3 A.3, A.38, A.70)."""

MAX_FRAMES = 2**14
"""Of a multi-frame image; more than any CT has."""

BOUNDS = Bounds(memory_bytes=2**30, seconds=10.0)
"""Of a worker that reads a header. A large one, a multi-frame CT's of 2,000 frames, takes 60 MiB and 0.5 s."""

FILES_AT_A_TIME = 64
"""At most; a header takes a worker about as long as a process takes to be asked for one."""

IN_A_PLANE = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
}
"""Elements that differ between frames, and the functional group that has them in a multi-frame CT (PS3.3 C.7.6.16)."""

TAGS = [
    *("SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "PatientID", "Manufacturer"),
    *("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SeriesNumber", "SeriesDescription"),
    *("AcquisitionNumber", "InstanceNumber", "Rows", "Columns", "NumberOfFrames", "LossyImageCompression"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *IN_A_PLANE,
]
"""Only these are read."""


@dataclass(frozen=True)
class Plane:
    """Where a frame lies, and the scale of its values.

    Attributes:
        frame: its place in the file, from 0.
        position_xyz: Image Position (Patient), centre of the first pixel; None if absent or broken, as below.
        orientation: Image Orientation (Patient), directions in which columns and rows grow.
        spacing_mm: Pixel Spacing, between rows and between columns.
        slope: Rescale Slope.
        intercept: Rescale Intercept.
        unit: Rescale Type; HU or "" in a CT.
    """

    frame: int
    position_xyz: Numbers | None
    orientation: Numbers | None
    spacing_mm: Numbers | None
    slope: float | None
    intercept: float | None
    unit: str


@dataclass(frozen=True)
class Header:
    """What a file says, apart from its pixels; texts are "" where it has none.

    Attributes:
        path: of the file; never shown.
        sop_class_uid: what kind of object it is.
        sop_instance_uid: its own.
        series_uid: Series Instance UID.
        study_uid: Study Instance UID.
        frame_of_reference_uid: its coordinates' system.
        patient_key: Patient ID; tells patients apart and is never shown.
        modality: CT, RTSTRUCT and so on.
        manufacturer: of the system that wrote it.
        image_type: values of Image Type.
        series_number: None if absent, as below.
        series_description: a hospital's text; never shown.
        acquisition_number: of the gathering of data that the image comes from.
        instance_number: never a place in the stack; see ``series``.
        rows: pixels down a plane; 0 if it is no image.
        columns: pixels across.
        lossy: whether it was ever compressed with loss.
        planes: one of a CT slice; one a frame of a multi-frame CT; none of what is no CT.
        contradicted: whether another file with the same SOP Instance UID says something else (law 3).
    """

    path: Path = field(repr=False)
    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    patient_key: str = field(repr=False)
    modality: str
    manufacturer: str
    image_type: tuple[str, ...]
    series_number: int | None
    series_description: str = field(repr=False)
    acquisition_number: int | None
    instance_number: int | None
    rows: int
    columns: int
    lossy: bool
    planes: tuple[Plane, ...] = field(repr=False)
    contradicted: bool = False


@dataclass(frozen=True)
class FolderHeaders:
    """What a folder holds.

    Attributes:
        headers: of its DICOM objects, in the order of their paths.
        not_dicom: files that are something else.
        unreadable: why each DICOM file was left out that cannot be read; a series may lack it.
        repeated: files left out because an equal one was taken.
    """

    headers: tuple[Header, ...]
    not_dicom: int
    unreadable: tuple[str, ...]
    repeated: int


def read_headers(folder: Path, workers: int = 0, on_file: Callable[[int, int], None] | None = None) -> FolderHeaders:
    """Read the headers of all DICOM files below a folder.

    Args:
        folder: searched with its subfolders; links and what is no regular file are passed over.
        workers: processes that read, within bounds of memory and time; 0 reads in this one, without.
        on_file: called as ``on_file(done, of)`` after each file.

    Raises:
        UnreadableImageError: the folder itself cannot be listed.
        WorkerError: no worker can be started.
    """
    paths = sorted(files_below(folder))
    headers, unreadable, not_dicom = [], [], 0
    at_a_time = max(1, min(FILES_AT_A_TIME, len(paths) // (4 * max(1, workers))))
    found_in = outcomes(_outcome, paths, lambda _path: BOUNDS, workers=workers, at_a_time=at_a_time)
    for done, found in enumerate(found_in, start=1):
        if isinstance(found, Header):
            headers.append(found)
        elif isinstance(found, Lost):
            unreadable.append(
                f"file {done} of {len(paths)}, in the order of their paths: wanted a file whose header can be read; "
                f"found that {found.why}; export it again, or take it out of the folder"
            )
        elif found:
            unreadable.append(f"file {done} of {len(paths)}, in the order of their paths: {found}")
        else:
            not_dicom += 1
        if on_file:
            on_file(done, len(paths))
    once = without_repeated(headers)
    return FolderHeaders(once, not_dicom, tuple(unreadable), len(headers) - len(once))


def read_header(path: Path) -> Header | None:
    """Read the header of a file.

    Returns:
        None if the file is not DICOM, or a directory of DICOM files.

    Raises:
        UnreadableImageError: it is DICOM, and damaged or larger than any file that is wanted here.
    """
    with foreign_errors_mapped():
        start = start_of(path)
        if not looks_like_dicom(start):
            return None
        data = open_dicom(path, TAGS, stop_before_pixels=True)
        if ascii_of(data, "SOPInstanceUID"):
            return _header(path, data)
        if start[MARK_AT:] == MARK and data.file_meta.get("MediaStorageSOPClassUID") != MediaStorageDirectoryStorage:
            raise UnreadableImageError(
                "wanted a DICOM object; found a file without SOP Instance UID; copy or export it again"
            )
        return None


def without_repeated(headers: Iterable[Header]) -> tuple[Header, ...]:
    """Headers with each SOP Instance UID once where the files are equal; else all of its headers, marked (law 3)."""
    by_uid: dict[str, list[Header]] = {}
    for header in headers:
        by_uid.setdefault(header.sop_instance_uid, []).append(header)
    once: list[Header] = []
    for same in by_uid.values():
        equal = all(equal_files(same[0].path, other.path) for other in same[1:])
        once += same[:1] if equal else [replace(header, contradicted=True) for header in same]
    return tuple(once)


def _outcome(path: Path) -> Header | str | None:
    try:
        return read_header(path)
    except UnreadableImageError as error:
        return str(error)


# From a data set to plain values


def _header(path: Path, data: Dataset) -> Header:
    return Header(
        path=path,
        sop_class_uid=ascii_of(data, "SOPClassUID"),
        sop_instance_uid=ascii_of(data, "SOPInstanceUID"),
        series_uid=ascii_of(data, "SeriesInstanceUID"),
        study_uid=ascii_of(data, "StudyInstanceUID"),
        frame_of_reference_uid=ascii_of(data, "FrameOfReferenceUID"),
        patient_key=text_of(data, "PatientID"),
        modality=ascii_of(data, "Modality"),
        manufacturer=text_of(data, "Manufacturer"),
        image_type=tuple(value.strip().upper() for value in ascii_of(data, "ImageType").split("\\")),
        series_number=whole_number_of(data, "SeriesNumber"),
        series_description=text_of(data, "SeriesDescription"),
        acquisition_number=whole_number_of(data, "AcquisitionNumber"),
        instance_number=whole_number_of(data, "InstanceNumber"),
        rows=short_of(data, "Rows") or 0,
        columns=short_of(data, "Columns") or 0,
        lossy=ascii_of(data, "LossyImageCompression") == "01",
        planes=_planes(data),
    )


def _planes(data: Dataset) -> tuple[Plane, ...]:
    if ascii_of(data, "SOPClassUID") not in CT_CLASSES:
        return ()
    per_frame = items_of(data, "PerFrameFunctionalGroupsSequence")
    frames = whole_number_of(data, "NumberOfFrames") or 1
    if not per_frame and frames == 1:
        return (_plane(0, dict.fromkeys(IN_A_PLANE, data)),)
    if len(per_frame) != frames or frames > MAX_FRAMES:
        raise UnreadableImageError(
            f"wanted a multi-frame image with a functional group a frame, at most {MAX_FRAMES:,}; found {frames:,} "
            f"frames and {len(per_frame):,} groups; export the series as single slices"
        )
    shared = items_of(data, "SharedFunctionalGroupsSequence")[:1]
    return tuple(_plane(n, _groups([own, *shared])) for n, own in enumerate(per_frame))


def _groups(functional_groups: Sequence[Dataset]) -> dict[str, Dataset]:
    """For each element of a plane the item that has it: the frame's own, or the one that all frames share."""
    found = {}
    for keyword, group in IN_A_PLANE.items():
        items = [item for functional_group in functional_groups for item in items_of(functional_group, group)]
        found[keyword] = items[0] if items else Dataset()
    return found


def _plane(frame: int, where: dict[str, Dataset]) -> Plane:
    def numbers(keyword: str, count: int) -> Numbers | None:
        return decimals_of(where[keyword], keyword, count)

    slope, intercept = numbers("RescaleSlope", 1), numbers("RescaleIntercept", 1)
    return Plane(
        frame=frame,
        position_xyz=numbers("ImagePositionPatient", 3),
        orientation=numbers("ImageOrientationPatient", 6),
        spacing_mm=numbers("PixelSpacing", 2),
        slope=slope[0] if slope else None,
        intercept=intercept[0] if intercept else None,
        unit=ascii_of(where["RescaleType"], "RescaleType").upper(),
    )
