"""A CT and a label map: what tables, nnU-Net's and the decathlon's folders have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.data.image import Image, check_same_grid, read_label_map, read_nifti
from gossamer.data.importers.source import CaseSource, LoadedCase
from gossamer.data.importers.whole_set import complete_masks, present_masks
from gossamer.errors import DatasetError

Labels = tuple[tuple[str, tuple[int, ...]], ...]
"""Standard names, and the values of each; structures may share values (nnU-Net's regions)."""


@dataclass(frozen=True)
class LabelMapCase(CaseSource):
    """A case of an image and a label map.

    Attributes:
        image: file of the CT.
        labelmap: file of the label map.
        labels: of the structures to take.
        known_values: all values that may occur besides 0.
    """

    image: Path
    labelmap: Path
    labels: Labels
    known_values: tuple[int, ...]

    @property
    def files(self) -> Sequence[Path]:
        """Image and label map."""
        return self.image, self.labelmap

    @property
    def settings(self) -> Any:
        """How the label map is read."""
        return self.labels, self.known_values

    def read(self) -> tuple[Image, dict[str, NDArray[np.bool_]], list[str]]:
        """The image, a mask for each structure of ``labels``, and notes.

        Raises:
            UnreadableImageError: a file cannot be read.
            GeometryMismatchError: they lie on different grids.
            DatasetError: the label map has values that nobody named.
        """
        image = read_nifti(self.image, f"case {self.id}, image")
        what = f"case {self.id}, label map"
        labels, frame = read_label_map(self.labelmap, what)
        snapped = check_same_grid(image.frame, frame, what)
        if strange := set(np.unique(labels).tolist()) - {0, *self.known_values}:
            raise DatasetError(
                f"{what}: wanted the values that are named; found {', '.join(map(str, sorted(strange)[:9]))} too; "
                "name them, or export the label map again"
            )
        return image, {name: np.isin(labels, values) for name, values in self.labels}, [snapped] if snapped else []


@dataclass(frozen=True)
class WholeSetCase(LabelMapCase):
    """A case of a data set whose labels hold for every case; see ``whole_set``.

    Attributes:
        score_cut: score structures that reach the first or last slice, too.
    """

    score_cut: bool

    @property
    def settings(self) -> Any:
        """How the label map is read."""
        return self.labels, self.known_values, self.score_cut

    def load(self) -> LoadedCase:
        """Read both files; see ``CaseSource.load``."""
        image, masks, notes = self.read()
        present = present_masks(masks)
        return LoadedCase(self.sites[0], image, present, complete_masks(present, score_cut=self.score_cut), notes)
