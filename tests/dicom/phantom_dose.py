"""RT Doses written with pydicom, sound or broken in the way that a test asks for."""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RTDoseStorage
from tests.dicom.phantom_series import AXIAL, FRAME, STUDY


def distinct_doses(shape):
    """Stored values uint32 [k, r, c]; each voxel has one of its own, beyond 16 bits."""
    return 70_000 + np.arange(np.prod(shape), dtype=np.uint32).reshape(shape)


def write_dose(
    path,
    stored=None,
    *,
    scaling=1e-3,
    spacing=(2.5, 3.0),
    iop=AXIAL,
    ipp=(-100.0, -50.0, 20.0),
    offsets=(0.0, 4.0, 8.0, 12.0),
    syntax=ImplicitVRLittleEndian,
    uid="1.2.3.9.1",
    frame_uid=FRAME,
    **overrides,
):
    """Write an RT Dose.

    Args:
        path: of the file; its folder is made if it is not there.
        stored: uint16 or uint32 [k, r, c]; None takes ``distinct_doses`` of 5 rows and 6 columns.
        scaling: Dose Grid Scaling, in Gy.
        spacing: mm between rows and between columns.
        iop: Image Orientation (Patient).
        ipp: Image Position (Patient) of the first plane.
        offsets: Grid Frame Offset Vector.
        syntax: transfer syntax, one whose pixels are not compressed.
        uid: SOP Instance UID.
        frame_uid: Frame of Reference UID.
        **overrides: elements by their keywords; None deletes one.
    """
    stored = distinct_doses((len(offsets), 5, 6)) if stored is None else np.asarray(stored)
    bits = 8 * stored.dtype.itemsize
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = RTDoseStorage
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = uid
    file.file_meta.TransferSyntaxUID = syntax
    file.Modality, file.Manufacturer, file.PatientName, file.PatientID = "RTDOSE", "Phantom", "Doe^Jane", "ID of Doe"
    file.StudyInstanceUID, file.SeriesInstanceUID, file.FrameOfReferenceUID = STUDY, "1.2.3.9", frame_uid
    file.PixelSpacing, file.ImageOrientationPatient = list(spacing), list(iop)
    file.ImagePositionPatient = list(ipp)
    file.NumberOfFrames, file.Rows, file.Columns = stored.shape
    file.FrameIncrementPointer, file.GridFrameOffsetVector = 0x3004000C, list(offsets)
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = bits, bits, bits - 1, 0
    file.DoseUnits, file.DoseType, file.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    file.DoseGridScaling = scaling
    file.PixelData = stored.astype(stored.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<")).tobytes()
    file["PixelData"].VR = "OW"
    for keyword, value in overrides.items():
        if value is None:
            del file[keyword]
        else:
            setattr(file, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path, enforce_file_format=True)
    return path
