"""NIfTI files as they lie on disk: bytes to an array and an affine, and back. Sizes are checked before memory.

A file from outside is not trusted: 8 MB of .nii.gz can hold 8 GB, an affine can hold NaN, and half a file can look
like a whole one. Messages name the case, never the path, which may hold a patient's name.
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from gossamer.atomic import write_atomically
from gossamer.errors import UnreadableImageError

MAX_VOXEL_BYTES = 2**31
"""Of the voxels as stored, before compression: 4,096 slices of 512 x 512 in 16 bits, more than any CT has."""

MAX_OFFSET_BYTES = 2**20
"""Where voxels may begin: after the header and its extensions."""

GZIP_LEVEL = 1
"""Level 6 saves 7 % of a CT's bytes and takes four times as long."""

MAX_EXTRA_BYTES = 2**20
"""Some programs pad a file; one with more than this behind its voxels is not what its header says."""

READ_BYTES = 2**22
"""Read at a time."""

GZIP_MAGIC = b"\x1f\x8b"

NIFTI1_BYTES = 348

HEADER_BYTES = 540
"""NIfTI-2's header, the larger one."""

DICOM_MARK_AT = 128

OTHER_FORMATS = {b"NRRD": "NRRD", b"ObjectType": "MetaImage", b"\x89HDF": "HDF5", b"MINC": "MINC", b"PK": "a zip file"}
"""What images with the wrong name often are, by their first bytes."""

FLAT = 1e-3
"""Volume of a unit cell along the axes below which they do not span a space."""

PRIVATE_FIELDS = ("descrip", "aux_file", "db_name", "intent_name")
"""Free text of a header, in which a patient's name may stand; never copied to another file."""


@dataclass(frozen=True)
class NiftiFile:
    """What a file holds.

    Attributes:
        array: values [i, j, k] as stored, scaled by the header where it says so.
        ras_from_file: float64 [4, 4], index (i, j, k) to RAS millimetres.
        header: nibabel's header, to write another array onto the same grid.
    """

    array: NDArray[Any]
    ras_from_file: NDArray[np.float64]
    header: Any


def read_file(path: Path, what: str) -> NiftiFile:
    """Read a NIfTI file, compressed or not.

    Args:
        path: the file.
        what: how messages call it, for example ``case pt_1, image``.

    Raises:
        UnreadableImageError: not NIfTI, damaged, not 3-D, too large, or without a usable geometry.
    """
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) if compressed else raw as file:
                return _read(file, what)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableImageError(
            f"{what}: wanted a whole NIfTI file; found a damaged or cut one ({error}); copy or export it again"
        ) from error
    except OSError as error:
        raise UnreadableImageError(f"{what}: wanted a file that can be read; found: {error.strerror}") from error


def write_file(path: Path, array: NDArray[Any], ras_from_file: NDArray[np.float64], header: Any = None) -> None:
    """Write a NIfTI file whole or not at all; the same content always gives the same bytes.

    Args:
        path: ends in .nii.gz (compressed) or .nii.
        array: [i, j, k].
        ras_from_file: affine [4, 4].
        header: of a file that lies on the same grid: its units, codes and version are kept.

    Raises:
        DiskFullError: there is no room.
        StorageError: it cannot be written for another reason.
    """
    kind: Any = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    image = kind(array, ras_from_file, header)
    image.set_data_dtype(array.dtype)
    for field in PRIVATE_FIELDS:
        if field in image.header:
            image.header[field] = b""
    if header is None:
        image.header.set_xyzt_units("mm")
        image.set_qform(ras_from_file, code="scanner")
        image.set_sform(ras_from_file, code="scanner")
    content = image.to_bytes()
    write_atomically(path, gzip.compress(content, GZIP_LEVEL, mtime=0) if path.suffix == ".gz" else content)


def _read(file: IO[bytes] | gzip.GzipFile, what: str) -> NiftiFile:
    start = file.read(HEADER_BYTES)
    header = _header(start, what)
    dtype, shape, offset = header.get_data_dtype(), header.get_data_shape(), int(header["vox_offset"])
    size = _checked_size(shape, dtype, offset, what)
    content = bytearray(max(offset + size, len(start)))
    content[: len(start)] = start
    _fill(memoryview(content)[len(start) :], file, what)
    if len(file.read(MAX_EXTRA_BYTES)) == MAX_EXTRA_BYTES:  # reads to the end, where gzip keeps its checksum
        raise UnreadableImageError(f"{what}: wanted an image as large as its header says; found more; export it again")
    array = np.frombuffer(content, dtype, count=size // dtype.itemsize, offset=offset).reshape(shape[:3], order="F")
    slope, intercept = header.get_slope_inter()
    if slope is not None and (slope, intercept) != (1, 0):
        array = array * np.float64(slope) + np.float64(intercept)
    return NiftiFile(array, _checked_affine(header, what), header)


def _header(start: bytes, what: str) -> Any:
    """The header, if it can be read without contradiction."""
    kind = _header_kind(start, what)
    try:
        header = kind(start[: kind.template_dtype.itemsize], check=True)
        header.get_slope_inter(), header.get_sform(), header.get_qform()
    except (nibabel.spatialimages.HeaderDataError, ValueError) as error:
        raise UnreadableImageError(
            f"{what}: wanted a NIfTI header; found one that contradicts itself ({error}); export the image again"
        ) from error
    return header


def _header_kind(start: bytes, what: str) -> Any:
    """NIfTI-1 or NIfTI-2, by the mark in the header."""
    if len(start) >= NIFTI1_BYTES and start[344:348] == b"n+1\0":
        return nibabel.Nifti1Header
    if len(start) == HEADER_BYTES and start[4:8] == b"n+2\0":
        return nibabel.Nifti2Header
    if start[344:348] == b"ni1\0":
        found = "a pair of .hdr and .img"
    elif start[DICOM_MARK_AT : DICOM_MARK_AT + 4] == b"DICM":
        found = "DICOM"
    else:
        found = next((name for mark, name in OTHER_FORMATS.items() if start.startswith(mark)), "something else")
    raise UnreadableImageError(f"{what}: wanted NIfTI in one file; found {found}; convert it to .nii.gz")


def _checked_size(shape: tuple[int, ...], dtype: np.dtype[Any], offset: int, what: str) -> int:
    """Bytes of the voxels, if they are those of one 3-D image of sensible size."""
    if len(shape) < 3 or any(n != 1 for n in shape[3:]) or min(shape) < 1:
        raise UnreadableImageError(
            f"{what}: wanted one 3-D image; found an array of {' x '.join(str(n) for n in shape)}; "
            "export one volume a file"
        )
    if dtype.kind not in "iuf":
        raise UnreadableImageError(f"{what}: wanted one number a voxel; found type {dtype}; export HU or labels")
    size = math.prod(shape) * dtype.itemsize
    if size > MAX_VOXEL_BYTES or not 0 < offset <= MAX_OFFSET_BYTES:
        raise UnreadableImageError(
            f"{what}: wanted at most {MAX_VOXEL_BYTES / 2**30:.0f} GiB of voxels; found {size / 2**30:.2f} GiB from "
            f"byte {offset} on; crop the image, or store it in 16 bits"
        )
    return size


def _fill(target: memoryview, file: IO[bytes] | gzip.GzipFile, what: str) -> None:
    done = 0
    while done < len(target):
        piece = file.read(min(READ_BYTES, len(target) - done))
        if not piece:
            raise UnreadableImageError(
                f"{what}: wanted {len(target):,} more bytes of voxels; found {done:,}; the file was cut: copy it again"
            )
        target[done : done + len(piece)] = piece
        done += len(piece)


def _checked_affine(header: Any, what: str) -> NDArray[np.float64]:
    """The affine a header states, if it states one that says where the voxels lie."""
    stated = [affine for affine, code in (header.get_sform(coded=True), header.get_qform(coded=True)) if code > 0]
    if not stated:
        raise UnreadableImageError(
            f"{what}: wanted a geometry; found neither sform nor qform, so left and right are unknown; export it again"
        )
    for affine in stated:
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        if not np.isfinite(affine).all() or (lengths == 0).any() or abs(np.linalg.det(affine[:3, :3] / lengths)) < FLAT:
            raise UnreadableImageError(
                f"{what}: wanted three finite axes; found the affine {np.round(affine[:3], 4).tolist()}; "
                "export the image again"
            )
    if len({nibabel.aff2axcodes(affine) for affine in stated}) > 1:
        codes = " and ".join("".join(nibabel.aff2axcodes(affine)) for affine in stated)
        raise UnreadableImageError(
            f"{what}: wanted one orientation; found sform and qform that differ ({codes}); export the image again"
        )
    return np.asarray(stated[0], dtype=np.float64)
