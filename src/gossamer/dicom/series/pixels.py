"""Pixels of a CT file: stored values, and their Hounsfield units.

Law
    1. HU are what the file says: stored value times Rescale Slope plus Rescale Intercept, of each frame its own (PS3.3
       C.7.6.16.2.9, C.8.2.1). A file without them, or in another unit, is refused and never guessed.
    2. Padding that the file declares (PS3.3 C.7.5.1.1.2) and that lies below what a CT measures is air. Padding that
       tissue may have, too, is left as it is, and said.
    3. Bits that the file does not declare as used are not dropped in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from gossamer.dicom.files.codes import shown_code, shown_syntax
from gossamer.dicom.files.elements import ascii_of, bytes_of, short_of
from gossamer.dicom.files.header import Header, Plane
from gossamer.dicom.files.open_file import foreign_errors_mapped, open_dicom
from gossamer.errors import UnreadableImageError
from gossamer.units import AIR_HU

LOWEST_HU = -1024.0
"""Where the 12-bit scale of CT begins (PS3.3 C.8.2.1.1.2: water is 0); what is less was not measured."""

MAX_HU = 1e6
"""Far above any metal; as for NIfTI."""

BITS = 16
"""Bits Allocated of a CT image (PS3.3 C.8.2.1, C.8.15.2)."""

PLAIN_SYNTAXES = frozenset(
    {"", ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
)
"""Transfer syntaxes whose pixels stand in the data set as they are; "" where the file does not say."""

MAX_PIXELS = 2**30
"""Of all frames of a file; as many as 2 GiB hold."""

PIXEL_TAGS = [
    *("SOPInstanceUID", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    "PixelData",
]
"""Only these are read."""


@dataclass(frozen=True, eq=False)
class StoredFrames:
    """What a file stores.

    Attributes:
        values: int16 or uint16 [frame, r, c], read-only.
        padding: lowest and highest stored value that mean no measurement; None if the file declares none.
    """

    values: NDArray[np.int16] | NDArray[np.uint16]
    padding: tuple[int, int] | None


def read_stored(header: Header) -> StoredFrames:
    """Read the pixels of a file.

    Raises:
        UnreadableImageError: they are cut off, compressed in a way that cannot be undone here, no CT's, or the file is
            no longer the one of the header.
    """
    with foreign_errors_mapped():
        data = open_dicom(header.path, PIXEL_TAGS)
        _check_description(header, data)
        shape = len(header.planes), header.rows, header.columns
        syntax = str(data.file_meta.get("TransferSyntaxUID") or "")
        values = _plain(data, shape) if syntax in PLAIN_SYNTAXES else decompressed(data, shape, "pixels")
        _check_bits(values, data)
        return StoredFrames(values, _padding(data))


def check_scale(planes: Sequence[Plane]) -> None:
    """Raise unless each plane says how its values become HU (law 1)."""
    for plane in planes:
        if plane.slope is None or plane.intercept is None or not plane.slope:
            raise UnreadableImageError(
                "wanted Rescale Slope (not 0) and Rescale Intercept; found a slice without; "
                "HU are unknown: export the series again"
            )
        if max(abs(plane.slope), abs(plane.intercept)) > MAX_HU:
            raise UnreadableImageError(
                f"wanted a scale that gives HU; found a slope of {plane.slope:g} and an intercept of "
                f"{plane.intercept:g}; export the series again"
            )
        if plane.unit not in ("", "HU"):
            unit = shown_code("RescaleType", plane.unit)
            raise UnreadableImageError(f"wanted HU; found values of Rescale Type {unit}; choose the series with HU")


def is_whole(plane: Plane) -> bool:
    """Whether its HU are whole numbers, whatever is stored."""
    return bool(float(plane.slope or 0).is_integer() and float(plane.intercept or 0).is_integer())


def write_hu(stored: StoredFrames, plane: Plane, out: NDArray[np.int16] | NDArray[np.float32]) -> tuple[bool, int, str]:
    """Write the HU of a frame into ``out`` [r, c].

    Args:
        stored: of the file.
        plane: whose scale is known; see :func:`check_scale`.
        out: int16 if the scale is whole, or float32.

    Returns:
        Whether they fit into ``out`` (else nothing was written); how many pixels were padding and became air; and a
        note, or "".

    Raises:
        UnreadableImageError: there are values that no CT has.
    """
    values = stored.values[plane.frame]
    slope, intercept = float(plane.slope or 0), float(plane.intercept or 0)
    lowest, highest = int(values.min()), int(values.max())
    padded, note = _padded(values, stored.padding, (lowest, highest), slope, intercept)
    if padded is not None and padded.all():
        out[...] = AIR_HU
        return True, padded.size, note
    if padded is not None:
        measured = values[~padded]
        lowest, highest = int(measured.min()), int(measured.max())
    ends = sorted((lowest * slope + intercept, highest * slope + intercept))
    if max(-ends[0], ends[1]) > MAX_HU:
        raise UnreadableImageError(
            f"wanted HU; found values from {ends[0]:.4g} to {ends[1]:.4g}; look at Rescale Slope and Intercept, and "
            "export the series again"
        )
    if out.dtype == np.int16:
        if ends[0] < -(2**15) or ends[1] >= 2**15:
            return False, 0, ""
        _write_int16(values, int(slope), int(intercept), out)
    else:
        out[...] = values * np.float64(slope) + np.float64(intercept)
    if padded is None:
        return True, 0, note
    out[padded] = AIR_HU
    return True, int(np.count_nonzero(padded)), note


def same_hu(one: tuple[StoredFrames, Plane], other: tuple[StoredFrames, Plane]) -> bool:
    """Whether two frames hold the same HU; each with what its file stores."""
    first, second = (
        stored.values[plane.frame] * np.float64(plane.slope or 0) + np.float64(plane.intercept or 0)
        for stored, plane in (one, other)
    )
    return np.array_equal(first, second)


def _check_description(header: Header, data: Dataset) -> None:
    """Raise unless the file is still the header's and its pixels are a CT's."""
    found = ascii_of(data, "SOPInstanceUID"), short_of(data, "Rows"), short_of(data, "Columns")
    if found != (header.sop_instance_uid, header.rows, header.columns):
        raise UnreadableImageError("wanted the image of the header; found another; leave files in place during a read")
    if len(header.planes) * header.rows * header.columns > MAX_PIXELS:
        raise UnreadableImageError(
            f"wanted at most {MAX_PIXELS:,} pixels; found {len(header.planes):,} frames of {header.rows:,} x "
            f"{header.columns:,}; export the series again"
        )
    allocated, samples = short_of(data, "BitsAllocated"), short_of(data, "SamplesPerPixel") or 1
    stored, high = short_of(data, "BitsStored"), short_of(data, "HighBit")
    if allocated != BITS or samples != 1 or stored is None or not 1 <= stored <= BITS or high not in (None, stored - 1):
        raise UnreadableImageError(
            f"wanted one value a pixel in {BITS} bits; found {samples} in {allocated}, {stored} used up to bit {high}; "
            "export the series again as CT images"
        )
    if not (shown := ascii_of(data, "PhotometricInterpretation")).startswith("MONOCHROME"):
        raise UnreadableImageError(
            f"wanted grey values; found {shown_code('PhotometricInterpretation', shown)}; export CT images, "
            "not pictures"
        )


def _plain(data: Dataset, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Pixels as they stand; without a copy where bytes stand in the machine's order."""
    content, wanted = bytes_of(data, "PixelData"), shape[0] * shape[1] * shape[2]
    if not wanted <= len(content) // 2 <= wanted + 1:
        raise UnreadableImageError(
            f"wanted {2 * wanted:,} bytes of pixels; found {len(content):,}; copy or export the file again"
        )
    order = "<" if data.original_encoding[1] is not False else ">"
    kind = "i2" if short_of(data, "PixelRepresentation") else "u2"
    return np.frombuffer(content, order + kind, wanted).reshape(shape)


def decompressed(data: Dataset, shape: tuple[int, int, int], what: str) -> NDArray[Any]:
    """Pixels of a compressed syntax, as they were stored before.

    Args:
        data: read up to its pixels.
        shape: frames, rows, columns.
        what: they are, for messages.

    Raises:
        UnreadableImageError: there is no decoder here.
    """
    syntax = str(data.file_meta.get("TransferSyntaxUID") or "")
    try:
        return np.asarray(pixel_array(data, raw=True)).reshape(shape)
    except (RuntimeError, NotImplementedError, ImportError) as error:  # what pydicom raises without a decoder
        raise UnreadableImageError(
            f"wanted {what} that can be decompressed here; found {shown_syntax(syntax)}; export it uncompressed"
        ) from error


def _check_bits(values: NDArray[Any], data: Dataset) -> None:
    """Raise if values need more bits than the file says are used (law 3)."""
    bits = short_of(data, "BitsStored") or BITS
    if bits == BITS:
        return
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if values.dtype.kind == "i" else (0, 2**bits - 1)
    if values.min() < lowest or values.max() > highest:
        raise UnreadableImageError(
            f"wanted stored values of {bits} bits, {lowest} to {highest}; found {values.min()} to {values.max()}; "
            "do the other bits hold an overlay? export the series again"
        )


def _padding(data: Dataset) -> tuple[int, int] | None:
    signed = bool(short_of(data, "PixelRepresentation"))
    value = short_of(data, "PixelPaddingValue", signed=signed)
    if value is None:
        return None
    limit = short_of(data, "PixelPaddingRangeLimit", signed=signed)
    return (value, value) if limit is None else (min(value, limit), max(value, limit))


def _padded(
    values: NDArray[Any], padding: tuple[int, int] | None, found: tuple[int, int], slope: float, intercept: float
) -> tuple[NDArray[np.bool_] | None, str]:
    """Which pixels are padding that becomes air (law 2), if there are any; and a note."""
    if padding is None or padding[0] > found[1] or padding[1] < found[0]:
        return None, ""
    highest_hu = max(end * slope + intercept for end in padding)
    if highest_hu > AIR_HU:
        return None, f"padding of {highest_hu:g} HU is declared, which may be tissue, and left as it is"
    if highest_hu >= LOWEST_HU:
        return None, ""
    return np.asarray((values >= padding[0]) & (values <= padding[1])), ""


def _write_int16(values: NDArray[Any], slope: int, intercept: int, out: NDArray[Any]) -> None:
    """Whole HU that fit; 16-bit sums wrap around, so that it does not matter where they leave the range between."""
    if slope != 1:
        out[...] = values.astype(np.int64) * slope + intercept
        return
    native = values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))
    wrapped = (intercept + 2**15) % 2**16 - 2**15
    np.add(native.view(np.int16), np.int16(wrapped), out=out)
