"""Structure sets written with pydicom, sound or broken in the way that a test asks for."""

from dataclasses import dataclass, field

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RTStructureSetStorage

from gossamer.dicom.series.stack import SliceStack

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY, SERIES, FRAME = "1.2.3.1", "1.2.3.2", "1.2.3.3"


def axial_stack(slices=5, *, gap_mm=3.0, first_z=20.0, positions_mm=None, rows=30, columns=40):
    """The CT of the design's example: first pixel's centre at (-100, -50, z), rows 1.0 mm, columns 0.5 mm apart."""
    z = np.array(positions_mm) if positions_mm is not None else first_z + gap_mm * np.arange(slices)
    first = np.stack([np.full(len(z), -100.0), np.full(len(z), -50.0), z], axis=1)
    return SliceStack(rows, columns, first, np.array([0.0, 1.0, 0.0]), np.array([0.5, 0.0, 0.0]))


def box(rows, columns, z=20.0):
    """Contour around pixels rows[0]...rows[1] and columns[0]...columns[1] of ``axial_stack``, along their edges."""
    top, bottom = rows[0] - 50.5, rows[1] - 49.5
    left, right = columns[0] * 0.5 - 100.25, columns[1] * 0.5 - 99.75
    return np.array([[left, top, z], [right, top, z], [right, bottom, z], [left, bottom, z]])


@dataclass
class Drawn:
    """A ROI to write; ``contours`` are points [n, 3], or bytes as they shall stand in Contour Data."""

    number: int
    name: str = "Heart"
    contours: list = field(default_factory=list)
    kind: str = "CLOSED_PLANAR"
    kinds: list | None = None
    images: list | None = None
    interpreted_type: str = "ORGAN"
    frame_uid: str = FRAME


def contour_item(data, kind="CLOSED_PLANAR", image_uid=None):
    """An item of the Contour Sequence; in Explicit VR its data and type become UN."""
    item = Dataset()
    if not isinstance(data, bytes):
        data = b"\\".join(f"{value:.4f}".encode() for value in np.ravel(data))
    put(item, "ContourData", data)
    put(item, "ContourGeometricType", kind.encode())
    item.NumberOfContourPoints = str((data.count(b"\\") + 1) // 3 if data else 0)
    if image_uid is not None:
        item.ContourImageSequence = [_reference(image_uid)]
    return item


def _reference(uid, sop_class=CT_IMAGE):
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    return item


def write_structures(
    path,
    rois,
    *,
    series_uid=SERIES,
    study_uid=STUDY,
    frame_uid=FRAME,
    image_uids=("1.2.3.4.1",),
    label="Plan",
    charset="ISO_IR 192",
    change=None,
    explicit=False,
):
    """Write a structure set; ``change`` may break the data set before it is written."""
    file = FileDataset(str(path), {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = RTStructureSetStorage
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = "1.2.3.9"
    if charset is not None:
        file.SpecificCharacterSet = charset
    file.Modality, file.Manufacturer, file.PatientID = "RTSTRUCT", "Phantom", "P1"
    file.StudyInstanceUID, file.SeriesInstanceUID = study_uid, "1.2.3.8"
    file.StructureSetLabel, file.StructureSetDate, file.StructureSetTime = label, "20240229", "123000"
    file.ApprovalStatus = "UNAPPROVED"
    file.ReferencedFrameOfReferenceSequence = [_frame(frame_uid, study_uid, series_uid, image_uids)]
    file.StructureSetROISequence = [_listed(roi) for roi in rois]
    file.ROIContourSequence = [_drawn(roi) for roi in rois]
    file.RTROIObservationsSequence = [_observed(n, roi) for n, roi in enumerate(rois, start=1)]
    if change:
        change(file)
    file.save_as(path, enforce_file_format=False)
    return path


def _frame(frame_uid, study_uid, series_uid, image_uids):
    series, study, frame = Dataset(), _reference(study_uid, "1.2.840.10008.3.1.2.3.1"), Dataset()
    series.SeriesInstanceUID = series_uid
    series.ContourImageSequence = [_reference(uid) for uid in image_uids]
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = frame_uid, [study]
    return frame


def _listed(roi):
    item = Dataset()
    item.ROINumber, item.ROIName, item.ROIGenerationAlgorithm = str(roi.number), roi.name, "MANUAL"
    item.ReferencedFrameOfReferenceUID = roi.frame_uid
    return item


def _drawn(roi):
    item = Dataset()
    item.ReferencedROINumber = str(roi.number)
    kinds = roi.kinds or [roi.kind] * len(roi.contours)
    images = roi.images or [None] * len(roi.contours)
    item.ContourSequence = [contour_item(*each) for each in zip(roi.contours, kinds, images, strict=True)]
    return item


def _observed(number, roi):
    item = Dataset()
    item.ObservationNumber, item.ReferencedROINumber = str(number), str(roi.number)
    item.RTROIInterpretedType, item.ROIInterpreter = roi.interpreted_type, ""
    return item


def put(data_set, keyword, data):
    """Put an element of any bytes into a data set; pydicom writes them as they are, in Explicit VR as UN."""
    tag = Tag(keyword)
    data += b" " * (len(data) % 2)
    data_set[tag] = RawDataElement(tag, "UN", len(data), data, 0, True, True)
