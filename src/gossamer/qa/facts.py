"""What is measured in one case, and kept beside its page: the cohort's statistics are made of these alone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from gossamer.data.boxed_mask import BoxedMask, WholeMasks
from gossamer.data.description import Case, Split
from gossamer.data.image import Image
from gossamer.data.laterality import DENSE_HU, wrong_sides
from gossamer.data.second_look import second_look
from gossamer.units import ZYX, ShapeZYX

THUMBNAIL = 16
"""Blocks along each side of the body's box."""

THUMBNAIL_HU = (-1000.0, 400.0)
"""Metal and its streaks, which are never twice the same, count no more than bone."""


class OrganFacts(BaseModel):
    """A structure in one case.

    Attributes:
        volume_ml: of its voxels.
        hu_median: over its voxels.
        first, last: the lowest and the highest slice it lies in, from 0 at the feet.
        complete: whether it is to be scored.
        reaches_first, reaches_last: whether it lies in the scan's lowest, or highest, slice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    volume_ml: float
    hu_median: float
    first: int
    last: int
    complete: bool
    reaches_first: bool
    reaches_last: bool


class CaseFacts(BaseModel):
    """A case.

    Attributes:
        organs: by standard name: what was drawn.
        notes: of the import.
        looks: what to look at, seen now.
        voxels_sha256: hash of the image's shape and HU: equal for equal CTs, whatever their headers say.
        thumbnail: the body in blocks, as base64 of int8; see :func:`thumbnail_of`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str
    split: Split
    shape: ShapeZYX
    spacing_mm: ZYX
    extent_mm: ZYX
    organs: dict[str, OrganFacts]
    notes: tuple[str, ...]
    looks: tuple[str, ...]
    voxels_sha256: str
    thumbnail: str


def measure(case: Case, image: Image, masks: Mapping[str, BoxedMask]) -> CaseFacts:
    """What is to be known of a case.

    Args:
        case: as its dataset describes it.
        image: its CT.
        masks: of its structures, by standard name.
    """
    whole = WholeMasks(masks, image.frame.shape)
    looks = [*wrong_sides(whole, image), *second_look(whole, image)]
    digest = hashlib.sha256(repr(image.voxels.shape).encode())
    for plane in image.voxels:
        digest.update(plane.tobytes())
    return CaseFacts(
        case=case.id,
        split=case.split,
        shape=image.frame.shape,
        spacing_mm=image.frame.spacing_mm,
        extent_mm=image.frame.extent_mm,
        organs={name: _organ(mask, image, complete=name in case.complete) for name, mask in masks.items()},
        notes=case.notes,
        looks=tuple(look for look in looks if look not in case.notes),
        voxels_sha256=digest.hexdigest(),
        thumbnail=base64.b64encode(thumbnail_of(image).tobytes()).decode(),
    )


def _organ(mask: BoxedMask, image: Image, *, complete: bool) -> OrganFacts:
    z, slices = mask.box[0], image.frame.shape[0]
    return OrganFacts(
        volume_ml=mask.count * float(np.prod(image.frame.spacing_mm)) / 1000,
        hu_median=float(np.median(image.voxels[mask.box][mask.voxels])),
        first=z.start,
        last=z.stop - 1,
        complete=complete,
        reaches_first=z.start == 0,
        reaches_last=z.stop == slices,
    )


def thumbnail_of(image: Image) -> NDArray[np.int8]:
    """The body in blocks, int8 [THUMBNAIL ** 3], less its mean: two of one examination correlate, whatever their grids.

    Args:
        image: a CT.
    """
    low, high = THUMBNAIL_HU
    sides = [np.zeros(n, np.bool_) for n in image.voxels.shape]
    for z, plane in enumerate(image.voxels):
        body = plane > DENSE_HU
        sides[0][z] = body.any()
        sides[1] |= body.any(axis=1)
        sides[2] |= body.any(axis=0)
    box = [np.flatnonzero(side) if side.any() else np.arange(len(side)) for side in sides]
    cut = image.voxels[tuple(slice(int(places[0]), int(places[-1]) + 1) for places in box)]
    planes = np.stack([_blocks(_blocks(np.clip(plane, low, high).astype(np.float64), 0), 1) for plane in cut])
    blocks = _blocks(planes, 0).ravel()
    away = blocks - blocks.mean()
    return np.asarray(np.rint(away / max(float(np.abs(away).max()), 1e-9) * 127), dtype=np.int8)


def _blocks(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Means over THUMBNAIL equal parts of an axis, whose edges may lie within voxels."""
    n = values.shape[axis]
    sums = np.concatenate([np.zeros_like(values.take([0], axis)), np.cumsum(values, axis)], axis)
    edges = np.linspace(0, n, THUMBNAIL + 1)
    below = np.minimum(edges.astype(int), n - 1)
    part = (edges - below).reshape([-1 if other == axis else 1 for other in range(values.ndim)])
    at_edges = sums.take(below, axis) * (1 - part) + sums.take(below + 1, axis) * part
    return np.asarray(np.diff(at_edges, axis=axis) / (n / THUMBNAIL))
