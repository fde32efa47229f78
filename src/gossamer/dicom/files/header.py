"""The header of a DICOM file as plain values: what a file says of itself and of its planes, without pixels.

Law: values are read from their bytes (``elements``); one that is absent or broken is None or "". Of a hospital's texts
the Patient ID alone is kept, which tells patients apart.

Triples are (x, y, z) in LPS mm. Messages name no file: paths and names of hospitals' files hold names of persons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
)

from gossamer.dicom.files.elements import Numbers, ascii_of, decimals_of, items_of, short_of, text_of, whole_number_of
from gossamer.dicom.files.open_file import (
    MARK,
    MARK_AT,
    foreign_errors_mapped,
    looks_like_dicom,
    open_dicom,
    start_of,
)
from gossamer.errors import UnreadableImageError

CT_CLASSES = frozenset({CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage})
"""SOP classes of CT images (PS3.3 A.3, A.38, A.70)."""

SCOUTS = frozenset({"LOCALIZER", "SCOUT"})
"""Values of Image Type of projections (PS3.3 C.8.2.1.1.1), and a vendor's own."""

MAX_FRAMES = 2**14
"""Of a multi-frame image; more than any CT has."""

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
    *("SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "PatientID"),
    *("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "AcquisitionNumber", "InstanceNumber"),
    *("Rows", "Columns", "NumberOfFrames", "LossyImageCompression", "DoseSummationType"),
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
        position_text: the same, as it stands in the file; "" where ``position_xyz`` is None.
        orientation: Image Orientation (Patient), directions in which columns and rows grow.
        spacing_mm: Pixel Spacing, between rows and between columns.
        slope: Rescale Slope.
        intercept: Rescale Intercept.
        unit: Rescale Type; HU or "" in a CT.
    """

    frame: int
    position_xyz: Numbers | None
    position_text: str
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
        image_type: values of Image Type.
        acquisition_number: of the gathering of data that the image comes from; None if absent, as below.
        instance_number: never a place in the stack; see ``series.acquisitions``.
        rows: pixels down a plane; 0 if it is no image.
        columns: pixels across.
        lossy: whether it was ever compressed with loss.
        dose_summation: Dose Summation Type of a dose: PLAN, BEAM, FRACTION and so on.
        planes: one of a CT slice; one a frame of a multi-frame CT; none of what is no CT.
        contradicted: whether another file with the same SOP Instance UID says something else; see ``headers``.
    """

    path: Path = field(repr=False)
    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    patient_key: str = field(repr=False)
    modality: str
    image_type: tuple[str, ...]
    acquisition_number: int | None
    instance_number: int | None
    rows: int
    columns: int
    lossy: bool
    dose_summation: str
    planes: tuple[Plane, ...] = field(repr=False)
    contradicted: bool = False

    @property
    def is_scout(self) -> bool:
        """Whether it is a projection, by its Image Type."""
        return not SCOUTS.isdisjoint(self.image_type)

    @property
    def whose(self) -> str:
        """What tells its patient from others: the Patient ID, or without one the study; never shown."""
        return self.patient_key or f"study {self.study_uid}"


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
        image_type=tuple(value.strip().upper() for value in ascii_of(data, "ImageType").split("\\")),
        acquisition_number=whole_number_of(data, "AcquisitionNumber"),
        instance_number=whole_number_of(data, "InstanceNumber"),
        rows=short_of(data, "Rows") or 0,
        columns=short_of(data, "Columns") or 0,
        lossy=ascii_of(data, "LossyImageCompression") == "01",
        dose_summation=ascii_of(data, "DoseSummationType").upper(),
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

    position = numbers("ImagePositionPatient", 3)
    slope, intercept = numbers("RescaleSlope", 1), numbers("RescaleIntercept", 1)
    return Plane(
        frame=frame,
        position_xyz=position,
        position_text=ascii_of(where["ImagePositionPatient"], "ImagePositionPatient") if position else "",
        orientation=numbers("ImageOrientationPatient", 6),
        spacing_mm=numbers("PixelSpacing", 2),
        slope=slope[0] if slope else None,
        intercept=intercept[0] if intercept else None,
        unit=ascii_of(where["RescaleType"], "RescaleType").upper(),
    )
