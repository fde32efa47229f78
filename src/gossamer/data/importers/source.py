"""What every importer gives: for each case where it comes from and how to load it. Loading happens in a worker."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.data.description import Split
from gossamer.data.image import Image
from gossamer.errors import EmptyMaskError, UnreadableImageError

IMPORT_FORMAT = 1
"""Changes when an importer makes something else of the same files."""


class CaseLeftOutError(Exception):
    """A case that the data set's own rules do not use; not a bad one."""


@dataclass(frozen=True)
class LoadedCase:
    """A case as it will be written.

    Attributes:
        site: the hospital.
        image: the CT.
        masks: by standard name bool [z, y, x]: the structures that were drawn.
        complete: those of them to be scored.
        notes: what the importer did or saw.
    """

    site: str
    image: Image
    masks: Mapping[str, NDArray[np.bool_]]
    complete: Sequence[str]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class CaseSource(ABC):
    """Where a case comes from; small, and sent to a worker.

    Attributes:
        id: the case's pseudonym.
        split: ``train``, ``val`` or ``test``.
        sites: the hospital; more than one if only loading tells which.
    """

    id: str
    split: Split
    sites: tuple[str, ...]

    @property
    @abstractmethod
    def files(self) -> Sequence[Path]:
        """All files the case is made from."""

    @property
    @abstractmethod
    def settings(self) -> Any:
        """All else it is made from, as plain values."""

    @abstractmethod
    def load(self) -> LoadedCase:
        """Read the case.

        Raises:
            DataError: the case is bad.
            CaseLeftOutError: the case is not to be used.
        """

    def made_from(self) -> str:
        """A key that changes when the case's files, by size and time, or the settings change.

        Raises:
            UnreadableImageError: a file is missing.
        """
        try:
            stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self.files]
        except OSError as error:
            raise UnreadableImageError(
                f"case {self.id}: wanted all its files; found one missing ({error.strerror}); "
                "put it back, or take the case out of the index"
            ) from error
        facts = (IMPORT_FORMAT, self.id, self.split, self.sites, self.settings, stats)
        return hashlib.sha256(repr(facts).encode()).hexdigest()


def inside_image(
    masks: Mapping[str, NDArray[np.bool_]], complete: Collection[str], case_id: str
) -> tuple[dict[str, NDArray[np.bool_]], list[str]]:
    """Leave out structures that were drawn, but lie outside the image altogether: nothing is known of them inside.

    Args:
        masks: of what was drawn, by standard name; one that is complete but empty is left for the writer to refuse.
        complete: structures said to lie inside the image.
        case_id: for messages.

    Returns:
        The other masks, and notes on those left out.

    Raises:
        EmptyMaskError: no structure of the case has a voxel.
    """
    if masks and not any(mask.any() for mask in masks.values()):
        raise EmptyMaskError(
            f"case {case_id}: wanted the masks of {', '.join(masks)}, said to be drawn; found no voxel of any; "
            "look for wrong label values, or for the label map of another series"
        )
    outside = [name for name, mask in masks.items() if name not in complete and not mask.any()]
    kept = {name: mask for name, mask in masks.items() if name not in outside}
    return kept, [f"{name}: drawn outside the image only; taken as not drawn" for name in outside]
