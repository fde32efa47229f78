"""NIfTI files as they lie on disk: bytes to an array and an affine, and back. Sizes are checked before memory.

A file from outside is not trusted: 8 MB of .nii.gz can hold 8 GB, an affine can hold NaN, and half a file can look
like a whole one. Messages name the case, never the path, which may hold a patient's name.
"""

from __future__ import annotations

import gzip
import logging
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from gossamer.atomic import write_atomically
from gossamer.data.sparse_gzip import gzip_pieces
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

MM_UNITS = (0, 2)
"""Codes of lengths: not stated, which every program takes as millimetres, and millimetres."""

LENGTH_UNITS = 0x07
"""Bits of ``xyzt_units`` that hold the code of lengths (NIfTI-1, "units of spatial and temporal dimensions")."""

MIN_SPACING_MM, MAX_SPACING_MM = 0.01, 100.0
"""No CT has voxels finer or coarser; metres or micrometres taken as millimetres fall outside on one side."""

MAX_ORIGIN_MM = 1e6
"""A kilometre; beyond it a header is damaged, and float arithmetic loses the voxel."""

FLAT = 1e-3
"""Volume of a unit cell along the axes below which they do not span a space."""

PRIVATE_FIELDS = ("descrip", "aux_file", "db_name", "intent_name")
"""Free text of a header, in which a patient's name may stand; never copied to another file."""

_UNHEARD = logging.Logger("unheard", level=logging.CRITICAL + 1)
"""Takes nibabel's remarks on headers: they name no case, and what matters of them we say ourselves."""


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
        raise UnreadableImageError(
            f"{what}: wanted a file that can be read; found: {error.strerror}; put it back, or let it be read"
        ) from error


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
    content = _content(array, ras_from_file, header)
    write_atomically(path, gzip.compress(content, GZIP_LEVEL, mtime=0) if path.suffix == ".gz" else content)


def write_sparse_file(path: Path, array: NDArray[Any], ras_from_file: NDArray[np.float64], header: Any = None) -> None:
    """Write a compressed NIfTI file of an array that is mostly zeros, in a third of the time.

    The file holds the same content as one of :func:`write_file`, compressed into other bytes.

    Args:
        path: ends in .nii.gz.
        array: [i, j, k].
        ras_from_file: affine [4, 4].
        header: as for :func:`write_file`.

    Raises:
        DiskFullError: there is no room.
        StorageError: it cannot be written for another reason.
    """
    write_atomically(path, gzip_pieces(_content(array, ras_from_file, header), GZIP_LEVEL))


def _content(array: NDArray[Any], ras_from_file: NDArray[np.float64], header: Any) -> bytes:
    """A NIfTI file before compression."""
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
    content: bytes = image.to_bytes()
    return content


def _read(file: IO[bytes] | gzip.GzipFile, what: str) -> NiftiFile:
    start = file.read(HEADER_BYTES)
    header = _header(start, what)
    dtype, shape = header.get_data_dtype(), header.get_data_shape()
    offset = _checked_offset(float(header["vox_offset"]), what)
    size = _checked_size(shape, dtype, what)
    content = bytearray(start)
    _read_on(content, offset + size, file, what)
    if len(file.read(MAX_EXTRA_BYTES)) == MAX_EXTRA_BYTES:  # reads to the end, where gzip keeps its checksum
        raise UnreadableImageError(f"{what}: wanted an image as large as its header says; found more; export it again")
    array = np.frombuffer(content, dtype, count=size // dtype.itemsize, offset=offset).reshape(shape[:3], order="F")
    slope, intercept = header.get_slope_inter()
    if slope is not None and (slope, intercept) != (1, 0):
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number then is refused by whoever needs one
            array = array * np.float64(slope) + np.float64(intercept)
    return NiftiFile(array, _checked_affine(header, what), header)


def _header(start: bytes, what: str) -> Any:
    """The header, if it can be read without contradiction."""
    kind = _header_kind(start, what)
    try:
        header = kind(start[: kind.template_dtype.itemsize], check=False)
        header.check_fix(logger=_UNHEARD)
        with np.errstate(all="ignore"):
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


def _checked_offset(offset: float, what: str) -> int:
    """Where the voxels begin, if that is near the header."""
    if not 0 < offset <= MAX_OFFSET_BYTES:
        raise UnreadableImageError(
            f"{what}: wanted voxels that begin within {MAX_OFFSET_BYTES:,} bytes; found byte {offset:g} in the header; "
            "export the image again"
        )
    return int(offset)


def _checked_size(shape: tuple[int, ...], dtype: np.dtype[Any], what: str) -> int:
    """Bytes of the voxels, if they are those of one 3-D image of sensible size."""
    if len(shape) < 3 or any(n != 1 for n in shape[3:]) or min(shape) < 1:
        raise UnreadableImageError(
            f"{what}: wanted one 3-D image; found an array of {' x '.join(str(n) for n in shape)}; "
            "export one volume a file"
        )
    if dtype.kind not in "iuf":
        raise UnreadableImageError(f"{what}: wanted one number a voxel; found type {dtype}; export HU or labels")
    size = math.prod(shape) * dtype.itemsize
    if size > MAX_VOXEL_BYTES:
        raise UnreadableImageError(
            f"{what}: wanted at most {MAX_VOXEL_BYTES / 2**30:.0f} GiB of voxels; found {size / 2**30:,.2f} GiB; "
            "crop the image, or store it in 16 bits"
        )
    return size


def _read_on(content: bytearray, end: int, file: IO[bytes] | gzip.GzipFile, what: str) -> None:
    """Read until ``content`` holds ``end`` bytes; it grows with what comes, not by what a header says."""
    begin = len(content)
    while len(content) < end:
        piece = file.read(min(READ_BYTES, end - len(content)))
        if not piece:
            raise UnreadableImageError(
                f"{what}: wanted {end - begin:,} more bytes of voxels; found {len(content) - begin:,}; the file was "
                "cut: copy it again"
            )
        content += piece


def _checked_affine(header: Any, what: str) -> NDArray[np.float64]:
    """The affine a header states, if it states one that says where the voxels lie."""
    if (unit := int(header["xyzt_units"]) & LENGTH_UNITS) not in MM_UNITS:
        named = {1: "metres", 3: "micrometres"}.get(unit, f"the unknown unit {unit}")
        raise UnreadableImageError(
            f"{what}: wanted lengths in mm; found {named} in the header; convert them, or correct the unit"
        )
    with np.errstate(all="ignore"):  # what overflows is refused below
        both = header.get_sform(coded=True), header.get_qform(coded=True)
    stated = [affine for affine, code in both if code > 0]
    if not stated:
        raise UnreadableImageError(
            f"{what}: wanted a geometry; found neither sform nor qform, so left and right are unknown; export it again"
        )
    for affine in stated:
        _require_axes(affine, what)
    if len({nibabel.aff2axcodes(affine) for affine in stated}) > 1:
        codes = " and ".join("".join(nibabel.aff2axcodes(affine)) for affine in stated)
        raise UnreadableImageError(
            f"{what}: wanted one orientation; found sform and qform that differ ({codes}); export the image again"
        )
    return np.asarray(stated[0], dtype=np.float64)


def _require_axes(affine: NDArray[np.float64], what: str) -> None:
    """Refuse an affine without three axes of voxels as CT has them."""
    bounded = np.isfinite(affine).all() and np.abs(affine).max() <= MAX_ORIGIN_MM  # else the lengths overflow
    lengths = np.linalg.norm(affine[:3, :3], axis=0) if bounded else np.zeros(3)
    if not lengths.all() or abs(np.linalg.det(affine[:3, :3] / lengths)) < FLAT:
        rows = "; ".join(" ".join(f"{number:.5g}" for number in row) for row in affine[:3])
        raise UnreadableImageError(
            f"{what}: wanted three finite axes; found the affine [{rows}]; export the image again"
        )
    if lengths.min() < MIN_SPACING_MM or lengths.max() > MAX_SPACING_MM:
        i, j, k = lengths
        raise UnreadableImageError(
            f"{what}: wanted voxels of {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g} mm; found {i:.4g} x {j:.4g} x {k:.4g} "
            "mm along the file's axes; were they stored in another unit? export the image again"
        )
