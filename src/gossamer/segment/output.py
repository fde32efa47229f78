"""Finding CTs and writing predictions, so that no empty, half or stale result is ever there.

A case's folder is a ``whole_folder``. Where every mask is empty nothing is written.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer import __version__
from gossamer.atomic import whole_folder, write_atomically
from gossamer.data.case_folder import mask_file
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.nifti import read_file, write_file, write_sparse_file
from gossamer.data.orientation import LPS_FROM_RAS, Orientation
from gossamer.errors import EmptyMaskError, UsageError
from gossamer.evaluate.predicted import LABEL_MAP_FILE, RECORD_FILE, LabelMapRecord, PredictionRecord
from gossamer.segment.finished import each_sha256
from gossamer.segment.masks import PackedMasks
from gossamer.segment.model_file import Model
from gossamer.segment.unlike import because

IMAGE_SUFFIXES = (".nii.gz", ".nii")

WRITERS = 2
"""Masks written at a time: compression keeps a core busy each, and each holds one unpacked mask."""

SEGMENTATIONS = "segmentations"

CT_FILE = "ct.nii.gz"
"""The CT beside the masks of a DICOM series, called as in a dataset."""

DATASET_IMAGE = "ct"
"""In a dataset every CT is called so; its case is the folder's name."""


@dataclass(frozen=True)
class ImageFile:
    """A CT to predict, and what its result is called."""

    case: str
    path: Path

    def sha256(self) -> str:
        """Of the file.

        Raises:
            UnreadableImageError: it cannot be read.
        """
        [found] = each_sha256(self.case, [self.path])
        return found


class Grid:
    """Writes masks as NIfTI files on one grid."""

    def __init__(self, ras_from_file: NDArray[np.float64], header: Any = None) -> None:
        """Files with this affine and, if there is one, this header."""
        self._affine, self._header = ras_from_file, header
        self._orientation = Orientation.of_affine(ras_from_file)

    @classmethod
    def of_file(cls, source: ImageFile) -> Grid:
        """The grid, axes and affine of a CT's file, which is read once for all masks.

        Raises:
            UnreadableImageError: the file cannot be read.
        """
        file = read_file(source.path, f"case {source.case}, image")
        return cls(file.ras_from_file, file.header)

    @classmethod
    def of_frame(cls, frame: Frame) -> Grid:
        """A grid in canonical axes."""
        return cls(LPS_FROM_RAS @ frame.world_from_voxel[:, [2, 1, 0, 3]])

    def write(self, path: Path, voxels: NDArray[np.uint8]) -> None:
        """Write canonical voxels [z, y, x] of a mask or label map."""
        write_sparse_file(path, self._orientation.to_file(voxels), self._affine, self._header)

    def write_image(self, path: Path, image: Image) -> None:
        """Write a CT."""
        write_file(path, self._orientation.to_file(image.voxels), self._affine, self._header)


def find_images(path: Path) -> list[ImageFile]:
    """The CTs a user means: a NIfTI file, a folder of such files, or a dataset.

    Raises:
        UsageError: there is none, or two would give a result of the same name.
    """
    images = [ImageFile(_case_name(p), p) for p in _nifti_files(path)]
    if not images:
        raise UsageError(
            f"wanted CTs as {' or '.join(IMAGE_SUFFIXES)} files; found none at the path given with -i; "
            "give one file, a folder of files, a dataset, or a folder of DICOM series"
        )
    names = [image.case for image in images]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"wanted CTs of different names; found several called {twice[0]}, in the folder given with -i; rename them"
        )
    return images


def holds_nifti(folder: Path) -> bool:
    """Whether a folder holds CTs as ``find_images`` looks for them."""
    return bool(_nifti_files(folder))


def write_prediction(
    output: Path,
    source: ImageFile,
    image: Image,
    masks: PackedMasks,
    model: Model,
    *,
    label_map: bool,
    notes: tuple[str, ...] = (),
) -> PredictionRecord:
    """Write one case: a mask for each structure found, on the CT's own grid and orientation.

    Args:
        output: folder that gets a folder for the case.
        source: the CT's file.
        image: the CT.
        masks: predicted on its grid.
        model: that predicted them.
        label_map: whether to write one label map as well.
        notes: what a user should know.

    Returns:
        What ``prediction.json`` says.

    Raises:
        EmptyMaskError: every mask is empty; nothing is written.
        UnreadableImageError: the CT's file cannot be read again.
        UsageError: something lies in the place of the result.
        StorageError: the result cannot be written (``DiskFullError`` where there is no room).
    """
    voxels = masks.voxels()
    if not any(voxels.values()):
        raise EmptyMaskError(
            f"case {source.case}: wanted at least one of {', '.join(masks)}; found none of them in the image, and "
            f"wrote nothing; is this a CT in HU, the right way up, of a region the model knows?{because(image, model)}"
        )
    with whole_folder(output / source.case, f"case {source.case}: wanted to write its masks") as folder:
        labels = write_masks(folder, Grid.of_file(source), masks, label_map=label_map)
        voxel_ml = math.prod(image.frame.spacing_mm) / 1000
        record = PredictionRecord(
            gossamer_version=__version__,
            model_sha256=model.sha256,
            image_sha256=source.sha256(),
            volumes_ml={name: round(n * voxel_ml, 6) for name, n in voxels.items()},
            label_map=labels,
            notes=notes,
            intended_use=model.intended_use,
        )
        write_atomically(folder / RECORD_FILE, record.model_dump_json(indent=2))
    return record


def write_masks(folder: Path, grid: Grid, masks: PackedMasks, *, label_map: bool) -> LabelMapRecord | None:
    """Write a mask for each structure that was found, and a label map if wanted.

    Args:
        folder: gets ``segmentations``.
        grid: on which they lie.
        masks: of which not all are empty.
        label_map: whether to write one label map as well.

    Returns:
        What the label map's values mean, if there is one.
    """
    (folder / SEGMENTATIONS).mkdir(exist_ok=True)
    empty = masks.empty()
    found = [name for name in masks if name not in empty]
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda name: grid.write(folder / mask_file(name), masks[name].view(np.uint8)), found))
    return _write_label_map(folder, grid, masks) if label_map else None


def _write_label_map(folder: Path, grid: Grid, masks: PackedMasks) -> LabelMapRecord:
    labels, decided = masks.label_map()
    grid.write(folder / LABEL_MAP_FILE, labels)
    return LabelMapRecord(labels={name: value for value, name in enumerate(masks, start=1)}, decided_voxels=decided)


def _nifti_files(path: Path) -> list[Path]:
    """Without hidden ones: what an import has not finished, and what other systems leave beside files."""
    if path.is_file():
        return [path] if path.name.endswith(IMAGE_SUFFIXES) else []
    inside = [*path.glob("[!.]*"), *path.glob(f"[!.]*/{DATASET_IMAGE}.*")]
    return sorted(p for p in inside if p.is_file() and p.name.endswith(IMAGE_SUFFIXES))


def _case_name(path: Path) -> str:
    name = next(path.name.removesuffix(suffix) for suffix in IMAGE_SUFFIXES if path.name.endswith(suffix))
    return path.resolve().parent.name if name == DATASET_IMAGE else name
