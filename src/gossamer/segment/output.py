"""Finding CTs and writing predictions, so that no empty, half or stale result is ever there.

A case's folder appears by one rename, when all of it is on the disk. Where every mask is empty nothing is written.
"""

from __future__ import annotations

import math
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gossamer import __version__
from gossamer.atomic import flush_folder, storage_error, write_atomically
from gossamer.data.case_folder import file_sha256, mask_file
from gossamer.data.image import Image
from gossamer.data.nifti import read_file, write_sparse_file
from gossamer.data.orientation import Orientation
from gossamer.errors import EmptyMaskError, UsageError
from gossamer.evaluate.predicted import LABEL_MAP_FILE, RECORD_FILE, LabelMapRecord, PredictionRecord, read_record
from gossamer.segment.masks import PackedMasks
from gossamer.segment.model_file import Model

IMAGE_SUFFIXES = (".nii.gz", ".nii")

WRITERS = 2
"""Masks written at a time: compression keeps a core busy each, and each holds one unpacked mask."""

DATASET_IMAGE = "ct"
"""In a dataset every CT is called so; its case is the folder's name."""


@dataclass(frozen=True)
class ImageFile:
    """A CT to predict, and what its result is called."""

    case: str
    path: Path


class GridOf:
    """Writes masks as files on the grid, axes and affine of a CT's file, which is read once for all of them."""

    def __init__(self, source: ImageFile) -> None:
        """Read where the voxels of ``source`` lie.

        Raises:
            UnreadableImageError: the file cannot be read.
        """
        file = read_file(source.path, f"case {source.case}, image")
        self._affine, self._header = file.ras_from_file, file.header
        self._orientation = Orientation.of_affine(file.ras_from_file)

    def write(self, path: Path, voxels: NDArray[np.uint8]) -> None:
        """Write canonical voxels [z, y, x]."""
        write_sparse_file(path, self._orientation.to_file(voxels), self._affine, self._header)


def find_images(path: Path) -> list[ImageFile]:
    """The CTs a user means: a NIfTI file, a folder of such files, or a dataset.

    Raises:
        UsageError: there is none, or two would give a result of the same name.
    """
    if path.is_file():
        found = [path] if path.name.endswith(IMAGE_SUFFIXES) else []
    else:
        inside = [*path.glob("*"), *(path.glob(f"*/{DATASET_IMAGE}.*"))]
        found = sorted(p for p in inside if p.is_file() and p.name.endswith(IMAGE_SUFFIXES))
    images = [ImageFile(_case_name(p), p) for p in found]
    if not images:
        raise UsageError(
            f"wanted CTs as {' or '.join(IMAGE_SUFFIXES)} files; found none at the path given with -i; "
            "give one file, a folder of files, or a dataset"
        )
    names = [image.case for image in images]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"wanted CTs of different names; found several called {twice[0]}, in the folder given with -i; rename them"
        )
    return images


def is_done(output: Path, image: ImageFile, model: Model, *, label_map: bool) -> bool:
    """Whether this case was predicted before, by this model from this image.

    Raises:
        UsageError: something else lies where the result belongs.
    """
    folder = output / image.case
    if not folder.exists():
        return False
    record = read_record(folder)
    if (
        record is None
        or record.model_sha256 != model.sha256
        or record.image_sha256 != file_sha256(image.path)
        or (label_map and record.label_map is None)
    ):
        raise UsageError(
            f"case {image.case}: wanted an empty place for the result; found one of another model, image or form, in "
            "the output folder; give another -o, or delete that result"
        )
    return True


def write_prediction(
    output: Path, source: ImageFile, image: Image, masks: PackedMasks, model: Model, *, label_map: bool
) -> PredictionRecord:
    """Write one case: a mask for each structure found, on the CT's own grid and orientation.

    Args:
        output: folder that gets a folder for the case.
        source: the CT's file.
        image: the CT.
        masks: predicted on its grid.
        model: that predicted them.
        label_map: whether to write one label map as well.

    Returns:
        What ``prediction.json`` says.

    Raises:
        EmptyMaskError: every mask is empty; nothing is written.
        StorageError: the result cannot be written (``DiskFullError`` where there is no room).
    """
    voxels = masks.voxels()
    if not any(voxels.values()):
        raise EmptyMaskError(
            f"case {source.case}: wanted at least one of {', '.join(masks)}; found none of them in the image, and "
            "wrote nothing; is this a CT in HU, the right way up, of a region the model knows?"
        )
    draft = output / f".{source.case}.part"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        (draft / "segmentations").mkdir(parents=True)
        grid = GridOf(source)
        found = [name for name in masks if voxels[name]]
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(lambda name: grid.write(draft / mask_file(name), masks[name].view(np.uint8)), found))
        labels = _write_label_map(draft, grid, masks) if label_map else None
        voxel_ml = math.prod(image.frame.spacing_mm) / 1000
        record = PredictionRecord(
            gossamer_version=__version__,
            model_sha256=model.sha256,
            image_sha256=file_sha256(source.path),
            volumes_ml={name: round(n * voxel_ml, 6) for name, n in voxels.items()},
            label_map=labels,
            intended_use=model.intended_use,
        )
        write_atomically(draft / RECORD_FILE, record.model_dump_json(indent=2))
        draft.rename(output / source.case)
        flush_folder(output)
    except OSError as error:
        raise storage_error(error, f"case {source.case}: wanted to write its masks") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return record


def _write_label_map(draft: Path, grid: GridOf, masks: PackedMasks) -> LabelMapRecord:
    labels, decided = masks.label_map()
    grid.write(draft / LABEL_MAP_FILE, labels)
    return LabelMapRecord(labels={name: value for value, name in enumerate(masks, start=1)}, decided_voxels=decided)


def _case_name(path: Path) -> str:
    name = next(path.name.removesuffix(suffix) for suffix in IMAGE_SUFFIXES if path.name.endswith(suffix))
    return path.resolve().parent.name if name == DATASET_IMAGE else name
