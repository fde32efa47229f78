"""Images and masks from one stack onto another: from uneven or tilted slices onto an even, straight grid, and back.

Law
    1. The grid is ``regular_stack``: from the first slice to the last one, in steps as near to their usual gap as whole
       numbers allow, pixels in line with those of the first slice, as large as all slices together. What it shares with
       a slice keeps its values.
    2. Images are interpolated linearly, within slices and between the two slices around a point along the normal;
       outside is air. Masks take the nearest slice, of two equally near ones the lower, and its nearest pixel; outside
       is nothing.

Arrays are native, [k, r, c] on a ``SliceStack``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.dicom.series.evenness import EVEN_MM, MAX_GAP, is_regular, usual_gap_mm
from gossamer.dicom.series.stack import SliceStack, check_on_stack
from gossamer.errors import GeometryMismatchError, SliceStackError
from gossamer.units import AIR_HU

Floats = NDArray[np.float64]

PIXEL_DECIMALS = 6
"""Of shifts in pixels, so that slices drawn above each other lie so despite float64's noise."""

SHARE_DECIMALS = 9
"""Of the share of a slice, so that half way is half way despite float64's noise."""


def regular_stack(stack: SliceStack) -> SliceStack:
    """The even, straight stack around another one (law 1); the same one if it is even and straight.

    Raises:
        SliceStackError: it has fewer than two slices, or a gap of more than ``MAX_GAP`` times the usual one.
    """
    if is_regular(stack):
        return stack
    positions = stack.positions_mm
    if len(positions) < 2:
        raise SliceStackError(f"wanted at least 2 slices; found {len(positions)}; copy the whole series")
    gaps_mm, usual_mm = np.diff(positions), usual_gap_mm(stack)
    k = int(gaps_mm.argmax())
    if gaps_mm[k] > MAX_GAP * usual_mm:
        raise SliceStackError(
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
    """Interpolate an image from a stack onto another one with parallel, equal pixels (law 2).

    Args:
        native: HU [k, r, c] on ``stack``.
        stack: where they lie.
        onto: where they are wanted, as by :func:`regular_stack`.

    Returns:
        HU [k, r, c] on ``onto``, of the same type; int16 is rounded.

    Raises:
        GeometryMismatchError: the array is not on the stack, or the stacks are not parallel.
    """
    check_on_stack(native, stack)
    _check_parallel(stack, onto)
    carried = np.empty(onto.shape, native.dtype)
    for k, sources in enumerate(_around(stack, onto.positions_mm)):
        shifts = _shifts(stack, onto.first_xyz[k])
        parts = [share * _shifted(native[source], shifts[source], onto) for source, share in sources]
        values = sum(parts[1:], start=parts[0]) if parts else np.full(carried.shape[1:], AIR_HU)
        carried[k] = np.rint(values) if native.dtype.kind in "iu" else values
    return carried


def carry_mask(mask: NDArray[np.bool_], stack: SliceStack, onto: SliceStack) -> NDArray[np.bool_]:
    """Carry a mask from a stack onto another one with parallel, equal pixels, either way (law 2).

    Args:
        mask: bool [k, r, c] on ``stack``.
        stack: where it lies.
        onto: where it is wanted.

    Returns:
        Mask bool [k, r, c] on ``onto``.

    Raises:
        GeometryMismatchError: as for :func:`carry_image`.
    """
    check_on_stack(mask, stack)
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
