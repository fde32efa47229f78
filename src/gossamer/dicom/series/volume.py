"""The pixels of a CT series as HU, slice by slice as they are in its files.

Law: each file is read once, each frame with a scale of its own; see ``pixels``.

Native arrays are [k, r, c] on a ``SliceStack``; canonical ones, by ``canonical``, [z, y, x] with a ``Frame``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.dicom.series.ct_series import CtSeries
from gossamer.dicom.series.pixels import check_scale, is_whole, read_stored, write_hu
from gossamer.errors import UnreadableImageError


@dataclass(frozen=True, eq=False)
class NativeVolume:
    """The pixels of a series.

    Attributes:
        voxels: HU [k, r, c], in the order of the stack; int16 if they are whole and fit, else float32.
        notes: what a user should know.
    """

    voxels: NDArray[np.int16] | NDArray[np.float32]
    notes: tuple[str, ...]


def read_volume(series: CtSeries) -> NativeVolume:
    """Read the pixels of a series, each file once.

    Raises:
        UnreadableImageError: pixels of a slice cannot be read, or its scale is unknown.
    """
    planes = [one.plane for one in series.slices]
    check_scale(planes)
    whole = all(is_whole(plane) for plane in planes)
    voxels: NDArray[Any] = np.empty(series.stack.shape, np.int16 if whole else np.float32)
    padding, notes = 0, dict[str, None]()
    places: dict[Path, list[int]] = {}
    for k, one in enumerate(series.slices):
        places.setdefault(one.header.path, []).append(k)
    for of_file in places.values():
        where = f"slice at {series.stack.positions_mm[of_file[0]]:.2f} mm"
        try:
            stored = read_stored(series.slices[of_file[0]].header)
            for k in of_file:
                where = f"slice at {series.stack.positions_mm[k]:.2f} mm"
                fits, padded, note = write_hu(stored, planes[k], voxels[k])
                if not fits:
                    voxels = voxels.astype(np.float32)
                    _, padded, note = write_hu(stored, planes[k], voxels[k])
                padding += padded
                if note:
                    notes[note] = None
        except UnreadableImageError as error:
            raise UnreadableImageError(f"{where}: {error}") from error
    if padding:
        notes[f"{padding:,} voxels outside the scanned field (padding) are taken for air"] = None
    return NativeVolume(voxels, tuple(notes))
