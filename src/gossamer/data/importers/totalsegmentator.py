"""TotalSegmentator's layout: a folder per case with ``ct.nii.gz`` and ``segmentations/<structure>.nii.gz``.

Where there is its ``meta.csv`` with a column ``split``, that split is kept. Source: J. Wasserthal et al.,
"TotalSegmentator: Robust Segmentation of 104 Anatomic Structures in CT Images", Radiology: AI 5, e230024, 2023.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossamer.data.description import SPLITS, Split
from gossamer.data.image import check_same_grid, read_mask, read_nifti
from gossamer.data.importers.naming import standard_names
from gossamer.data.importers.source import CaseSource, LoadedCase
from gossamer.data.importers.whole_set import VAL_FRACTION, complete_masks, present_masks, train_val_split
from gossamer.errors import DatasetError
from gossamer.words import reason

IMAGE = "ct.nii.gz"

MASK_ENDING = ".nii.gz"


@dataclass(frozen=True)
class TotalSegmentatorCase(CaseSource):
    """A case's folder.

    Attributes:
        folder: holds the image and the masks.
        masks: file name and standard name of the structures to take.
        score_cut: score structures that reach the first or last slice, too.
    """

    folder: Path
    masks: tuple[tuple[str, str], ...]
    score_cut: bool

    @property
    def files(self) -> Sequence[Path]:
        """The image and the masks."""
        return self.folder / IMAGE, *(self.folder / "segmentations" / file for file, _ in self.masks)

    @property
    def settings(self) -> Any:
        """Which masks are taken, and how."""
        return self.masks, self.score_cut

    def load(self) -> LoadedCase:
        """Read the files; see ``CaseSource.load``."""
        image = read_nifti(self.folder / IMAGE, f"case {self.id}, image")
        masks, notes = {}, []
        for file, name in self.masks:
            what = f"case {self.id}, {name}"
            mask, frame = read_mask(self.folder / "segmentations" / file, what)
            if note := check_same_grid(image.frame, frame, what):
                notes.append(note)
            masks[name] = mask
        present = present_masks(masks)
        return LoadedCase(self.sites[0], image, present, complete_masks(present, score_cut=self.score_cut), notes)


def totalsegmentator_cases(
    folder: Path,
    site: str,
    names: Mapping[str, str],
    *,
    skip_unknown: bool = False,
    val_fraction: float = VAL_FRACTION,
    seed: int = 0,
    score_cut: bool = False,
) -> list[TotalSegmentatorCase]:
    """The cases of a folder of folders; arguments and errors as for ``nnunet_cases``."""
    places = sorted(path.parent for path in folder.glob(f"[!.]*/{IMAGE}"))
    if not places:
        raise DatasetError(
            f"TotalSegmentator: wanted folders with {IMAGE} and segmentations; found none; give the folder of the cases"
        )
    drawn = {place.name: _mask_files(place) for place in places}
    all_names = sorted({name for files in drawn.values() for name in files})
    standard = standard_names(all_names, names, skip_unknown=skip_unknown)
    splits = _published_splits(folder / "meta.csv") or train_val_split(list(drawn), val_fraction, seed)
    return [
        TotalSegmentatorCase(
            id=place.name,
            split=_split_of(place.name, splits),
            sites=(site,),
            folder=place,
            masks=tuple((file, standard[name]) for name, file in drawn[place.name].items() if name in standard),
            score_cut=score_cut,
        )
        for place in places
    ]


def _mask_files(place: Path) -> dict[str, str]:
    """The files of a case's masks by the names of their structures."""
    files = sorted(path.name for path in place.glob(f"segmentations/[!.]*{MASK_ENDING}"))
    return {file.removesuffix(MASK_ENDING): file for file in files}


def _split_of(case_id: str, splits: Mapping[str, Split]) -> Split:
    if case_id not in splits:
        raise DatasetError(f"meta.csv: wanted a split for every case; found none for case {case_id}; add it")
    return splits[case_id]


def _published_splits(meta: Path) -> dict[str, Split]:
    """Splits by case of TotalSegmentator's ``meta.csv``; empty if there is none."""
    if not meta.exists():
        return {}
    try:
        with meta.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"meta.csv: wanted a table in UTF-8; found one that cannot be read ({reason(error)})"
        ) from error
    known: dict[str | None, Split] = {split: split for split in SPLITS}
    return {row["image_id"]: known[row["split"]] for row in rows if "image_id" in row and row.get("split") in known}
