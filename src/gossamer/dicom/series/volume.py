"""From a CT series to an array in canonical orientation, and masks the same way and back.

Law
    1. ``read_volume`` gives the slices as they are. ``to_canonical`` only permutes and flips, and takes only what is
       even and straight; ``from_canonical`` undoes it.
    2. Where slices are uneven or the gantry was tilted, values are carried onto a grid that is even and straight:
       ``regular_stack``, from the first slice to the last one, in steps as near to their usual gap as whole numbers
       allow, pixels in line with those of the first slice, as large as all slices together. What it shares with a
       slice keeps its values.
    3. Images are interpolated linearly, within slices and between the two slices around a point along the normal;
       outside is air. Masks take the nearest slice, of two equally near ones the lower, and its nearest pixel; outside
       is nothing.

Native arrays are [k, r, c] on a ``SliceStack``; canonical ones [z, y, x] with a ``Frame``; see ``gossamer.units``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.orientation import LPS_FROM_RAS, Orientation
from gossamer.dicom.series.find import EVEN_MM, MAX_GAP, CtSeries, skew_mm, unevenness_mm, usual_gap_mm
from gossamer.dicom.series.pixels import check_scale, is_whole, read_stored, write_hu
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import GeometryMismatchError, UnreadableImageError
from gossamer.units import AIR_HU

Floats = NDArray[np.float64]

PIXEL_DECIMALS = 6
"""Of shifts in pixels, so that slices drawn above each other lie so despite float64's noise."""


SHARE_DECIMALS = 9
"""Of the share of a slice, so that half way is half way despite float64's noise."""


@dataclass(frozen=True, eq=False)
class NativeVolume:
    """The pixels of a series.

    Attributes:
        voxels: HU [k, r, c], in the order of the stack; int16 if they are whole and fit, else float32.
        notes: what a user should know.
    """

    voxels: NDArray[np.int16] | NDArray[np.float32]
    notes: tuple[str, ...]


def read_volume(series: CtSeries) -> NativeVolume:
    """Read the pixels of a series, each file once.

    Raises:
        UnreadableImageError: pixels of a slice cannot be read, or its scale is unknown.
    """
    planes = [one.plane for one in series.slices]
    check_scale(planes)
    whole = all(is_whole(plane) for plane in planes)
    voxels: NDArray[Any] = np.empty(series.stack.shape, np.int16 if whole else np.float32)
    padding, notes = 0, dict[str, None]()
    places: dict[Path, list[int]] = {}
    for k, one in enumerate(series.slices):
        places.setdefault(one.header.path, []).append(k)
    for of_file in places.values():
        where = f"slice at {series.stack.positions_mm[of_file[0]]:.2f} mm"
        try:
            stored = read_stored(series.slices[of_file[0]].header)
            for k in of_file:
                where = f"slice at {series.stack.positions_mm[k]:.2f} mm"
                fits, padded, note = write_hu(stored, planes[k], voxels[k])
                if not fits:
                    voxels = voxels.astype(np.float32)
                    _, padded, note = write_hu(stored, planes[k], voxels[k])
                padding += padded
                if note:
                    notes[note] = None
        except UnreadableImageError as error:
            raise UnreadableImageError(f"{where}: {error}") from error
    if padding:
        notes[f"{padding:,} voxels outside the scanned field (padding) are taken for air"] = None
    return NativeVolume(voxels, tuple(notes))


# Even and straight stacks


def is_regular(stack: SliceStack) -> bool:
    """Whether a stack is even and straight, so that permutations and flips make it canonical."""
    return len(stack.first_xyz) > 1 and unevenness_mm(stack) <= EVEN_MM and skew_mm(stack) <= EVEN_MM


def to_canonical(native: NDArray[Any], stack: SliceStack) -> tuple[NDArray[Any], Frame]:
    """Turn an image or mask on an even and straight stack.

    Args:
        native: [k, r, c].
        stack: where it lies.

    Returns:
        The same values [z, y, x], contiguous, and where they lie; an oblique stack stays oblique.

    Raises:
        GeometryMismatchError: the array is not on this stack, or the stack is uneven or tilted; see ``regular_stack``.
    """
    _check_shape(native, stack)
    orientation, ras_from_krc = _orientation(stack)
    return np.ascontiguousarray(orientation.to_canonical(native)), orientation.frame(stack.shape, ras_from_krc)


def from_canonical(voxels: NDArray[Any], stack: SliceStack) -> NDArray[Any]:
    """Undo ``to_canonical``.

    Args:
        voxels: [z, y, x].
        stack: even and straight.

    Returns:
        The same values [k, r, c], contiguous.

    Raises:
        GeometryMismatchError: as for :func:`to_canonical`.
    """
    native = _orientation(stack)[0].to_file(voxels)
    _check_shape(native, stack)
    return np.ascontiguousarray(native)


def _orientation(stack: SliceStack) -> tuple[Orientation, Floats]:
    """How to turn a stack, and its affine [4, 4] from index (k, r, c) to RAS mm."""
    if not is_regular(stack):
        raise GeometryMismatchError(
            f"wanted slices on an even, straight grid; found them up to {unevenness_mm(stack):.2f} mm off along the "
            f"normal and {skew_mm(stack):.2f} mm across; carry them onto the regular stack first"
        )
    slice_step = (stack.first_xyz[-1] - stack.first_xyz[0]) / (len(stack.first_xyz) - 1)
    lps_from_krc = np.eye(4)
    lps_from_krc[:3] = np.stack([slice_step, stack.row_step_xyz, stack.column_step_xyz, stack.first_xyz[0]], axis=1)
    ras_from_krc = LPS_FROM_RAS @ lps_from_krc
    return Orientation.of_affine(ras_from_krc), ras_from_krc


def _check_shape(native: NDArray[Any], stack: SliceStack) -> None:
    if native.shape != stack.shape:
        raise GeometryMismatchError(
            f"wanted an array of {' x '.join(map(str, stack.shape))} (slices, rows, columns); found "
            f"{' x '.join(map(str, native.shape))}; take the stack that it was made on"
        )


# Any stack


def canonical_image(native: NDArray[Any], stack: SliceStack) -> tuple[Image, SliceStack]:
    """A CT in canonical orientation; what is uneven or tilted is carried onto an even, straight grid.

    Args:
        native: HU [k, r, c].
        stack: where they lie.

    Returns:
        The image, and the stack that it was turned from: ``stack`` itself if that is even and straight, else
        ``regular_stack(stack)``.

    Raises:
        GeometryMismatchError: as for :func:`to_canonical` and :func:`regular_stack`.
    """
    regular = regular_stack(stack)
    voxels, frame = to_canonical(native if regular is stack else carry_image(native, stack, regular), regular)
    return Image(voxels, frame), regular


def canonical_mask(native: NDArray[np.bool_], stack: SliceStack, regular: SliceStack) -> NDArray[np.bool_]:
    """A mask bool [k, r, c] on the grid of its image in canonical orientation: bool [z, y, x].

    Args:
        native: mask on ``stack``.
        stack: where the slices lie.
        regular: what :func:`canonical_image` returned.
    """
    return np.asarray(to_canonical(native if regular is stack else carry_mask(native, stack, regular), regular)[0])


def native_mask(mask: NDArray[np.bool_], stack: SliceStack, regular: SliceStack) -> NDArray[np.bool_]:
    """A mask bool [z, y, x] of an image in canonical orientation on its slices: bool [k, r, c].

    Args:
        mask: on the grid of the image.
        stack: where the slices lie.
        regular: what :func:`canonical_image` returned.
    """
    turned = from_canonical(mask, regular)
    return turned if regular is stack else carry_mask(turned, regular, stack)


# Uneven or tilted stacks


def regular_stack(stack: SliceStack) -> SliceStack:
    """The even, straight stack around another one (law 2); the same one if it is even and straight.

    Raises:
        GeometryMismatchError: it has fewer than two slices, or a gap of more than ``MAX_GAP`` times the usual one.
    """
    if is_regular(stack):
        return stack
    positions = stack.positions_mm
    if len(positions) < 2:
        raise GeometryMismatchError(f"wanted at least 2 slices; found {len(positions)}; copy the whole series")
    gaps_mm, usual_mm = np.diff(positions), usual_gap_mm(stack)
    k = int(gaps_mm.argmax())
    if gaps_mm[k] > MAX_GAP * usual_mm:
        raise GeometryMismatchError(
            f"wanted slices at most {MAX_GAP:g} times their usual {usual_mm:.2f} mm apart; found {gaps_mm[k]:.2f} mm "
            f"between {positions[k]:.2f} and {positions[k + 1]:.2f} mm; choose another series"
        )
    shifts = _shifts(stack, stack.first_xyz[0])
    begin, end = np.floor(shifts.min(axis=0)), np.ceil(shifts.max(axis=0))  # in pixels of the first slice
    rows, columns = (int(n) for n in np.array([stack.rows, stack.columns]) + end - begin)
    first_xyz = stack.first_xyz[0] + begin[0] * stack.row_step_xyz + begin[1] * stack.column_step_xyz
    steps = round(float(positions[-1] - positions[0]) / usual_mm)
    above_mm = np.linspace(0.0, positions[-1] - positions[0], steps + 1)
    first = first_xyz + above_mm[:, None] * stack.normal_xyz
    return SliceStack(rows, columns, first, stack.row_step_xyz, stack.column_step_xyz)


def carry_image(native: NDArray[Any], stack: SliceStack, onto: SliceStack) -> NDArray[Any]:
    """Interpolate an image from a stack onto another one with parallel, equal pixels (law 3).

    Args:
        native: HU [k, r, c] on ``stack``.
        stack: where they lie.
        onto: where they are wanted, as by :func:`regular_stack`.

    Returns:
        HU [k, r, c] on ``onto``, of the same type; int16 is rounded.

    Raises:
        GeometryMismatchError: the array is not on the stack, or the stacks are not parallel.
    """
    _check_shape(native, stack)
    _check_parallel(stack, onto)
    carried = np.empty(onto.shape, native.dtype)
    for k, sources in enumerate(_around(stack, onto.positions_mm)):
        shifts = _shifts(stack, onto.first_xyz[k])
        parts = [share * _shifted(native[source], shifts[source], onto) for source, share in sources]
        values = sum(parts[1:], start=parts[0]) if parts else np.full(carried.shape[1:], AIR_HU)
        carried[k] = np.rint(values) if native.dtype.kind in "iu" else values
    return carried


def carry_mask(mask: NDArray[np.bool_], stack: SliceStack, onto: SliceStack) -> NDArray[np.bool_]:
    """Carry a mask from a stack onto another one with parallel, equal pixels, either way (law 3).

    Args:
        mask: bool [k, r, c] on ``stack``.
        stack: where it lies.
        onto: where it is wanted.

    Returns:
        Mask bool [k, r, c] on ``onto``.

    Raises:
        GeometryMismatchError: as for :func:`carry_image`.
    """
    _check_shape(mask, stack)
    _check_parallel(stack, onto)
    carried = np.zeros(onto.shape, np.bool_)
    for k, sources in enumerate(_around(stack, onto.positions_mm)):
        if not sources:
            continue
        source = max(sources, key=lambda it: it[1])[0]
        row, column = np.rint(_shifts(stack, onto.first_xyz[k])[source]).astype(int).tolist()
        (to_rows, from_rows), (to_columns, from_columns) = (
            _overlap(row, stack.rows, onto.rows),
            _overlap(column, stack.columns, onto.columns),
        )
        carried[k, to_rows, to_columns] = mask[source, from_rows, from_columns]
    return carried


def _shifts(stack: SliceStack, first_xyz: Floats) -> Floats:
    """Where each slice's first pixel lies on a grid with equal pixels, in (r, c) pixels; float64 [k, 2]."""
    away = stack.first_xyz - first_xyz
    steps = np.stack([stack.row_step_xyz, stack.column_step_xyz, stack.normal_xyz], axis=1)
    return np.asarray(np.round((away @ np.linalg.inv(steps).T)[:, :2], PIXEL_DECIMALS))


def _around(stack: SliceStack, positions_mm: Floats) -> list[list[tuple[int, float]]]:
    """For each position the slices that count there, and their shares: one within EVEN_MM, else two; none outside."""
    own = stack.positions_mm
    found: list[list[tuple[int, float]]] = []
    for position in positions_mm.tolist():
        nearest, away_mm = stack.nearest_slice(position)
        if abs(away_mm) <= EVEN_MM:
            found.append([(nearest, 1.0)])
        elif own[0] < position < own[-1]:
            low = nearest if away_mm > 0 else nearest - 1
            upper = round(float((position - own[low]) / (own[low + 1] - own[low])), SHARE_DECIMALS)
            found.append([(low, 1.0 - upper), (low + 1, upper)])
        else:
            found.append([])
    return found


def _shifted(pixels: NDArray[Any], shift: Floats, onto: SliceStack) -> Floats:
    """A slice on the pixels of another grid, linear between them; outside is air."""
    shifted = np.asarray(pixels, dtype=np.float64)
    for axis, size in enumerate((onto.rows, onto.columns)):
        whole = int(np.floor(shift[axis]))
        part = float(shift[axis] - whole)
        moved = (1.0 - part) * _placed(shifted, axis, whole, size) if part else _placed(shifted, axis, whole, size)
        shifted = moved + part * _placed(shifted, axis, whole + 1, size) if part else moved
    return shifted


def _placed(pixels: Floats, axis: int, begin: int, size: int) -> Floats:
    """Pixels from ``begin`` on along an axis of ``size``, the rest air."""
    lines = np.moveaxis(pixels, axis, 0)
    placed = np.full((size, lines.shape[1]), AIR_HU)
    to, source = _overlap(begin, len(lines), size)
    placed[to] = lines[source]
    return np.moveaxis(placed, 0, axis)


def _overlap(begin: int, length: int, size: int) -> tuple[slice, slice]:
    """Of ``length`` pixels that begin at ``begin`` on a line of ``size``: where they fall, and which of them do."""
    low, high = max(begin, 0), max(min(begin + length, size), begin, 0)
    return slice(low, high), slice(low - begin, high - begin)


def _check_parallel(stack: SliceStack, onto: SliceStack) -> None:
    steps: Sequence[tuple[Floats, Floats]] = (
        (stack.row_step_xyz, onto.row_step_xyz),
        (stack.column_step_xyz, onto.column_step_xyz),
    )
    if not all(np.allclose(one, other, rtol=0, atol=1e-9) for one, other in steps):
        raise GeometryMismatchError(
            "wanted two stacks with equal pixels in one orientation; found others; take the regular stack of this one"
        )
