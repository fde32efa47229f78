"""A dataset: the cases of one site in a folder, and the description that makes them one.

::

    <folder>/dataset.json     description; written last, so a folder that has one is whole
            /<case id>/...    see ``case_folder``
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.atomic import write_atomically
from gossamer.data.case_folder import IMAGE_FILE, changed_files, mask_file, read_finished_case, write_case
from gossamer.data.description import (
    DESCRIPTION_FILE,
    MAX_SET_ASIDE,
    Case,
    Description,
    SetAside,
    Split,
    require_few_set_aside,
    require_safe_id,
    require_training_case,
    require_unique_ids,
)
from gossamer.data.image import Image, read_mask_nifti, read_nifti
from gossamer.data.labels import require_standard_name
from gossamer.data.tg263 import STRUCTURES
from gossamer.documents import parse_json
from gossamer.errors import (
    DatasetError,
    EmptyMaskError,
    GeometryMismatchError,
)

__all__ = ["Case", "Dataset", "DatasetWriter", "SetAside"]


@dataclass(frozen=True)
class Dataset:
    """The cases of one site. Opening reads the description only.

    Attributes:
        folder: where it lies.
        description: what ``dataset.json`` says.
    """

    folder: Path
    description: Description

    @classmethod
    def open(cls, folder: Path) -> Dataset:
        """Open a dataset's folder.

        Raises:
            DatasetError: it is none, or its import has not ended.
            UnknownStructureError: a case has a structure that has no standard name.
            UnknownKeyError: the description has a key that means nothing here.
        """
        what = f"dataset {folder.name}"
        try:
            text = (folder / DESCRIPTION_FILE).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(
                f"{what}: wanted a folder with {DESCRIPTION_FILE}; found none that can be read; "
                "give the folder of one site, or run the import that makes it (again, if it was interrupted)"
            ) from error
        description = parse_json(text, Description, what, DatasetError)
        for case in description.cases:
            require_safe_id(case.id, what)
        require_unique_ids([case.id for case in description.cases], what)
        for name in dict.fromkeys(name for case in description.cases for name in case.annotated):
            require_standard_name(name, what)
        return cls(folder, description)

    @property
    def site(self) -> str:
        """The hospital."""
        return self.description.site

    @property
    def public(self) -> bool:
        """Whether the images may be shown in reports."""
        return self.description.public

    @property
    def cases(self) -> tuple[Case, ...]:
        """All usable cases."""
        return self.description.cases

    @property
    def set_aside(self) -> tuple[SetAside, ...]:
        """Cases that could not be used."""
        return self.description.set_aside

    @cached_property
    def structures(self) -> tuple[str, ...]:
        """Structures drawn in at least one case, in the order of the table of names."""
        drawn = {name for case in self.cases for name in case.annotated}
        return tuple(name for name in STRUCTURES if name in drawn)

    @cached_property
    def sha256(self) -> str:
        """Hash of the description, which holds the hash of every file."""
        return hashlib.sha256(self.description.model_dump_json().encode()).hexdigest()

    def read_image(self, case: Case) -> Image:
        """The CT of a case.

        Raises:
            UnreadableImageError: it cannot be read.
        """
        return read_nifti(self.folder / case.id / IMAGE_FILE, f"case {case.id}, image")

    def read_masks(self, case: Case) -> dict[str, NDArray[np.bool_]]:
        """The masks of a case: by structure bool [z, y, x], for all that was drawn.

        Raises:
            UnreadableImageError: a mask cannot be read.
            GeometryMismatchError: a mask has another shape than the case.
        """
        masks = {}
        for name in case.annotated:
            what = f"case {case.id}, {name}"
            masks[name] = read_mask_nifti(self.folder / case.id / mask_file(name), what=what)
            if masks[name].shape != case.shape:
                raise GeometryMismatchError(
                    f"{what}: wanted {case.shape} voxels (z, y, x); found {masks[name].shape}; import the case again"
                )
        return masks

    def verify(self) -> None:
        """Compare every file with its hash.

        Raises:
            DatasetError: a file is missing or not what was imported.
        """
        wrong = [
            f"case {case.id}: {file}" for case in self.cases for file in changed_files(self.folder / case.id, case)
        ]
        if wrong:
            raise DatasetError(
                f"dataset of site {self.site}: wanted the files that were imported; found {len(wrong)} changed or "
                f"missing: {', '.join(wrong[:5])}{' ...' if len(wrong) > 5 else ''}; import again: that repairs them"
            )


class DatasetWriter:
    """Writes a dataset case by case. Cases that a former, interrupted run has finished need not be written again.

    Args:
        folder: of the dataset; made with the first case.
        site: the hospital.
        public: the images may be shown in reports.

    Raises:
        DatasetError: the folder holds the dataset of another site, or the site's name is not safe.
    """

    def __init__(self, folder: Path, site: str, *, public: bool = False) -> None:
        require_safe_id(site, "site")
        self.folder = folder
        self.site = site
        self._public = public
        self._cases: list[Case] = []
        self._set_aside: list[SetAside] = []
        if (folder / DESCRIPTION_FILE).exists() and (there := Dataset.open(folder).site) != site:
            raise DatasetError(
                f"site {site}: wanted an empty folder or its own; found the dataset of site {there}, in {folder.name}; "
                "give another --out"
            )

    def finished(self, case_id: str, made_from: str) -> Case | None:
        """The case as a former run has written it from just this, or None."""
        return read_finished_case(self.folder / case_id, made_from)

    def add(
        self,
        case_id: str,
        split: Split,
        image: Image,
        masks: Mapping[str, NDArray[Any]],
        *,
        annotated: Collection[str] | None = None,
        complete: Collection[str] | None = None,
        notes: Collection[str] = (),
        made_from: str = "",
    ) -> Case:
        """Write a case and take it in.

        Args:
            case_id: pseudonym; becomes the folder's name.
            split: ``train``, ``val`` or ``test``.
            image: the CT.
            masks: by standard name, bool [z, y, x].
            annotated: the structures that were drawn; by default all that have a mask.
            complete: those of them to be scored; by default all.
            notes: what the import did or saw.
            made_from: key of all the case was made from.

        Raises:
            EmptyMaskError: a structure is annotated, but has no voxel.
            DataError: the case contradicts itself in another way; see ``case_folder.write_case``.
            StorageError: it cannot be written.
        """
        require_safe_id(case_id)
        drawn = tuple(masks) if annotated is None else tuple(annotated)
        if missing := [name for name in drawn if name not in masks]:
            raise EmptyMaskError(
                f"case {case_id}: wanted the masks of {', '.join(missing)}, said to be drawn; found none; "
                "take them off 'annotated'"
            )
        case = write_case(
            self.folder / case_id,
            split,
            image,
            {name: masks[name] for name in drawn},
            complete=drawn if complete is None else complete,
            notes=notes,
            made_from=made_from,
        )
        self.keep(case)
        return case

    def keep(self, case: Case) -> None:
        """Take in a case whose folder is there."""
        self._cases.append(case)

    def set_aside(self, case_id: str, reason: str) -> None:
        """Note a case that cannot be used."""
        self._set_aside.append(SetAside(case=case_id, reason=reason))

    def finish(self, max_set_aside: float = MAX_SET_ASIDE) -> Dataset:
        """Write the description.

        Args:
            max_set_aside: share of the cases that may be bad; above 0, a single one always may.

        Raises:
            TooManyBadCasesError: more are.
            NoTrainingCaseError: no case to train on, and it is not a set of test cases only.
            DatasetError: two cases have one id.
        """
        what = f"site {self.site}"
        require_unique_ids([case.id for case in self._cases] + [bad.case for bad in self._set_aside], what)
        remedy = "repair these cases, take them out, or allow more (--max-set-aside)"
        require_few_set_aside(self._set_aside, len(self._cases), max_set_aside, what, remedy)
        require_training_case(self._cases, what)
        description = Description(
            site=self.site, public=self._public, cases=tuple(self._cases), set_aside=tuple(self._set_aside)
        )
        write_atomically(self.folder / DESCRIPTION_FILE, description.model_dump_json(indent=1) + "\n")
        return Dataset(self.folder, description)
