"""Resampling onto another spacing: separable, linear, and anti-aliased where voxels get larger.

Each axis is a sparse matrix of triangle weights whose half-width is one voxel of the coarser of the two grids:
plain linear interpolation upwards, an area-true average downwards (as Pillow resizes pictures). Both grids cover the
same field of view, edge to edge, so a spacing is met to within half a voxel over the whole extent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gossamer.units import ZYX, ShapeZYX


def resampled_shape(shape: ShapeZYX, spacing_mm: ZYX, target_mm: ZYX) -> ShapeZYX:
    """Voxels along z, y, x after resampling from ``spacing_mm`` to ``target_mm``; at least one."""
    z, y, x = (max(1, round(n * s / t)) for n, s, t in zip(shape, spacing_mm, target_mm, strict=True))
    return z, y, x


def resample_image(voxels: NDArray[Any], shape: ShapeZYX) -> NDArray[np.float32]:
    """Resample intensities onto ``shape`` voxels over the same field of view.

    Args:
        voxels: [z, y, x].
        shape: voxels wanted along z, y, x.

    Returns:
        float32 [z, y, x] of that shape.
    """
    result = np.asarray(voxels, dtype=np.float32)
    for axis in range(3):
        if result.shape[axis] != shape[axis]:
            result = _along(result, axis, axis_weights(result.shape[axis], shape[axis]))
    return result


def resample_mask(mask: NDArray[np.bool_], shape: ShapeZYX) -> NDArray[np.bool_]:
    """Resample a mask: a voxel belongs to it when at least half of what it covers does.

    Better than the nearest voxel where voxels get larger: volumes are kept on average, and surfaces lie where a
    reader would draw them instead of on the old slices.

    Args:
        mask: bool [z, y, x].
        shape: voxels wanted along z, y, x.
    """
    if mask.shape == shape:
        return mask
    box = bounding_box(mask)
    result = np.asarray(mask[box], dtype=np.float32)
    for axis in range(3):
        weights = axis_weights(mask.shape[axis], shape[axis])
        result = _along(result, axis, weights[:, box[axis]])
    return result >= 0.5


def axis_weights(size_in: int, size_out: int) -> sparse.csr_array:
    """Weights float32 [size_out, size_in] of the old voxels in each new one; every row sums to 1."""
    ratio = size_in / size_out
    centre = (np.arange(size_out) + 0.5) * ratio - 0.5
    half_width = max(1.0, ratio)
    weights = np.maximum(0.0, 1.0 - np.abs(centre[:, None] - np.arange(size_in)) / half_width)
    return sparse.csr_array((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """The smallest box [z, y, x] around a mask; the first voxel alone if it is empty."""
    z, y, x = (_span(np.asarray(mask.any(axis=others))) for others in ((1, 2), (0, 2), (0, 1)))
    return z, y, x


def _span(occupied: NDArray[np.bool_]) -> slice:
    places = np.flatnonzero(occupied)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 1)


def _along(voxels: NDArray[np.float32], axis: int, weights: sparse.csr_array) -> NDArray[np.float32]:
    moved = np.moveaxis(voxels, axis, 0)
    flat = weights @ moved.reshape(moved.shape[0], -1)
    return np.ascontiguousarray(np.moveaxis(flat.reshape(-1, *moved.shape[1:]), 0, axis))
