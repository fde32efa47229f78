"""Patches: what is cut from prepared cases and augmented. No PyTorch here, so that worker processes stay small.

Law: patch i is a pure function of (cases, plan, recipe, seed, site, i): the same bits in whatever process it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gossamer.data.labels import LabelSpace
from gossamer.data.network_input import network_input
from gossamer.data.plan import Plan
from gossamer.data.prepared import PreparedCase
from gossamer.errors import PlanError
from gossamer.learn.augment import change_intensity, draw_warp, mirror
from gossamer.learn.recipe import Recipe
from gossamer.learn.sampling import PatchSampler
from gossamer.learn.seeds import generator
from gossamer.units import AIR_HU, ShapeZYX


@dataclass(frozen=True)
class Patch:
    """One sample.

    Attributes:
        image: float32 [channels, z, y, x].
        labels: uint [z, y, x], bit c set where structure c is.
        annotated: bool [C]: for which structures the labels can be believed.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.unsignedinteger[Any]]
    annotated: NDArray[np.bool_]


class PatchMaker:
    """Makes a site's training patches by number."""

    def __init__(self, cases: Sequence[PreparedCase], plan: Plan, recipe: Recipe, seed: int, site: str) -> None:
        """Prepare to cut patches from ``cases`` (training cases only).

        Raises:
            NoTrainingCaseError: there is no case.
            PlanError: the recipe mirrors, and a left or right structure has no partner.
        """
        self._cases = tuple(cases)
        self._plan = plan
        self._recipe = recipe
        self._seed = seed
        self._site = site
        self._pairs = LabelSpace(plan.structures).pairs
        if recipe.mirror_share:
            _require_partners(plan.structures, self._pairs)
        self.sampler = PatchSampler(self._cases, recipe, seed, site)

    def patch(self, index: int) -> Patch:
        """Patch number ``index``."""
        place = self.sampler.place(index)
        case = self._cases[place.case]
        draw = generator(self._seed, self._site, "augmentation", index)
        warp = draw_warp(self._recipe, self._plan.spacing_mm, draw)
        start = first_voxel(place.centre, self._plan.patch_size, case.shape)
        hu, labels = _cut(case, start, self._plan.patch_size, warp)
        image = network_input(hu, self._plan, case.centre_yx, start)
        change_intensity(image[0], self._recipe, draw)
        annotated = np.array(case.annotated)
        if self._recipe.mirror_share and draw.random() < self._recipe.mirror_share:
            image, labels, annotated = mirror(image, labels, annotated, self._pairs)
            if self._plan.position_channels:
                image[2] *= -1  # what lay to the left of the body's centre lies to the right of it
        return Patch(image, labels, annotated)


def first_voxel(centre: ShapeZYX, size: ShapeZYX, shape: ShapeZYX) -> ShapeZYX:
    """Where a patch of ``size`` near ``centre`` begins: inside an image of ``shape``, or around one that is smaller."""
    z, y, x = (
        min(max(c - s // 2, 0), n - s) if n >= s else (n - s) // 2 for c, s, n in zip(centre, size, shape, strict=True)
    )
    return z, y, x


def _require_partners(structures: Sequence[str], pairs: Sequence[tuple[int, int]]) -> None:
    paired = {c for pair in pairs for c in pair}
    alone = [name for c, name in enumerate(structures) if name.endswith(("_L", "_R")) and c not in paired]
    if alone:
        raise PlanError(
            f"wanted both sides of every paired structure, since the recipe mirrors; found {', '.join(alone)} alone; "
            "set mirror_share to 0 or add the other side to the plan"
        )


def _cut(
    case: PreparedCase, start: ShapeZYX, size: ShapeZYX, warp: NDArray[np.float64] | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """HU and labels [z, y, x] of a patch; air and nothing beyond the image's edge."""
    hu, labels = case.image_hu, case.labels
    if warp is None:
        return _window(hu, start, size, AIR_HU), _window(labels, start, size, 0)
    half = (np.array(size) - 1) / 2
    corners = np.array(list(product(*((-h, h) for h in half)))) @ warp.T
    reach = np.ceil(np.abs(corners).max(axis=0)).astype(int) + 1
    middle = np.array(start) + half
    first = np.floor(middle).astype(int) - reach
    wide = _shape3(2 * reach + 2)
    offset = middle - first - warp @ half
    source = _window(hu, _shape3(first), wide, AIR_HU).astype(np.float32)
    marks = _window(labels, _shape3(first), wide, 0)
    return (
        ndimage.affine_transform(source, warp, offset, output_shape=size, order=1, mode="nearest"),
        ndimage.affine_transform(marks, warp, offset, output_shape=size, order=0, mode="nearest"),
    )


def _window(voxels: NDArray[Any], start: ShapeZYX, size: ShapeZYX, fill: float) -> NDArray[Any]:
    """A copy of ``size`` voxels from ``start``; ``fill`` where that lies outside."""
    window = np.full(size, fill, dtype=voxels.dtype)
    inside = [slice(max(0, b), max(0, min(n, b + s))) for b, s, n in zip(start, size, voxels.shape, strict=True)]
    there = [slice(p.start - b, max(p.start, p.stop) - b) for p, b in zip(inside, start, strict=True)]
    window[tuple(there)] = voxels[tuple(inside)]
    return window


def _shape3(values: Any) -> ShapeZYX:
    z, y, x = (int(n) for n in values)
    return z, y, x
