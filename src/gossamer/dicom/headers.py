"""Headers of DICOM files as plain values: what a file says of itself and of its planes, without pixels.

Law
    1. A file costs at most itself: what cannot be read becomes a count or a message, never the end of the walk. No file
       is inflated, allocated or nested beyond the bounds below, whatever it claims.
    2. Values are read from their bytes, whatever VR the file gives them; one that is absent or broken is None or "".
       Nothing is completed by a guess.
    3. One SOP Instance UID is one image (PS3.3 C.12.1): equal files are taken once, unequal ones are marked as
       contradicted, and whoever would use them refuses.

Triples are (x, y, z) in LPS mm. Messages name no file: paths and names of hospitals' files hold names of persons.
"""

from __future__ import annotations

import io
import math
import multiprocessing
import os
import re
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from signal import SIG_DFL, SIGINT, signal

import pydicom
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
)

from gossamer.errors import UnreadableImageError, WorkerError

Numbers = tuple[float, ...]

CT_CLASSES = frozenset({CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage})
"""SOP classes of CT images (PS3.3 A.3, A.38, A.70)."""

MAX_FILE_BYTES = 2**31
"""No CT slice, multi-frame CT or structure set has more."""

MAX_INFLATED_BYTES = 2**28
"""Of a deflated data set: 512 slices of 512 x 512. Deflate can make a thousand bytes of one."""

MAX_FRAMES = 2**14
"""Of a multi-frame image; more than any CT has."""

LARGE_READ_BYTES = 2**20
"""A read of more is first compared with what the file still holds."""

MARK_AT, MARK = 128, b"DICM"
"""Of a file by PS3.10 7.1."""

FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
"""What an old export without that mark begins with: group 0002 or 0008, Little Endian."""

UNDEFINED_LENGTH = 0xFFFFFFFF
"""Of an element that ends at a delimiter (PS3.5 7.5.2)."""

DECIMAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
"""A decimal string (PS3.5 6.2); ``float`` would take nan, inf and 1_0, too."""

FOREIGN_ERRORS = (
    *(InvalidDicomError, BytesLengthException, struct.error, zlib.error, OSError, EOFError, RecursionError),
    *(ValueError, TypeError, LookupError, AttributeError, NotImplementedError, OverflowError, MemoryError),
)
"""What pydicom is known to raise on damaged files; RecursionError on sequences nested without end."""

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


def read_headers(folder: Path, workers: int = 1, on_file: Callable[[int, int], None] | None = None) -> FolderHeaders:
    """Read the headers of all DICOM files below a folder.

    Args:
        folder: searched with its subfolders; links and what is no regular file are passed over.
        workers: processes that read; 1 reads in this one.
        on_file: called as ``on_file(done, of)`` after each file.

    Raises:
        UnreadableImageError: the folder itself cannot be listed.
        WorkerError: a worker was killed.
    """
    paths = sorted(_files(folder))
    headers, unreadable, not_dicom = [], [], 0
    for done, found in enumerate(_outcomes(paths, workers), start=1):
        if isinstance(found, Header):
            headers.append(found)
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
        start = _start(path)
        if not _looks_like_dicom(start):
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
        equal = all(_equal_files(same[0].path, other.path) for other in same[1:])
        once += same[:1] if equal else [replace(header, contradicted=True) for header in same]
    return tuple(once)


# Files


def open_dicom(path: Path, tags: Sequence[str], *, stop_before_pixels: bool = False) -> Dataset:
    """A data set with some of its elements, read within the bounds above; inside ``foreign_errors_mapped``.

    Args:
        path: of any transfer syntax, with or without the preamble of PS3.10.
        tags: keywords of the elements to read.
        stop_before_pixels: leave the pixels where they are.
    """
    with _BoundedReader(path) as file:
        return pydicom.dcmread(file, stop_before_pixels=stop_before_pixels, force=True, specific_tags=list(tags))


@contextmanager
def foreign_errors_mapped() -> Iterator[None]:
    """Errors of pydicom become ours; its warnings of values against the standard are expected here and go nowhere."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own calls, where a delimiter is missing
            yield
    except FOREIGN_ERRORS as error:
        # Only the kind of error: its text may hold the path, or a piece of the file.
        raise UnreadableImageError(
            f"wanted a DICOM file; found one that cannot be read ({type(error).__name__}); copy or export it again"
        ) from error


class _BoundedReader(io.BufferedReader):
    """A file that gives what it holds, not what a length in it claims, and inflates within a bound."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size
        if self._size > MAX_FILE_BYTES:
            self.close()
            raise UnreadableImageError(
                f"wanted a DICOM file of at most {MAX_FILE_BYTES / 2**30:.0f} GiB; found {self._size / 2**30:.2f} GiB; "
                "export the series as single slices"
            )

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:  # pydicom reads to the end only to inflate a deflated data set (PS3.5 A.5)
            rest = super().read()
            if len(zlib.decompressobj(-zlib.MAX_WBITS).decompress(rest, MAX_INFLATED_BYTES + 1)) > MAX_INFLATED_BYTES:
                raise UnreadableImageError(
                    f"wanted a deflated data set of at most {MAX_INFLATED_BYTES / 2**20:.0f} MiB; found more; "
                    "export it again as Explicit VR Little Endian"
                )
            return rest
        return super().read(min(size, max(0, self._size - self.tell())) if size > LARGE_READ_BYTES else size)


def _files(folder: Path) -> Iterator[Path]:
    """Regular files below a folder; a loop rather than recursion, since folders may be nested deeper than the stack."""
    open_folders = [folder]
    while open_folders:
        try:
            with os.scandir(open_folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        open_folders.append(Path(entry.path))
                    elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):  # a pipe would never end
                        yield Path(entry.path)
        except OSError as error:
            raise UnreadableImageError(
                f"wanted a folder of DICOM files; found one that cannot be listed: {error.strerror}; let it be read"
            ) from error


def _outcomes(paths: Sequence[Path], workers: int) -> Iterator[Header | str | None]:
    """Outcomes in the order of the paths."""
    if workers <= 1 or len(paths) <= 1:
        yield from map(_outcome, paths)
        return
    pool = ProcessPoolExecutor(
        min(workers, len(paths)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal,
        initargs=(SIGINT, SIG_DFL),  # Ctrl-C reaches all processes: these end in silence, the first one speaks
    )
    try:
        yield from pool.map(_outcome, paths, chunksize=max(1, min(64, len(paths) // (4 * workers))))
    except BrokenProcessPool as error:
        raise WorkerError(
            f"wanted {workers} workers to read headers; found one that was killed, probably for want of memory; "
            "read again with one worker"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _outcome(path: Path) -> Header | str | None:
    try:
        return read_header(path)
    except UnreadableImageError as error:
        return str(error)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MARK_AT + len(MARK))


def _looks_like_dicom(start: bytes) -> bool:
    return start[MARK_AT:] == MARK or start[:2] in FIRST_GROUPS


def _equal_files(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes; one that is gone is not equal."""
    try:
        with one.open("rb") as first, other.open("rb") as second:
            while (piece := first.read(LARGE_READ_BYTES)) == second.read(LARGE_READ_BYTES):
                if not piece:
                    return True
    except OSError:
        pass
    return False


# From a data set to plain values


def _header(path: Path, data: Dataset) -> Header:
    return Header(
        path=path,
        sop_class_uid=ascii_of(data, "SOPClassUID"),
        sop_instance_uid=ascii_of(data, "SOPInstanceUID"),
        series_uid=ascii_of(data, "SeriesInstanceUID"),
        study_uid=ascii_of(data, "StudyInstanceUID"),
        frame_of_reference_uid=ascii_of(data, "FrameOfReferenceUID"),
        patient_key=_text(data, "PatientID"),
        modality=ascii_of(data, "Modality"),
        manufacturer=_text(data, "Manufacturer"),
        image_type=tuple(value.strip().upper() for value in ascii_of(data, "ImageType").split("\\")),
        series_number=_whole_number(data, "SeriesNumber"),
        series_description=_text(data, "SeriesDescription"),
        acquisition_number=_whole_number(data, "AcquisitionNumber"),
        instance_number=_whole_number(data, "InstanceNumber"),
        rows=short_of(data, "Rows") or 0,
        columns=short_of(data, "Columns") or 0,
        lossy=ascii_of(data, "LossyImageCompression") == "01",
        planes=_planes(data),
    )


def _planes(data: Dataset) -> tuple[Plane, ...]:
    if ascii_of(data, "SOPClassUID") not in CT_CLASSES:
        return ()
    per_frame = _items(data, "PerFrameFunctionalGroupsSequence")
    frames = _whole_number(data, "NumberOfFrames") or 1
    if not per_frame and frames == 1:
        return (_plane(0, dict.fromkeys(IN_A_PLANE, data)),)
    if len(per_frame) != frames or frames > MAX_FRAMES:
        raise UnreadableImageError(
            f"wanted a multi-frame image with a functional group a frame, at most {MAX_FRAMES:,}; found {frames:,} "
            f"frames and {len(per_frame):,} groups; export the series as single slices"
        )
    shared = _items(data, "SharedFunctionalGroupsSequence")[:1]
    return tuple(_plane(n, _groups([own, *shared])) for n, own in enumerate(per_frame))


def _groups(functional_groups: Sequence[Dataset]) -> dict[str, Dataset]:
    """For each element of a plane the item that has it: the frame's own, or the one that all frames share."""
    found = {}
    for keyword, group in IN_A_PLANE.items():
        items = [item for functional_group in functional_groups for item in _items(functional_group, group)]
        found[keyword] = items[0] if items else Dataset()
    return found


def _plane(frame: int, where: dict[str, Dataset]) -> Plane:
    def numbers(keyword: str, count: int) -> Numbers | None:
        return _decimals(where[keyword], keyword, count)

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


# Elements of a data set, from their bytes


def bytes_of(data: Dataset, keyword: str) -> bytes:
    """The bytes of an element; b"" if it is absent or not one that has bytes.

    Raises:
        UnreadableImageError: the file ends within it; pydicom goes on without a word there.
    """
    element = _raw_element(data, keyword)
    if element is None:
        return b""
    if element.length not in (UNDEFINED_LENGTH, len(element.value or b"")):
        raise UnreadableImageError(
            f"wanted {element.length:,} bytes of element {element.tag}; found {len(element.value or b''):,}, the file "
            "is cut off; copy or export it again"
        )
    return element.value or b""


def _raw_element(data: Dataset, keyword: str) -> RawDataElement | None:
    tag = _tag(keyword)
    element = data.get_item(tag) if tag in data.keys() else None  # noqa: SIM118  `in data` parses the tag once more
    return element if isinstance(element, RawDataElement) else None


@cache
def _tag(keyword: str) -> BaseTag:
    return Tag(keyword)


def ascii_of(data: Dataset, keyword: str) -> str:
    """A UID, code or number as text."""
    return bytes_of(data, keyword).decode("ascii", "replace").strip(" \0")


def short_of(data: Dataset, keyword: str, *, signed: bool = False) -> int | None:
    """A number of VR US or SS; which of them a file says need not be the one that its pixels have (PS3.5 A.1)."""
    element, value = _raw_element(data, keyword), bytes_of(data, keyword)
    if element is None or len(value) != 2:
        return None
    return int.from_bytes(value, "little" if element.is_little_endian else "big", signed=signed)


def _decimals(data: Dataset, keyword: str, count: int) -> Numbers | None:
    texts = [text.strip(b" \0") for text in bytes_of(data, keyword).split(b"\\")]
    if len(texts) != count or not all(DECIMAL.fullmatch(text) for text in texts):
        return None
    numbers = tuple(float(text) for text in texts)
    return numbers if all(map(math.isfinite, numbers)) else None


def _whole_number(data: Dataset, keyword: str) -> int | None:
    numbers = _decimals(data, keyword, 1)
    return int(numbers[0]) if numbers and numbers[0].is_integer() else None


def _text(data: Dataset, keyword: str) -> str:
    """A text; without a character set UTF-8 if it is that, else Latin 1; what cannot be decoded is replaced."""
    given = data.get("SpecificCharacterSet") or []
    terms = [given] if isinstance(given, str) else list(given)
    return decoded(bytes_of(data, keyword), convert_encodings(terms) if any(terms) else [])


def decoded(raw: bytes, charset: Sequence[str]) -> str:
    """A text of a data set; without a character set UTF-8 if it is that, else Latin 1.

    Args:
        raw: its bytes.
        charset: Python's names of the Specific Character Set (PS3.3 C.12.1.1.2); [] if none is given.
    """
    raw = raw.strip(b" \0")
    if charset:
        return decode_bytes(raw, charset, set()).strip(" \0")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _items(data: Dataset, keyword: str) -> Sequence[Dataset]:
    if keyword not in data:
        return ()
    value = data[keyword].value
    return value if isinstance(value, DicomSequence) else ()
