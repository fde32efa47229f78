"""One case on disk, in TotalSegmentator's layout: an image and a mask for each structure that was drawn.

::

    <case id>/ct.nii.gz                      HU
             /segmentations/<structure>.nii.gz
             /case.json                      what is known of it; how an interrupted import finds its way

The folder is a ``whole_folder``: whatever is there is whole. Not drawn is not absent: a
structure without a mask is unknown in this patient, so a mask that is there holds at least one voxel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from gossamer.atomic import whole_folder, write_atomically
from gossamer.data.description import DESCRIPTION_FILE, Case, Split, require_safe_id
from gossamer.data.image import Image, write_nifti
from gossamer.data.labels import require_standard_name
from gossamer.documents import parse_json
from gossamer.errors import DatasetError, EmptyMaskError, GeometryMismatchError, GossamerError

IMAGE_FILE = "ct.nii.gz"


class CaseRecord(BaseModel):
    """``case.json``: a case, and a key of what it was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    made_from: str
    case: Case


def mask_file(structure: str) -> str:
    """Where a structure's mask lies in a case's folder."""
    return f"segmentations/{structure}.nii.gz"


def read_finished_case(place: Path, made_from: str) -> Case | None:
    """The case in folder ``place`` if it was made from just this and its files are still whole, else None."""
    try:
        record = parse_json((place / "case.json").read_text(encoding="utf-8"), CaseRecord, f"case {place.name}")
    except (OSError, UnicodeDecodeError, GossamerError):
        return None
    return record.case if record.made_from == made_from and not changed_files(place, record.case) else None


def changed_files(place: Path, case: Case) -> list[str]:
    """Files of a case that are missing in folder ``place``, or not what was written."""
    return [
        file
        for file, sha256 in case.sha256.items()
        if not (path := place / file).is_file() or file_sha256(path) != sha256
    ]


def write_case(
    place: Path,
    split: Split,
    image: Image,
    masks: Mapping[str, NDArray[Any]],
    *,
    complete: Collection[str],
    notes: Collection[str] = (),
    made_from: str = "",
) -> Case:
    """Write a case's folder, whole or not at all; until it is described anew, its dataset is unfinished.

    Args:
        place: the folder to be; its name is the case's id. A case that is there already is replaced.
        split: ``train``, ``val`` or ``test``.
        image: the CT.
        masks: by standard name, bool [z, y, x] on the image's grid: the structures that were drawn.
        complete: those of them that are to be scored.
        notes: what the import did or saw.
        made_from: key of all the case was made from; a repeated import keeps what has the same key.

    Raises:
        DatasetError: the id is not safe, or ``complete`` names what was not drawn.
        UnknownStructureError: a name is not a standard one.
        EmptyMaskError: a mask has no voxel.
        GeometryMismatchError: a mask has another shape than the image.
        DiskFullError: there is no room.
        StorageError: it cannot be written for another reason.
    """
    require_safe_id(place.name)
    _check(place.name, image, masks, complete)
    with whole_folder(place, f"wanted to write case {place.name}", replace=True) as folder:
        (folder / "segmentations").mkdir()
        write_nifti(folder / IMAGE_FILE, image.voxels, image.frame)
        for name, mask in masks.items():
            write_nifti(folder / mask_file(name), mask.astype(bool), image.frame)
        files = (IMAGE_FILE, *map(mask_file, masks))
        case = Case(
            id=place.name,
            split=split,
            annotated=tuple(masks),
            complete=tuple(name for name in masks if name in complete),
            shape=image.frame.shape,
            spacing_mm=image.frame.spacing_mm,
            notes=tuple(notes),
            sha256={file: file_sha256(folder / file) for file in files},
        )
        record = CaseRecord(made_from=made_from, case=case)
        write_atomically(folder / "case.json", record.model_dump_json(indent=1) + "\n")
        (place.parent / DESCRIPTION_FILE).unlink(missing_ok=True)
    return case


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(case_id: str, image: Image, masks: Mapping[str, NDArray[Any]], complete: Collection[str]) -> None:
    for name, mask in masks.items():
        require_standard_name(name, f"case {case_id}")
        if mask.shape != image.frame.shape:
            raise GeometryMismatchError(
                f"case {case_id}, {name}: wanted {image.frame.shape} voxels (z, y, x); found {mask.shape}; "
                "draw it on this image"
            )
        if not mask.any():
            raise EmptyMaskError(
                f"case {case_id}: wanted the mask of {name}, which is said to be drawn; found no voxel in it; "
                "take it off the case's annotated structures, or look for a wrong label value"
            )
    if strange := set(complete) - set(masks):
        raise DatasetError(
            f"case {case_id}: wanted complete structures to be annotated too; found {', '.join(sorted(strange))}; "
            "add them to 'annotated' or take them off 'complete'"
        )
