"""The prepared cache: a site's cases on the plan's spacing, read by memory map.

Layout, one folder per (preparation, dataset)::

    <folder>/<key>/<case id>/image.npy     int16 [z, y, x] HU, cropped to the body
                            /labels.npy    uint  [z, y, x], bit c set where structure c is
                            /centres.npy   int16 [n, 4]: structure c and a voxel (z, y, x) inside it
                            /case.json     what else is known of the case; written last

A case's folder is a ``whole_folder``: whatever is there is whole, and preparing again
goes on where it stopped. The key is made of what the files depend on (dataset, spacing, structures), not of the whole
plan: another network or patch reads the same cache.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.atomic import whole_folder
from gossamer.data.dataset import Dataset
from gossamer.data.description import MAX_SET_ASIDE, Case, SetAside, require_few_set_aside
from gossamer.data.network_input import body_box, body_centre_yx
from gossamer.data.plan import Plan
from gossamer.data.resample import bounding_box, resample_image, resample_mask, resampled_shape
from gossamer.errors import DataError, EmptyMaskError, PlanError, StorageError
from gossamer.units import ZYX, ShapeZYX

PREPARED_FORMAT = 1

VOXEL_BYTES = {8: 3, 16: 4, 32: 6, 64: 10}
"""Of a prepared voxel, by the most structures that fit: two of intensity, and a bit for each structure."""

CENTRES_PER_STRUCTURE = 512
"""Voxels kept of each structure to centre patches on: enough that patches differ, small enough to read at once."""


OPEN_FILES = 160
"""Memory maps kept open, each with a file: opening one takes longer than cutting a patch from it. Systems allow a
process at least 256."""


@dataclass(frozen=True)
class PreparedCase:
    """One case of the cache. Arrays are opened by memory map when they are asked for.

    Attributes:
        id: of the case.
        split: ``train``, ``val`` or ``test``.
        annotated: for each structure of the plan whether it was drawn in this case.
        complete: for each structure whether nearly all of it lies inside the image.
        shape: voxels along z, y, x.
        voxels: for each structure the size of its mask on the plan's grid.
        centre_yx: centre of the body in voxels (``network_input.body_centre_yx``).
        folder: where the arrays lie.
    """

    id: str
    split: str
    annotated: tuple[bool, ...]
    complete: tuple[bool, ...]
    shape: ShapeZYX
    voxels: tuple[int, ...]
    centre_yx: tuple[float, float]
    folder: Path

    @property
    def image_hu(self) -> NDArray[np.int16]:
        """HU int16 [z, y, x], read only."""
        return self._open("image")

    @property
    def labels(self) -> NDArray[np.unsignedinteger[Any]]:
        """Bit c of a voxel is set where structure c is: uint [z, y, x], read only."""
        return self._open("labels")

    @property
    def centres(self) -> NDArray[np.int16]:
        """Rows (c, z, y, x): voxels inside structure c, spread evenly over it."""
        return self._open("centres")

    def _open(self, name: str) -> NDArray[Any]:
        try:
            return _opened(self.folder / f"{name}.npy")
        except (OSError, ValueError) as error:
            raise StorageError(
                f"case {self.id}: wanted the prepared {name}; found no readable file; prepare the dataset again"
            ) from error


@dataclass(frozen=True)
class PreparedDataset:
    """A site's cases on the plan's grid.

    Attributes:
        site: the hospital.
        structures: of the plan.
        cases: those that are usable.
        set_aside: the others, with reasons; those of the import among them.
    """

    site: str
    structures: tuple[str, ...]
    cases: tuple[PreparedCase, ...]
    set_aside: tuple[SetAside, ...]

    def split(self, name: str) -> tuple[PreparedCase, ...]:
        """The cases of one split."""
        return tuple(case for case in self.cases if case.split == name)


def prepare(
    dataset: Dataset, plan: Plan, folder: Path, on_case: Callable[[int, int], None] = lambda done, total: None
) -> PreparedDataset:
    """Bring a site's cases onto the plan's grid; cases already there are kept.

    Args:
        dataset: the site's cases.
        plan: spacing and structures.
        folder: where caches live; this one gets a folder of its own inside.
        on_case: told after each case how many of how many are done.

    Raises:
        TooManyBadCasesError: more cases than allowed had to be set aside.
        DiskFullError: there is no room for the cache.
        StorageError: the cache cannot be written for another reason.
        PlanError: the plan has more structures than label bits.
    """
    home = folder / cache_key(dataset, plan)
    cases, bad = [], []
    for done, case in enumerate(dataset.cases, start=1):
        place = home / case.id
        try:
            if not (place / "case.json").is_file():
                _write_dataset_case(place, dataset, case, plan)
            cases.append(read_prepared_case(place))
        except DataError as error:
            bad.append(SetAside(case=case.id, reason=str(error)))
        on_case(done, len(dataset.cases))
    remedy = "these cases were sound when they were imported; check the disk, and import the dataset again"
    require_few_set_aside(bad, len(cases), MAX_SET_ASIDE, f"site {dataset.site}", remedy)
    return PreparedDataset(dataset.site, plan.structures, tuple(cases), (*dataset.set_aside, *bad))


def cache_key(dataset: Dataset, plan: Plan) -> str:
    """Names what the prepared files depend on; 32 hex digits."""
    depends_on = [PREPARED_FORMAT, dataset.sha256, plan.spacing_mm, plan.structures]
    return hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:32]


def prepared_bytes(cases: Iterable[Case], plan: Plan) -> int:
    """Room that cases take at most once they are prepared; no image is read.

    Args:
        cases: of any sites.
        plan: spacing and structures.
    """
    voxel_bytes = next(size for most, size in VOXEL_BYTES.items() if len(plan.structures) <= most)
    return voxel_bytes * sum(prod(resampled_shape(case.shape, case.spacing_mm, plan.spacing_mm)) for case in cases)


def prepared_arrays(dataset: Dataset, case: Case, plan: Plan) -> dict[str, NDArray[Any]]:
    """The arrays of one case: ``image``, ``labels`` and ``centres``.

    Raises:
        DataError: the case cannot be read, or a structure that is said to be drawn has no voxel.
    """
    image = dataset.read_image(case)
    masks = dataset.read_masks(case)
    for name in case.annotated:
        if name not in masks or not masks[name].any():
            raise EmptyMaskError(
                f"case {case.id}: wanted the mask of {name}, which is said to be drawn; found no voxel in it; "
                "take it off the case's annotated structures or draw it"
            )
    return arrays_on_grid(image.voxels, masks, image.frame.spacing_mm, plan)


def arrays_on_grid(
    voxels: NDArray[Any], masks: Mapping[str, NDArray[np.bool_]], spacing_mm: ZYX, plan: Plan
) -> dict[str, NDArray[Any]]:
    """Resample an image and its masks onto the plan's spacing and crop them to the body.

    Args:
        voxels: HU [z, y, x].
        masks: by structure: bool [z, y, x].
        spacing_mm: of both.
        plan: spacing and structures; masks of other structures are left out.
    """
    z, y, x = voxels.shape
    shape = resampled_shape((z, y, x), spacing_mm, plan.spacing_mm)
    hu = resample_image(voxels, shape)
    labels = np.zeros(shape, dtype=_label_type(len(plan.structures)))
    for c, name in enumerate(plan.structures):
        if name in masks:
            labels |= resample_mask(masks[name], shape).astype(labels.dtype) << labels.dtype.type(c)
    box = _union(body_box(hu), bounding_box(labels > 0)) if labels.any() else body_box(hu)
    hu = np.rint(np.clip(hu[box], np.iinfo(np.int16).min, np.iinfo(np.int16).max))
    labels = np.ascontiguousarray(labels[box])
    return {"image": hu.astype(np.int16), "labels": labels, "centres": _centres(labels, len(plan.structures))}


def _label_type(structures: int) -> np.dtype[np.unsignedinteger[Any]]:
    for bits in (8, 16, 32, 64):
        if structures <= bits:
            return np.dtype(f"uint{bits}")
    raise PlanError(f"wanted at most 64 structures in a plan; found {structures}; train two models instead")


def _union(a: tuple[slice, ...], b: tuple[slice, ...]) -> tuple[slice, ...]:
    return tuple(slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(a, b, strict=True))


def _centres(labels: NDArray[Any], structures: int) -> NDArray[np.int16]:
    rows = []
    for c in range(structures):
        inside = np.argwhere(_bit(labels, c))
        kept = inside[np.linspace(0, len(inside) - 1, min(len(inside), CENTRES_PER_STRUCTURE)).astype(int)]
        rows.append(np.column_stack([np.full(len(kept), c), kept]))
    return np.concatenate(rows).astype(np.int16)


def write_prepared_case(
    place: Path,
    arrays: Mapping[str, NDArray[Any]],
    *,
    split: str,
    annotated: Sequence[bool],
    complete: Sequence[bool],
) -> None:
    """Write one case's folder, whole or not at all.

    Args:
        place: the folder to be; its name is the case's id.
        arrays: as ``arrays_on_grid`` gives them.
        split: ``train``, ``val`` or ``test``.
        annotated: for each structure whether it was drawn.
        complete: for each structure whether nearly all of it lies inside the image.

    Raises:
        DiskFullError: there is no room.
        StorageError: it cannot be written for another reason.
    """
    labels = arrays["labels"]
    facts = {
        "id": place.name,
        "split": split,
        "annotated": list(annotated),
        "complete": list(complete),
        "shape": labels.shape,
        "voxels": [int(np.count_nonzero(_bit(labels, c))) for c in range(len(annotated))],
        "centre_yx": body_centre_yx(arrays["image"]),
    }
    size_mib = sum(array.nbytes for array in arrays.values()) / 2**20
    with whole_folder(place, f"wanted {size_mib:.1f} MiB for one more prepared case") as folder:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        (folder / "case.json").write_text(json.dumps(facts), encoding="utf-8")


def read_prepared_case(place: Path) -> PreparedCase:
    """Read one case's folder."""
    raw = json.loads((place / "case.json").read_text(encoding="utf-8"))
    depth, height, width = raw["shape"]
    y, x = raw["centre_yx"]
    return PreparedCase(
        id=raw["id"],
        split=raw["split"],
        annotated=tuple(raw["annotated"]),
        complete=tuple(raw["complete"]),
        shape=(depth, height, width),
        voxels=tuple(raw["voxels"]),
        centre_yx=(y, x),
        folder=place,
    )


def _write_dataset_case(place: Path, dataset: Dataset, case: Case, plan: Plan) -> None:
    write_prepared_case(
        place,
        prepared_arrays(dataset, case, plan),
        split=case.split,
        annotated=[name in case.annotated for name in plan.structures],
        complete=[name in case.complete for name in plan.structures],
    )


@lru_cache(maxsize=OPEN_FILES)
def _opened(path: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _bit(labels: NDArray[Any], structure: int) -> NDArray[Any]:
    """1 where the structure is, 0 elsewhere."""
    return np.asarray(labels >> labels.dtype.type(structure) & labels.dtype.type(1))
