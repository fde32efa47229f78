"""The public OpenKBP repository (``ababier/open-kbp``, MIT licence) as anyone can clone it.

340 patients of head-and-neck radiotherapy as sparse CSV files on 128 x 128 x 128 voxels. Where each was treated is not
published; four proxy hospitals are made from what the scanner left in the data. Source: A. Babier et al., "OpenKBP: The
open-access knowledge-based planning grand challenge and dataset", Medical Physics 48, 5549-5561, 2021.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.data.description import Split
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.importers.source import CaseLeftOutError, CaseSource, LoadedCase, inside_image
from gossamer.errors import DatasetError, UnreadableImageError
from gossamer.units import AIR_HU, ZYX
from gossamer.words import reason

SITES = ("A", "B", "C", "D")

FOLDERS: dict[str, tuple[Split, str]] = {
    "train-pats": ("train", "train_"),
    "validation-pats": ("val", "val_"),
    "test-pats": ("test", "test_"),
}
"""Split and prefix of the ids, by the folders of the repository."""

TWINS = {"test_pt_293": "train_pt_36"}
"""The same CT (correlation 0.9994): left out, or the test set would hold a training patient."""

ROIS = {
    "Brainstem": "Brainstem",
    "SpinalCord": "SpinalCord",
    "RightParotid": "Parotid_R",
    "LeftParotid": "Parotid_L",
    "Esophagus": "Esophagus",
    "Larynx": "Larynx",
    "Mandible": "Bone_Mandible",
}
"""Standard names by file name, in the order in which overlaps (rare) are painted: later over earlier."""

GRID = 128

MAX_FILE_BYTES = 2**26
"""A line for each of the 128 x 128 x 128 voxels takes 45 MB."""

BODY_VOXELS = 400
"""A slice with fewer voxels of body is debris, not CT."""

MARGIN = 2
"""Voxels of air kept around the body in plane."""

COMPLETE_SHARE = 0.9

MIN_EXTENT_MM = 80.0
"""Of slices; shorter scans show no organ whole."""

CEILING = 3976.0
"""Highest raw value that one kind of scanner writes."""


@dataclass(frozen=True)
class OpenKbpCase(CaseSource):
    """A patient's folder."""

    folder: Path

    @property
    def files(self) -> Sequence[Path]:
        """Geometry, CT and the structures that were drawn."""
        drawn = (self.folder / f"{roi}.csv" for roi in ROIS)
        return self.folder / "voxel_dimensions.csv", self.folder / "ct.csv", *(path for path in drawn if path.exists())

    @property
    def settings(self) -> Any:
        """All is fixed."""
        return ()

    def load(self) -> LoadedCase:
        """Read the files; see ``CaseSource.load``."""
        if self.id in TWINS:
            raise CaseLeftOutError(f"the same CT as {TWINS[self.id]}")
        spacing_mm = _read_spacing(self.folder / "voxel_dimensions.csv", self.id)
        raw = _on_grid(*_read_sparse(self.folder / "ct.csv", self.id))
        drawn = {name: mask for name, mask in self._read_masks() if mask.any()}
        box = _scanned(raw > 0)
        complete = [name for name, mask in drawn.items() if mask[box[0]].sum() >= COMPLETE_SHARE * mask.sum()]
        extent_mm = (box[0].stop - box[0].start) * spacing_mm[0]
        if extent_mm < MIN_EXTENT_MM or not complete:
            raise CaseLeftOutError(f"{extent_mm:.0f} mm of slices, {len(complete)} complete organs")
        masks, notes = inside_image({name: mask[box] for name, mask in _painted(drawn).items()}, complete, self.id)
        voxels = (np.clip(raw[box], 0, 4095) + AIR_HU).astype(np.int16)
        return LoadedCase(_site(raw.max(), spacing_mm), Image(voxels, _frame(box, spacing_mm)), masks, complete, notes)

    def _read_masks(self) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        for roi, name in ROIS.items():
            if (path := self.folder / f"{roi}.csv").exists():
                yield name, _on_grid(_read_sparse(path, self.id)[0], np.array(1.0)) > 0


def openkbp_cases(folder: Path) -> list[OpenKbpCase]:
    """The patients of a clone of the repository.

    Args:
        folder: the clone, or its ``provided-data``.

    Raises:
        DatasetError: no patient is there.
    """
    data = folder / "provided-data" if (folder / "provided-data").is_dir() else folder
    cases = [
        OpenKbpCase(f"{prefix}{place.name}", split, SITES, place)
        for name, (split, prefix) in FOLDERS.items()
        for place in sorted(_patients(data / name), key=lambda place: (len(place.name), place.name))
    ]
    if not cases:
        raise DatasetError(
            f"OpenKBP: wanted {', '.join(FOLDERS)} with folders pt_N; found none; give the folder of the clone of "
            "ababier/open-kbp"
        )
    return cases


def _patients(folder: Path) -> Iterator[Path]:
    return (place for place in folder.glob("pt_*") if place.is_dir())


def _site(highest: float, spacing_mm: ZYX) -> str:
    """The proxy hospital: by the highest raw value, slice distance and pixel size."""
    dz, _, dx = spacing_mm
    if abs(highest - CEILING) <= 1:
        return "A" if dx < 4.0 and dz <= 2.6 else "B"
    return "C" if dz < 2.8 else "D"


def _scanned(body: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """The longest unbroken run of slices that show body, and the box around it in plane."""
    shown = np.pad(body.sum(axis=(1, 2)) >= BODY_VOXELS, 1)
    starts, stops = np.flatnonzero(np.diff(shown.astype(int)) == 1), np.flatnonzero(np.diff(shown.astype(int)) == -1)
    if not starts.size:
        raise CaseLeftOutError("no slice shows a body")
    longest = int(np.argmax(stops - starts))
    z = slice(int(starts[longest]), int(stops[longest]))
    y, x = (np.flatnonzero(body[z].any(axis=axes)) for axes in ((0, 2), (0, 1)))
    return z, _with_margin(y), _with_margin(x)


def _with_margin(places: NDArray[np.intp]) -> slice:
    return slice(max(0, int(places[0]) - MARGIN), min(GRID, int(places[-1]) + 1 + MARGIN))


def _painted(masks: Mapping[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.bool_]]:
    """The masks without overlaps: later ones win."""
    painted = {}
    taken = np.zeros((GRID, GRID, GRID), dtype=bool)
    for name, mask in reversed(list(masks.items())):
        painted[name] = mask & ~taken
        taken |= mask
    return dict(reversed(list(painted.items())))


def _frame(box: tuple[slice, slice, slice], spacing_mm: ZYX) -> Frame:
    """The box's frame in millimetres from the middle of the grid; the patient's true position is not published."""
    z, y, x = ((part.start - GRID // 2) * mm for part, mm in zip(box, spacing_mm, strict=True))
    shape = (box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start)
    return Frame.canonical(shape, spacing_mm, (z, y, x))


def _on_grid(places: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sparse values as a canonical array [z, y, x]; the files count (row, column, slice), slices from the head down."""
    flat = np.zeros(GRID**3)
    flat[places] = values
    return flat.reshape(GRID, GRID, GRID)[:, :, ::-1].transpose(2, 0, 1)


def _read_spacing(path: Path, case_id: str) -> ZYX:
    numbers = _read_numbers(path, case_id, skip=0).ravel()
    if numbers.size != 3 or not np.isfinite(numbers).all() or numbers.min() <= 0:
        raise _damaged(path, case_id, f"wanted three sizes in mm; found {numbers.tolist()}")
    x, y, z = (float(number) for number in numbers)
    return z, y, x


def _read_sparse(path: Path, case_id: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Flat indices of voxels and their values; masks have no values."""
    columns = (0, 1) if path.name == "ct.csv" else (0,)
    numbers = _read_numbers(path, case_id, skip=1, columns=columns)
    places = numbers[:, 0]
    if not ((places >= 0) & (places < GRID**3) & (places == np.floor(places))).all():
        raise _damaged(path, case_id, f"wanted numbers of voxels from 0 to {GRID**3 - 1}; found others")
    return places.astype(np.int64), numbers[:, -1]


def _read_numbers(path: Path, case_id: str, skip: int, columns: tuple[int, ...] = (0,)) -> NDArray[np.float64]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _damaged(path, case_id, f"wanted at most {MAX_FILE_BYTES:,} bytes; found more")
        lines = path.read_text(encoding="ascii").splitlines()[skip:]
        if not any(lines):
            return np.empty((0, len(columns)))
        numbers = np.loadtxt(lines, delimiter=",", usecols=columns, ndmin=2)
    except (OSError, ValueError) as error:
        raise _damaged(path, case_id, f"wanted numbers; found: {reason(error)}") from error
    if not np.isfinite(numbers).all():
        raise _damaged(path, case_id, "wanted numbers; found NaN")
    return numbers


def _damaged(path: Path, case_id: str, found: str) -> UnreadableImageError:
    return UnreadableImageError(f"case {case_id}, {path.name}: {found}; the clone is incomplete: clone it again")
