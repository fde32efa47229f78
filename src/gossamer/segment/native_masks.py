"""Predicted masks on the slices of their series, one at a time: what writers of DICOM take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from gossamer.dicom.series.canonical import native_mask
from gossamer.dicom.series.stack import SliceStack
from gossamer.segment.masks import PackedMasks


class NativeMasks(Mapping[str, NDArray[np.bool_]]):
    """Masks by the name in the file; one is carried to bool [k, r, c] each time it is asked for."""

    def __init__(
        self, masks: PackedMasks, names: Mapping[str, str], stack: SliceStack, regular: SliceStack | None = None
    ) -> None:
        """Masks of a series.

        Args:
            masks: on the grid of the image that ``canonical_image`` made of the series.
            names: the masks' own names by the names in the file, in the order of the file.
            stack: where the slices lie.
            regular: what ``canonical_image`` returned; None if the stack is even and straight.
        """
        self._masks, self._names = masks, dict(names)
        self._stack, self._regular = stack, regular or stack

    def __getitem__(self, name: str) -> NDArray[np.bool_]:
        return native_mask(self._masks[self._names[name]], self._stack, self._regular)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
