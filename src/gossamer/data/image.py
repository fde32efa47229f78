"""CT images and masks with their frame, read from NIfTI and written back without changing a voxel.

Law: reading turns a file's axes by permutation and flips only, and writing onto the file it came from turns them back;
for all 48 signed orders of axes and for oblique scans the round trip is the identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.data.frame import Frame
from gossamer.data.nifti import read_file, write_file
from gossamer.data.orientation import LPS_FROM_RAS, Orientation
from gossamer.errors import GeometryMismatchError, UnreadableImageError

SNAP_VOXELS = 0.01
"""Grids nearer than this are the same grid, written by programs that round differently."""

ROUNDING_VOXELS = 1e-4
"""What float32 numbers in a header do to equal geometries; not worth a note."""

MAX_HU = 1e6
"""Far above any metal; a file with more holds something else, or a scale that is damaged."""

MAX_LABEL = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Image:
    """A CT in canonical orientation.

    Attributes:
        voxels: HU, int16 or float32 [z, y, x].
        frame: where they lie.
    """

    voxels: NDArray[np.int16] | NDArray[np.float32]
    frame: Frame


def read_nifti(path: Path, what: str = "image") -> Image:
    """Read a CT.

    Args:
        path: NIfTI, compressed or not.
        what: how messages call it, for example ``case pt_1, image``; never a path, which may hold a name.

    Returns:
        The image; int16 if all its values are whole numbers that fit, else float32.

    Raises:
        UnreadableImageError: not NIfTI, damaged, not 3-D, too large, without geometry, or with NaN among its values.
    """
    array, frame = _read_canonical(path, what)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UnreadableImageError(
            f"{what}: wanted HU in every voxel; found {np.count_nonzero(~np.isfinite(array)):,} that are no number; "
            "export the image again"
        )
    if _fits_int16(array):
        return Image(np.ascontiguousarray(array, dtype=np.int16), frame)
    lowest, highest = float(array.min()), float(array.max())
    if max(-lowest, highest) > MAX_HU:
        raise UnreadableImageError(
            f"{what}: wanted HU; found values from {lowest:.3g} to {highest:.3g}; "
            "look at the slope and intercept in its header, and export it again"
        )
    return Image(np.ascontiguousarray(array, dtype=np.float32), frame)


def read_label_map(path: Path, what: str = "label map") -> tuple[NDArray[np.integer[Any]], Frame]:
    """Read a label map.

    Returns:
        Labels [z, y, x], in the integer type they are stored in, and their frame.

    Raises:
        UnreadableImageError: as for an image, or it holds values that are not whole numbers.
    """
    array, frame = _read_canonical(path, what)
    if array.dtype.kind == "f":
        if not (array == np.rint(array)).all() or np.abs(array).max() > MAX_LABEL:
            raise UnreadableImageError(f"{what}: wanted labels; found fractions, NaN or huge values; is it an image?")
        array = array.astype(np.int32)
    return np.ascontiguousarray(array), frame


def read_mask_nifti(path: Path, onto: Frame | None = None, what: str = "mask") -> NDArray[np.bool_]:
    """Read the mask of one structure.

    Args:
        path: NIfTI; voxels are 0 outside and one other value inside.
        onto: the frame of the image it belongs to; None takes whatever there is.
        what: how messages call it, for example ``case pt_1, Parotid_L``.

    Returns:
        Mask bool [z, y, x].

    Raises:
        UnreadableImageError: as for a label map, or it holds more than one structure.
        GeometryMismatchError: it lies on another grid than ``onto``.
    """
    mask, frame = read_mask(path, what)
    if onto is not None:
        check_same_grid(onto, frame, what)
    return mask


def read_mask(path: Path, what: str = "mask") -> tuple[NDArray[np.bool_], Frame]:
    """Read the mask of one structure with its own frame; see :func:`read_mask_nifti`."""
    labels, frame = read_label_map(path, what)
    mask = np.asarray(labels != 0)
    values = np.unique(labels[mask])
    if values.size > 1:
        raise UnreadableImageError(
            f"{what}: wanted the mask of one structure; found {values.size} values besides 0; "
            "split the label map into one mask a structure"
        )
    return mask, frame


def check_same_grid(image: Frame, mask: Frame, what: str) -> str | None:
    """Compare the grids of an image and a mask.

    Args:
        image: frame of the image.
        mask: frame of the mask or label map.
        what: how messages call the mask, for example ``case pt_1, Parotid_L``.

    Returns:
        A note if the grids differ, but by less than ``SNAP_VOXELS``: the mask is taken to lie on the image's grid.

    Raises:
        GeometryMismatchError: they differ by more.
    """
    apart = image.differs_by_voxels(mask)
    if apart >= SNAP_VOXELS:
        away = f", up to {apart:.3g} voxels away" if np.isfinite(apart) else ""
        raise GeometryMismatchError(
            f"{what}: wanted the grid of the image, {image.describe()}; found {mask.describe()}{away}; "
            "export image and contours of one series again, or resample the mask onto the image"
        )
    return f"{what}: snapped to the image's grid, {apart:.4f} voxels away" if apart > ROUNDING_VOXELS else None


def write_nifti(path: Path, voxels: NDArray[Any], frame: Frame, like: Path | None = None) -> None:
    """Write an image or mask.

    Args:
        path: ends in .nii.gz or .nii.
        voxels: canonical [z, y, x]; bool is stored in 8 bits.
        frame: where they lie.
        like: a NIfTI file on the same grid, whose axes, affine and codes are taken over; else canonical axes are kept.

    Raises:
        GeometryMismatchError: ``like`` lies on another grid.
        UnreadableImageError: ``like`` cannot be read.
        DiskFullError: there is no room.
        StorageError: it cannot be written for another reason.
    """
    stored = voxels.astype(np.uint8) if voxels.dtype == np.bool_ else voxels
    if like is None:
        ras_from_xyz = LPS_FROM_RAS @ frame.world_from_voxel[:, [2, 1, 0, 3]]
        write_file(path, stored.transpose(2, 1, 0), ras_from_xyz)
        return
    original = read_file(like, "file to write like")
    orientation = Orientation.of_affine(original.ras_from_file)
    check_same_grid(orientation.frame(original.array.shape, original.ras_from_file), frame, "what is to be written")
    write_file(path, orientation.to_file(stored), original.ras_from_file, original.header)


def _read_canonical(path: Path, what: str) -> tuple[NDArray[Any], Frame]:
    file = read_file(path, what)
    orientation = Orientation.of_affine(file.ras_from_file)
    return orientation.to_canonical(file.array), orientation.frame(file.array.shape, file.ras_from_file)


def _fits_int16(array: NDArray[Any]) -> bool:
    limits = np.iinfo(np.int16)
    whole = array.dtype.kind in "iu" or np.array_equal(array, np.rint(array))
    return bool(whole and limits.min <= array.min() and array.max() <= limits.max)
