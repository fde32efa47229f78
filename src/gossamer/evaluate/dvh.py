"""Dose-volume histogram of a mask.

Law
    1. A structure is its voxels, whole boxes of the mask's own grid. Each is sampled at points that are spread evenly
       in it and symmetric about its centre: one for each ``PART_MM3``, more where the structure is small, so that it
       has ``FEWEST_POINTS``, and fewer, down to the centre, where it would have more than ``MOST_POINTS``. A point
       stands for an equal part of the voxel, and has the dose of its place (``data.dose``, law 1).
    2. ``Dx`` is read between the middles of the parts, hottest first, so that a part is neither above nor below itself.
    3. Parts outside the dose grid are unknown and not in the histogram: percentages are of what is known, volumes are
       lower bounds, and ``outside_share`` says how much is missing.
    4. A structure that is smaller than ``x`` cc, as far as its dose is known, has no ``Dxcc``.

What remains is the mask's: a surface drawn on voxels is known to half a voxel, and a near-maximum at a surface to half
a voxel times the dose gradient there.

Source of the points: Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018 (R3): no two share a
plane of the voxel, so that a dose that grows along an axis is met at as many depths as there are points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossamer.data.dose import DoseGrid
from gossamer.data.frame import Frame
from gossamer.evaluate.dose_metrics import DoseMetric

PART_MM3 = 0.125
"""Volume of a part; 0.03 cc are 240 of them."""

FEWEST_POINTS = 20_000
"""Of a small structure, so that a percent of it is 200 parts."""

MOST_POINTS = 1_000_000
"""An eighth of a litre in parts of ``PART_MM3``; of a larger structure more would only cost time."""

POINTS_AT_ONCE = 2**17

RATIO = 1.2207440846057596
"""Root of r^4 = r + 1."""

MM3_OF_CC = 1000.0

WHOLE = 1e-9
"""Relative; less is rounding where all of a structure is asked for."""

ROUNDING = 1e-6
"""Relative, of float32: a plateau at 20 Gy gets 20 Gy."""


@dataclass(frozen=True, eq=False)
class Dvh:
    """How much of a structure gets how much dose.

    Attributes:
        gray: float32 [n], of its parts whose dose is known, hottest first.
        part_cc: volume of each.
        outside_share: share of the structure that lies outside the dose grid, 0 to 1; nan of an empty one.
    """

    gray: NDArray[np.float32]
    part_cc: float
    outside_share: float

    @property
    def known_cc(self) -> float:
        """Volume whose dose is known."""
        return len(self.gray) * self.part_cc

    def value(self, metric: DoseMetric) -> float:
        """A number of the histogram in the metric's unit; nan where it has none."""
        if not len(self.gray):
            return math.nan
        match metric.kind:
            case "mean":
                return float(self.gray.mean(dtype=np.float64))
            case "dose at cc":
                return self._dose_at(metric.at / self.known_cc)
            case "dose at %":
                return self._dose_at(metric.at / 100)
            case "volume at Gy":
                share = self._share_from(metric.at)
                return share * (self.known_cc if metric.unit == "cc" else 100)

    def _dose_at(self, share: float) -> float:
        """The dose that the hottest ``share`` of the volume gets at least (laws 2 and 4)."""
        if share > 1 + WHOLE:
            return math.nan
        last = len(self.gray) - 1
        place = min(max(share * len(self.gray) - 0.5, 0.0), float(last))
        hotter = int(place)
        colder = min(hotter + 1, last)
        return float(self.gray[hotter] + (place - hotter) * (self.gray[colder] - self.gray[hotter]))

    def _share_from(self, gray: float) -> float:
        """The share of the parts that get at least a dose."""
        ascending = self.gray[::-1]
        return 1.0 - float(np.searchsorted(ascending, np.float32(gray * (1 - ROUNDING)), side="left")) / len(ascending)


def dose_volume_histogram(mask: NDArray[np.bool_], frame: Frame, dose: DoseGrid) -> Dvh:
    """The histogram of a structure.

    Args:
        mask: bool [z, y, x]; may be empty.
        frame: where it lies, in the dose's coordinates.
        dose: on any grid.
    """
    voxels = np.argwhere(mask).astype(np.float64)
    voxel_mm3 = abs(float(np.linalg.det(frame.world_from_voxel[:3, :3])))
    if not len(voxels):
        return Dvh(np.empty(0, np.float32), voxel_mm3 / MM3_OF_CC, math.nan)
    offsets = _offsets(len(voxels), voxel_mm3)
    gray = np.empty((len(voxels), len(offsets)), np.float32)
    step = max(1, POINTS_AT_ONCE // len(offsets))
    for begin in range(0, len(voxels), step):
        index = (voxels[begin : begin + step, None] + offsets).reshape(-1, 3)
        gray[begin : begin + step] = dose.at(frame.world_from_index(index)).reshape(-1, len(offsets))
    known = gray[~np.isnan(gray)]
    known.sort()
    return Dvh(known[::-1], voxel_mm3 / MM3_OF_CC / len(offsets), 1.0 - known.size / gray.size)


def _offsets(voxels: int, voxel_mm3: float) -> NDArray[np.float64]:
    """Points of a voxel, float64 [n, 3], from its centre in voxels along z, y, x; n is odd (law 1)."""
    points = min(max(voxels * voxel_mm3 / PART_MM3, FEWEST_POINTS), MOST_POINTS)
    either_side = round((points / voxels - 1) / 2)
    numbers = np.arange(-either_side, either_side + 1)[:, None]
    return np.asarray((0.5 + numbers * RATIO ** -np.arange(1.0, 4.0)) % 1.0 - 0.5)
