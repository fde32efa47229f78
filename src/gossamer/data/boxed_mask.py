"""A mask without the empty space around it, so that all structures of a case fit into memory beside its CT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gossamer.units import ShapeZYX

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class BoxedMask:
    """A mask's voxels in the smallest box that holds them.

    Attributes:
        low: the box's first voxel, (z, y, x).
        voxels: bool [z, y, x] in the box; without a voxel where the mask was empty.
    """

    low: tuple[int, int, int]
    voxels: Mask

    @classmethod
    def of(cls, mask: Mask) -> BoxedMask:
        """Of a whole mask, bool [z, y, x], which it does not keep."""
        sides = [np.flatnonzero(mask.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
        if not sides[0].size:
            return cls((0, 0, 0), np.zeros((0, 0, 0), np.bool_))
        z, y, x = (slice(int(side[0]), int(side[-1]) + 1) for side in sides)
        return cls((z.start, y.start, x.start), mask[z, y, x].copy())

    @cached_property
    def count(self) -> int:
        """How many voxels the mask has."""
        return int(np.count_nonzero(self.voxels))

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Where in the whole image the voxels lie."""
        z, y, x = (slice(at, at + n) for at, n in zip(self.low, self.voxels.shape, strict=True))
        return z, y, x

    def whole(self, shape: ShapeZYX) -> Mask:
        """The mask on its image's grid."""
        mask = np.zeros(shape, np.bool_)
        mask[self.box] = self.voxels
        return mask

    def plane(self, axis: int, index: int, shape: ShapeZYX) -> Mask:
        """One plane of the mask, bool [two other axes], on its image's grid."""
        rest = [other for other in range(3) if other != axis]
        mask = np.zeros([shape[other] for other in rest], np.bool_)
        if 0 <= index - self.low[axis] < self.voxels.shape[axis]:
            mask[tuple(self.box[other] for other in rest)] = self.voxels.take(index - self.low[axis], axis)
        return mask

    def shared(self, other: BoxedMask) -> int:
        """How many voxels are in both masks of one grid."""
        cut = [
            slice(max(one.start, two.start), min(one.stop, two.stop))
            for one, two in zip(self.box, other.box, strict=True)
        ]
        if any(side.stop <= side.start for side in cut):
            return 0
        parts = [
            mask.voxels[tuple(slice(side.start - at, side.stop - at) for side, at in zip(cut, mask.low, strict=True))]
            for mask in (self, other)
        ]
        return int(np.count_nonzero(parts[0] & parts[1]))


class WholeMasks(Mapping[str, Mask]):
    """Boxed masks under their names, each made whole when it is asked for, and not kept."""

    def __init__(self, masks: Mapping[str, BoxedMask], shape: ShapeZYX) -> None:
        self._masks = masks
        self._shape = shape

    def __getitem__(self, name: str) -> Mask:
        return self._masks[name].whole(self._shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)
