"""Reading a case as a run will: its image, its masks; kept is only what can be compared."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gossamer.atomic import storage_error
from gossamer.data.case_folder import changed_files, mask_file
from gossamer.data.dataset import Dataset
from gossamer.data.description import Case
from gossamer.data.frame import Frame
from gossamer.data.image import check_same_grid, read_mask
from gossamer.data.resample import bounding_box
from gossamer.errors import DataError, DatasetError, EmptyMaskError, GeometryMismatchError, GossamerError


@dataclass(frozen=True, eq=False)
class ImageRead:
    """An image, read to its end.

    Attributes:
        case: its case.
        digest: of its voxels [z, y, x], however the file holds them; empty where it cannot be read.
        frame: where it lies; None where it cannot be read.
        error: what is wrong with it, or with a file of its case.
    """

    case: Case
    digest: bytes = b""
    frame: Frame | None = None
    error: GossamerError | None = None


@dataclass(frozen=True, eq=False)
class MasksRead:
    """The masks of a case, read to their end.

    Attributes:
        case: their case.
        left_mm: of each structure the middle's distance towards the patient's left (x of LPS), in mm.
        errors: what is wrong with those that are missing there.
    """

    case: Case
    left_mm: dict[str, float] = field(default_factory=dict)
    errors: tuple[GossamerError, ...] = ()


def read_image(dataset: Dataset, case: Case) -> ImageRead:
    """Read a case's image, then compare all its files with their hashes."""
    try:
        image = dataset.read_image(case)
        if image.frame.shape != case.shape:
            raise GeometryMismatchError(
                f"case {case.id}, image: wanted {case.shape} voxels (z, y, x); found {image.frame.shape}; import the "
                "case again"
            )
        digest = _digest(image.voxels)
        changed = changed_files(dataset.folder / case.id, case)
    except DataError as error:
        return ImageRead(case, error=error)
    except OSError as error:
        return ImageRead(case, error=storage_error(error, f"case {case.id}: wanted to read its files"))
    damage = DatasetError(
        f"case {case.id}: wanted the files that were imported; found changed: {', '.join(changed)}; import again: that "
        "repairs them"
    )
    return ImageRead(case, digest, image.frame, damage if changed else None)


def read_masks(dataset: Dataset, case: Case, image: Frame | None) -> MasksRead:
    """Read a case's masks, one at a time.

    Args:
        dataset: the site's.
        case: whose masks.
        image: frame of its image; None where that could not be read.
    """
    left_mm, errors = {}, []
    for name in case.annotated:
        what = f"case {case.id}, {name}"
        try:
            mask, frame = read_mask(dataset.folder / case.id / mask_file(name), what)
            if image is not None:
                check_same_grid(image, frame, what)
            left_mm[name] = _left_mm(mask, frame, what)
        except DataError as error:
            errors.append(error)
    return MasksRead(case, left_mm, tuple(errors))


def _digest(voxels: NDArray[np.int16] | NDArray[np.float32]) -> bytes:
    """Of shape and values; an image that holds whole numbers is int16 however its file holds them."""
    digest = hashlib.blake2b(repr((voxels.shape, voxels.dtype.str)).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(voxels).data)
    return digest.digest()


def _left_mm(mask: NDArray[np.bool_], frame: Frame, what: str) -> float:
    box = bounding_box(mask)
    inside = mask[box]
    voxels = np.count_nonzero(inside)
    if not voxels:
        raise EmptyMaskError(
            f"{what}: wanted the mask of a structure that is said to be drawn; found no voxel in it; import again, or "
            "take the structure off those drawn"
        )
    along = (inside.sum(axis=others) for others in ((1, 2), (0, 2), (0, 1)))
    middle = [part.start + float(np.arange(len(n)) @ n) / voxels for part, n in zip(box, along, strict=True)]
    return float(frame.world_from_index(np.array(middle))[0])
