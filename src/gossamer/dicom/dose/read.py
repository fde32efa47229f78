"""An RT Dose (RTDOSE, DICOM PS3.3 A.18) as a dose grid in Gy.

Law
    1. Dose is stored value times Dose Grid Scaling (PS3.3 C.8.8.3). Only Gy is taken: a RELATIVE dose is a percentage
       of what the file does not hold. The difference of two doses (ERROR) is no dose.
    2. Planes lie where ``planes`` finds them.
    3. Nothing is completed by a guess; messages name no file.

Arrays of a file are [k, r, c]: plane, row, column; see ``stack``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTDoseStorage

from gossamer.data.dose import DoseGrid
from gossamer.dicom.dose.planes import read_planes
from gossamer.dicom.files.codes import shown_code
from gossamer.dicom.files.elements import Numbers, ascii_of, bytes_of, decimals_of, short_of, whole_number_of
from gossamer.dicom.files.open_file import foreign_errors_mapped, open_dicom
from gossamer.dicom.series.canonical import to_canonical
from gossamer.dicom.series.pixels import PLAIN_SYNTAXES, decompressed
from gossamer.errors import UnreadableImageError

BITS = (16, 32)
"""Bits Allocated of an RT Dose (PS3.3 C.8.8.3.4.1)."""

MAX_PLANES = 2**11
"""Two metres of planes a millimetre apart."""

MAX_VOXELS = 2**26
"""400 planes of 400 x 400, a whole body at a millimetre; a quarter of a gibibyte in float32."""

MAX_GRAY = 1e5
"""More than next to any source; beyond it the scale is damaged."""

TAGS = [
    *("SOPClassUID", "SOPInstanceUID", "Modality", "FrameOfReferenceUID"),
    *("SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelSpacing"),
    *("ImagePositionPatient", "ImageOrientationPatient", "GridFrameOffsetVector"),
    *("DoseUnits", "DoseType", "DoseSummationType", "DoseGridScaling"),
]
"""Only these are read, and the pixels."""


@dataclass(frozen=True, eq=False)
class RtDose:
    """What an RT Dose holds.

    Attributes:
        dose: in Gy, canonical; an oblique grid stays oblique.
        summation: Dose Summation Type: PLAN, BEAM, FRACTION and so on; "" if the file has none.
        frame_of_reference_uid: of its coordinates; "" if the file has none.
    """

    dose: DoseGrid
    summation: str
    frame_of_reference_uid: str


def read_rt_dose(path: Path) -> RtDose:
    """Read a dose.

    Args:
        path: of any transfer syntax, with or without the preamble of PS3.10.

    Raises:
        UnreadableImageError: it cannot be read, is cut off, is something else, or not in Gy.
        GeometryMismatchError: where its planes lie is unknown, or they are no grid.

    Source: DICOM PS3.3 C.8.8.3 (RT Dose), C.7.6.2 (Image Plane).
    """
    with foreign_errors_mapped():
        data = open_dicom(path, [*TAGS, "PixelData"])
        notes = _check_kind(data)
        shape, scaling = _shape(data), decimals_of(data, "DoseGridScaling", 1)
        planes = read_planes(data, shape, min(MAX_PLANES, MAX_VOXELS // (shape[1] * shape[2])))
        summation, frame_uid = ascii_of(data, "DoseSummationType").upper(), ascii_of(data, "FrameOfReferenceUID")
        gray = _scaled(_stored(data, shape), scaling)  # last: a decoder may turn elements into other values
        voxels, frame = to_canonical(planes.placed(gray), planes.stack)
        return RtDose(DoseGrid(voxels, frame, (*notes, *planes.notes)), summation, frame_uid)


# Values


def _check_kind(data: Dataset) -> tuple[str, ...]:
    """Raise unless it is a dose in Gy (law 1); returns what a user should know of it."""
    if ascii_of(data, "SOPClassUID") != RTDoseStorage:
        raise UnreadableImageError(
            "wanted a dose (SOP class RT Dose Storage); found "
            f"{shown_code('Modality', ascii_of(data, 'Modality'))}; choose the RTDOSE file"
        )
    units, kind = (ascii_of(data, keyword).upper() for keyword in ("DoseUnits", "DoseType"))
    if units != "GY":
        raise UnreadableImageError(
            f"wanted Dose Units GY; found {shown_code('DoseUnits', units)}; export the dose as absolute dose in Gy"
        )
    if kind not in ("PHYSICAL", "EFFECTIVE", ""):
        raise UnreadableImageError(
            f"wanted a physical or effective dose; found Dose Type {shown_code('DoseType', kind)}; export the dose of "
            "the plan"
        )
    if kind == "EFFECTIVE":
        return ("the dose is an effective one, corrected for its biological effect (Dose Type EFFECTIVE)",)
    return () if kind else ("the dose is taken for a physical one; the file has no Dose Type",)


def _shape(data: Dataset) -> tuple[int, int, int]:
    """Planes, rows and columns, if they are a dose's in number and kind."""
    planes, rows, columns = (
        whole_number_of(data, "NumberOfFrames") or 1,
        short_of(data, "Rows") or 0,
        short_of(data, "Columns") or 0,
    )
    if not (0 < planes <= MAX_PLANES and rows and columns and planes * rows * columns <= MAX_VOXELS):
        raise UnreadableImageError(
            f"wanted at most {MAX_PLANES:,} planes and {MAX_VOXELS:,} voxels; found {planes:,} planes of {rows:,} x "
            f"{columns:,}; export the dose on a coarser grid"
        )
    bits, samples = short_of(data, "BitsAllocated"), short_of(data, "SamplesPerPixel") or 1
    used, signed = short_of(data, "BitsStored"), bool(short_of(data, "PixelRepresentation"))
    if bits not in BITS or samples != 1 or used != bits or signed:
        raise UnreadableImageError(
            f"wanted one value a voxel in all of 16 or 32 bits, without sign; found {samples} in {used} of {bits} bits"
            f"{', signed' if signed else ''}; export the dose again"
        )
    return planes, rows, columns


def _stored(data: Dataset, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Stored values, uint16 or uint32 [k, r, c]."""
    syntax = str(data.file_meta.get("TransferSyntaxUID") or "")
    if syntax not in PLAIN_SYNTAXES:
        return decompressed(data, shape, "a dose")
    size = (short_of(data, "BitsAllocated") or 0) // 8
    content, wanted = bytes_of(data, "PixelData"), math.prod(shape) * size
    if not wanted <= len(content) <= wanted + 1:
        raise UnreadableImageError(
            f"wanted {wanted:,} bytes of dose; found {len(content):,}; copy or export the file again"
        )
    order = "<" if data.original_encoding[1] is not False else ">"
    return np.frombuffer(content, f"{order}u{size}", math.prod(shape)).reshape(shape)


def _scaled(stored: NDArray[Any], scaling: Numbers | None) -> NDArray[np.float32]:
    """Dose in Gy (law 1)."""
    if scaling is None or not 0 < scaling[0] * float(stored.max() or 1) <= MAX_GRAY:
        found = "none" if not scaling else f"{scaling[0]:g} for values up to {int(stored.max()):,}"
        raise UnreadableImageError(
            f"wanted a Dose Grid Scaling that gives doses in Gy; found {found}; export the dose again"
        )
    gray = np.empty(stored.shape, np.float32)
    for k, plane in enumerate(stored):  # whole, it would take twice the memory in float64
        gray[k] = plane * np.float64(scaling[0])
    return gray
