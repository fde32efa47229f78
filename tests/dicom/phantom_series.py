"""CT series written with pydicom, sound or broken in the way that a test asks for."""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRBigEndian, ImplicitVRLittleEndian

STUDY, SERIES, FRAME = "1.2.3.1", "1.2.3.2", "1.2.3.3"
"""The same as those of ``phantom_structures``."""

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""Image Orientation of a patient on the back, head first: columns grow to the left, rows to the back."""


def image_uid(k, series_uid=SERIES):
    """SOP Instance UID of slice ``k``."""
    return f"{series_uid}.{k + 1}"


def rename(file, uid):
    """Give a data set another SOP Instance UID."""
    file.SOPInstanceUID = uid


def distinct_voxels(shape):
    """HU int16 [k, r, c]; each voxel has a value of its own, so that a value says where it came from."""
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape) - 1000


def write_series(
    folder,
    voxels=None,
    *,
    shape=(5, 6, 8),
    spacing=(3.0, 1.5, 0.75),
    iop=AXIAL,
    ipp=(-100.0, -50.0, 20.0),
    slope=1,
    intercept=-1024,
    tilt_degrees=0.0,
    positions=None,
    series_uid=SERIES,
    study_uid=STUDY,
    frame_uid=FRAME,
    patient="Doe^Jane",
    syntax=ImplicitVRLittleEndian,
    change=None,
    **overrides,
):
    """Write a CT series, a file a slice.

    Args:
        folder: made if it is not there.
        voxels: HU [k, r, c], whole multiples of ``slope`` away from ``intercept``; None takes ``distinct_voxels``.
        shape: slices (unless there are positions), rows, columns, if there are no voxels.
        spacing: mm between slices along the table, between rows and between columns.
        iop: Image Orientation (Patient), before the gantry is tilted.
        ipp: Image Position (Patient) of slice 0.
        slope: Rescale Slope.
        intercept: Rescale Intercept.
        tilt_degrees: turns each slice about its rows' direction, while the table still moves along the untilted normal.
        positions: mm of the slices along the table, from slice 0's; instead of even ones.
        series_uid: Series Instance UID; slices' own UIDs begin with it.
        study_uid: Study Instance UID.
        frame_uid: Frame of Reference UID.
        patient: name; the ID is ``ID of`` it.
        syntax: transfer syntax, one whose pixels are not compressed.
        change: called as ``change(data_set, k)`` before slice ``k`` is written; returns False to leave it out.
        **overrides: elements by their keywords, the same in every slice; None deletes one.

    Returns:
        Path of each slice, in the order of ``voxels``.
    """
    slices = shape[0] if positions is None else len(positions)
    voxels = distinct_voxels((slices, *shape[1:])) if voxels is None else np.asarray(voxels)
    stored = np.rint((voxels.astype(float) - intercept) / slope).astype("<i2")
    along = np.cross(iop[:3], iop[3:])
    positions = spacing[0] * np.arange(len(stored)) if positions is None else positions
    tilt = np.radians(tilt_degrees)
    tilted = (*iop[:3], *(np.cos(tilt) * np.asarray(iop[3:]) + np.sin(tilt) * along))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k, pixels in enumerate(stored):
        file = _slice(pixels, tilted if tilt_degrees else iop, np.asarray(ipp) + positions[k] * along)
        file.SOPInstanceUID = image_uid(k, series_uid)
        file.StudyInstanceUID, file.SeriesInstanceUID, file.FrameOfReferenceUID = study_uid, series_uid, frame_uid
        file.PatientName, file.PatientID = patient, f"ID of {patient}"
        file.PixelSpacing, file.SliceThickness = [repr(float(s)) for s in spacing[1:]], repr(float(spacing[0]))
        file.RescaleSlope, file.RescaleIntercept = slope, intercept
        file.InstanceNumber = k + 1
        file.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            file.PixelData = pixels.byteswap().tobytes()
        for keyword, value in overrides.items():
            if value is None:
                del file[keyword]
            else:
                setattr(file, keyword, value)
        if change is None or change(file, k) is not False:
            file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID
            paths.append(folder / f"{series_uid}-{7 * k % 101:03d}-{k}")  # names in another order than the slices
            file.save_as(paths[-1], enforce_file_format=True)
    return paths


def write_multiframe(folder, positions):
    """Write an Enhanced CT with a frame at each position, as far as it is read.

    Frame n, from 0, stores n + 1 everywhere; its Rescale Slope is n + 1 and its Intercept -1000.

    Args:
        folder: made if it is not there.
        positions: z in mm, of frames of an axial scan.
    """

    def make(file, _k):
        file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
        file.PixelData = np.stack([np.full((6, 8), n + 1, "<i2") for n in range(len(positions))]).tobytes()
        file.NumberOfFrames = len(positions)
        file.SharedFunctionalGroupsSequence = [
            _item(
                PlaneOrientationSequence=[_item(ImageOrientationPatient=list(AXIAL))],
                PixelMeasuresSequence=[_item(PixelSpacing=[1.5, 0.75])],
            )
        ]
        file.PerFrameFunctionalGroupsSequence = [
            _item(
                PlanePositionSequence=[_item(ImagePositionPatient=[-100, -50, position])],
                PixelValueTransformationSequence=[_item(RescaleSlope=n + 1, RescaleIntercept=-1000, RescaleType="HU")],
            )
            for n, position in enumerate(positions)
        ]
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
            del file[keyword]

    return write_series(folder, shape=(1, 6, 8), change=make)


def _item(**elements):
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _slice(pixels, iop, ipp):
    """A data set of CT Image Storage without the elements that its series shares."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = CTImageStorage
    file.SpecificCharacterSet, file.Modality, file.Manufacturer = "ISO_IR 192", "CT", "Phantom"
    file.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    file.StudyDate, file.StudyTime, file.StudyID, file.AccessionNumber = "20240229", "123000", "1", ""
    file.PatientBirthDate, file.PatientSex, file.ReferringPhysicianName = "", "", ""
    file.SeriesNumber, file.AcquisitionNumber, file.SeriesDescription = 3, 1, "Thorax"
    file.PositionReferenceIndicator, file.PatientPosition = "", "HFS"
    file.ImageOrientationPatient = [_decimal(number) for number in iop]
    file.ImagePositionPatient = [_decimal(number) for number in ipp]
    file.SliceLocation = _decimal(ipp[2])
    file.Rows, file.Columns = pixels.shape
    file.SamplesPerPixel, file.PhotometricInterpretation, file.KVP = 1, "MONOCHROME2", "120"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 1
    file.PixelData = pixels.tobytes()
    return file


def _decimal(number):
    """At most 16 characters, as a DS may have (PS3.5 6.2)."""
    text = repr(float(number))
    return text if len(text) <= 16 else f"{float(number):.10f}"[:16]
