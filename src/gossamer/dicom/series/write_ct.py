"""A CT series written slice by slice, for patients who do not exist: so that what reads DICOM can be tried out.

Law: the same voxels and the same patient give the same bytes, UIDs among them. Nothing is written of anybody real;
real CTs are never written anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

from gossamer.dicom.series.stack import SliceStack

INTERCEPT = -1024
"""Stored values are HU + 1024, as scanners have them."""

FILES = "CT-*.dcm"
"""Pattern of the names of a series' files."""


@dataclass(frozen=True)
class MadeUpPatient:
    """Somebody who does not exist.

    Attributes:
        patient_id: Patient ID.
        name: Patient's Name.
        body_part: Body Part Examined.
    """

    patient_id: str
    name: str
    body_part: str

    def uid(self, what: str, number: int = 0) -> UID:
        """A UID of this patient's, the same each time."""
        return generate_uid(entropy_srcs=[self.patient_id, what, str(number)])


def write_ct_series(folder: Path, voxels: NDArray[np.int16], stack: SliceStack, patient: MadeUpPatient) -> list[Path]:
    """Write a file for each slice.

    Args:
        folder: exists; files of that name are replaced.
        voxels: HU int16 [k, r, c], from -1024 up.
        stack: where they lie.
        patient: whose they are.

    Returns:
        The files, in the order of the slices.

    Raises:
        OSError: a file cannot be written.

    Source: DICOM PS3.3 A.3 (CT Image IOD).
    """
    paths = []
    for k, pixels in enumerate(voxels):
        file = _slice(patient, stack, k)
        file.PixelData = (pixels.astype(np.int32) - INTERCEPT).astype("<u2").tobytes()
        paths.append(folder / FILES.replace("*", f"{k + 1:03d}"))
        file.save_as(paths[-1], enforce_file_format=True)
    return paths


def _slice(patient: MadeUpPatient, stack: SliceStack, k: int) -> FileDataset:
    """All of a slice but its pixels."""
    file = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = CTImageStorage
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = patient.uid("image", k)
    file.PatientID, file.PatientName, file.PatientBirthDate, file.PatientSex = patient.patient_id, patient.name, "", ""
    file.StudyInstanceUID, file.SeriesInstanceUID = patient.uid("study"), patient.uid("series")
    file.FrameOfReferenceUID, file.PositionReferenceIndicator = patient.uid("frame of reference"), ""
    file.StudyDate = file.StudyTime = file.StudyID = file.AccessionNumber = file.ReferringPhysicianName = ""
    file.Modality, file.BodyPartExamined, file.SeriesNumber, file.InstanceNumber = "CT", patient.body_part, 1, k + 1
    file.Manufacturer, file.ImageType, file.AcquisitionNumber = "Gossamer", ["DERIVED", "PRIMARY", "AXIAL"], 1
    file.PatientPosition, file.KVP, file.RescaleType = "HFS", None, "HU"
    file.RescaleIntercept, file.RescaleSlope = INTERCEPT, 1
    row_mm, column_mm = (float(np.linalg.norm(step)) for step in (stack.row_step_xyz, stack.column_step_xyz))
    directions = [*(stack.column_step_xyz / column_mm), *(stack.row_step_xyz / row_mm)]
    file.ImageOrientationPatient = _decimals(directions)
    file.ImagePositionPatient = _decimals(stack.first_xyz[k])
    file.PixelSpacing = _decimals([row_mm, column_mm])
    file.SliceThickness = _decimals([np.diff(stack.positions_mm).mean()])[0]
    file.Rows, file.Columns, file.SamplesPerPixel, file.PhotometricInterpretation = *stack.shape[1:], 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 0
    return file


def _decimals(numbers: NDArray[np.float64] | list[float]) -> list[str]:
    """Decimal strings of at most 16 characters (PS3.5 6.2)."""
    return [format_number_as_ds(float(number) + 0.0) for number in numbers]  # + 0.0: no negative zero
