"""Which planes of a case to show, so that each structure is seen in at least three, in as few as that takes.

Of each structure one plane in the lower, the middle and the upper third of its slices: there a wrong name, a shift or
a hole in the contours shows. One coronal and one sagittal plane give the overview. What lies in fewer than three axial
slices gets planes of its own in the other directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossamer.data.boxed_mask import BoxedMask
from gossamer.units import ShapeZYX

AXIAL, CORONAL, SAGITTAL = 0, 1, 2

SEEN_IN = 3
"""Planes that show a structure."""

GOOD_PART = 0.5
"""Of a structure's largest area in its third; a plane that shows less of it does not count for it."""


@dataclass(frozen=True, order=True)
class Plane:
    """A plane of voxels.

    Attributes:
        axis: that it lies across: 0 axial, 1 coronal, 2 sagittal.
        index: its place along that axis.
    """

    axis: int
    index: int


def choose_planes(masks: Mapping[str, BoxedMask], shape: ShapeZYX) -> tuple[Plane, ...]:
    """The planes to show of a case.

    Args:
        masks: of its structures, by name.
        shape: voxels of its image, along z, y, x.

    Returns:
        The overview, coronal then sagittal, further planes of small structures, and the axial ones from the feet up.
    """
    masks = {name: mask for name, mask in masks.items() if mask.count}
    if not masks:
        return (Plane(CORONAL, shape[1] // 2), Plane(SAGITTAL, shape[2] // 2), Plane(AXIAL, shape[0] // 2))
    areas = [{name: _areas(mask, axis, shape[axis]) for name, mask in masks.items()} for axis in range(3)]
    axial = _axial(areas[AXIAL])
    others = {Plane(axis, _fullest(areas[axis])) for axis in (CORONAL, SAGITTAL)}
    for name in masks:
        for axis in (CORONAL, SAGITTAL):
            seen = sum(areas[plane.axis][name][plane.index] > 0 for plane in {*axial, *others})
            if seen < SEEN_IN:
                others.add(Plane(axis, int(np.argmax(areas[axis][name]))))
    return (*sorted(others), *axial)


def _areas(mask: BoxedMask, axis: int, planes: int) -> NDArray[np.int_]:
    """Voxels of a mask in each plane along an axis."""
    counts = np.zeros(planes, np.int_)
    counts[mask.box[axis]] = np.count_nonzero(mask.voxels, axis=tuple(other for other in range(3) if other != axis))
    return counts


def _axial(areas: Mapping[str, NDArray[np.int_]]) -> tuple[Plane, ...]:
    """Planes that show a good part of each third of each structure; each the one that serves most of what is left."""
    serves = []  # of each third of each structure: which planes show it
    for area in areas.values():
        for third in np.array_split(np.flatnonzero(area), SEEN_IN):
            if third.size:
                good = np.zeros(len(area), np.bool_)
                good[third] = area[third] >= GOOD_PART * area[third].max()
                serves.append(good)
    share = np.mean([area / area.max() for area in areas.values()], axis=0)
    left, planes = np.array(serves), []
    while len(left):
        z = int(np.argmax(left.sum(axis=0) + share / 2))  # below one: it decides between equals
        planes.append(Plane(AXIAL, z))
        left = left[~left[:, z]]
    return tuple(sorted(planes))


def _fullest(areas: Mapping[str, NDArray[np.int_]]) -> int:
    """The plane that most structures lie in, and among such the one with the largest parts of them."""
    shares = np.array([area / area.max() for area in areas.values()])
    return int(np.argmax((shares > 0).sum(axis=0) + shares.mean(axis=0) / 2))
