"""Masks of many structures on one grid, one bit a voxel and structure: overlaps survive, memory stays small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gossamer.units import ShapeZYX


class PackedMasks(Mapping[str, NDArray[np.bool_]]):
    """Masks by structure; one is unpacked to bool [z, y, x] each time it is asked for.

    Thirty structures on 512×512×300 voxels take 0.3 GB here and 2.4 GB as arrays of bool.
    """

    def __init__(self, structures: Sequence[str], shape: ShapeZYX) -> None:
        """Empty masks.

        Args:
            structures: names, in this order.
            shape: voxels along z, y, x.
        """
        self.shape = shape
        self._row = {name: row for row, name in enumerate(structures)}
        self._bits = np.zeros((len(self._row), *shape[:2], -(-shape[2] // 8)), dtype=np.uint8)

    def __getitem__(self, structure: str) -> NDArray[np.bool_]:
        return np.unpackbits(self._bits[self._row[structure]], axis=-1, count=self.shape[2]).view(np.bool_)

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def set_plane(self, z: int, rows: NDArray[np.intp], planes: NDArray[np.bool_]) -> None:
        """Fill plane ``z`` of some structures.

        Args:
            z: which plane.
            rows: which structures, by their place in the order: [n].
            planes: bool [n, y, x].
        """
        self._bits[rows, z] = np.packbits(planes, axis=-1)

    def reduce(self, structure: str, rule: Callable[[NDArray[np.bool_]], NDArray[np.bool_]]) -> None:
        """Replace a mask by what a rule leaves of it.

        Args:
            structure: whose mask.
            rule: from bool [z, y, x] to a part of it, of the same shape; it is given the box around the mask, which may
                hold empty columns at its sides, and is not called for an empty mask.
        """
        bits = self._bits[self._row[structure]]
        filled = [np.flatnonzero(bits.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        if not filled[0].size:
            return
        box = bits[tuple(slice(places[0], places[-1] + 1) for places in filled)]
        mask = np.unpackbits(box, axis=-1).view(np.bool_)
        left = rule(mask)
        if left is not mask:
            box[...] = np.packbits(left, axis=-1)

    def voxels(self) -> dict[str, int]:
        """How many voxels each mask has."""
        return {name: int(np.bitwise_count(self._bits[row]).sum()) for name, row in self._row.items()}

    def empty(self) -> tuple[str, ...]:
        """Structures whose mask has no voxel."""
        return tuple(name for name, row in self._row.items() if not self._bits[row].any())

    def label_map(self) -> tuple[NDArray[np.uint8], int]:
        """One label a voxel: the structure's place in the order, from 1; where masks overlap the smallest one wins.

        Returns:
            uint8 [z, y, x], and the number of voxels in more than one mask, for which it had to be decided.

        Raises:
            ValueError: there are more than 255 structures.
        """
        if len(self) > np.iinfo(np.uint8).max:
            raise ValueError(f"wanted at most 255 structures in a label map; found {len(self)}")
        labels = np.zeros(self.shape, dtype=np.uint8)
        contested = np.zeros(self.shape, dtype=np.bool_)
        voxels = self.voxels()
        for name in sorted(self, key=lambda name: -voxels[name]):
            mask = self[name]
            contested |= mask & (labels > 0)
            labels[mask] = self._row[name] + 1
        return labels, int(np.count_nonzero(contested))
