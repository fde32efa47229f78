"""The fingerprint: what a site tells of its data so that all sites can agree on a plan. Sums only.

Law: fingerprints add, exactly, in any order and grouping, and the sum over sites is the fingerprint of the pooled
data. All numbers are whole counts; no mean, spread or percentile is ever shared or averaged (the mean of two sites'
standard deviations is not the standard deviation of their union).

Foreground means the voxels inside any structure drawn in the case, as in nnU-Net. The body would be the simpler
choice, but half of it is fat and muscle far from any structure, and how much of it a scan shows depends on the
field of view: a window fitted to it is a fact about scanners. The window is to separate structures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import DataError, PlanError
from gossamer.units import ZYX, ShapeZYX

if (
    TYPE_CHECKING
):  # reading files brings nibabel and pydicom; a federation file, whose rules come from here, needs neither
    from gossamer.data.dataset import Dataset
    from gossamer.data.description import Case

HU_LOWEST, HU_HIGHEST = -1024, 3071
"""The 12 bits of CT; what lies beyond is counted at the ends."""

SPACING_BINS_PER_MM = 20
"""Spacings are counted in bins of 0.05 mm: finer than any two scanners' settings that matter differ."""

FINGERPRINT_FORMAT = 1

Histogram = Mapping[int, int]
"""Count by bin, without empty bins."""

HistogramZYX = tuple[Histogram, Histogram, Histogram]

K = TypeVar("K", int, str)


@dataclass(frozen=True)
class Fingerprint:
    """Whole counts over a set of cases.

    Attributes:
        cases: number of cases.
        annotated: by structure, the number of cases in which it was drawn.
        hu: foreground voxels by HU.
        spacing: along z, y, x: cases by spacing in bins of 1/20 mm.
        extent: along z, y, x: cases by size of the field of view in whole mm.
    """

    cases: int = 0
    annotated: Mapping[str, int] = field(default_factory=dict)
    hu: Histogram = field(default_factory=dict)
    spacing: HistogramZYX = ({}, {}, {})
    extent: HistogramZYX = ({}, {}, {})

    def __add__(self, other: Fingerprint) -> Fingerprint:
        """The fingerprint of both sets of cases together."""
        return Fingerprint(
            self.cases + other.cases,
            _added(self.annotated, other.annotated),
            _added(self.hu, other.hu),
            _each_added(self.spacing, other.spacing),
            _each_added(self.extent, other.extent),
        )

    def suppressed(self, minimum: int) -> Fingerprint:
        """This fingerprint without the counts below ``minimum``, so that no patient can be told from it.

        Args:
            minimum: smallest cell that may be shared, in cases (in voxels for HU); 1 leaves all as it is.
        """
        return Fingerprint(
            self.cases if self.cases >= minimum else 0,
            _at_least(self.annotated, minimum),
            _at_least(self.hu, minimum),
            _each_at_least(self.spacing, minimum),
            _each_at_least(self.extent, minimum),
        )

    def to_json(self) -> str:
        """Canonical JSON: equal fingerprints give equal text."""
        raw = {
            "format": FINGERPRINT_FORMAT,
            "cases": self.cases,
            "annotated": dict(self.annotated),
            "hu": _pairs(self.hu),
            "spacing": [_pairs(h) for h in self.spacing],
            "extent": [_pairs(h) for h in self.extent],
        }
        return json.dumps(raw, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Fingerprint:
        """Read a fingerprint.

        Raises:
            PlanError: the text is none, or a count is not a whole number of at least 0.
        """
        try:
            raw: dict[str, Any] = json.loads(text)
            if raw["format"] != FINGERPRINT_FORMAT:
                raise ValueError(f"format {raw['format']}")
            return cls(
                cases=_count(raw["cases"]),
                annotated={str(name): _count(n) for name, n in raw["annotated"].items()},
                hu=_histogram(raw["hu"]),
                spacing=_three_histograms(raw["spacing"]),
                extent=_three_histograms(raw["extent"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlanError(
                f"wanted a fingerprint of format {FINGERPRINT_FORMAT}; found text that is none ({error!r}); "
                "make it again with this release"
            ) from error


def fingerprint_of_case(voxels: NDArray[Any], masks: Mapping[str, NDArray[np.bool_]], spacing_mm: ZYX) -> Fingerprint:
    """The fingerprint of one case.

    Args:
        voxels: HU [z, y, x].
        masks: by structure drawn in the case: bool [z, y, x].
        spacing_mm: of the image, along z, y, x.
    """
    inside = np.zeros(voxels.shape, dtype=bool)
    for mask in masks.values():
        inside |= mask
    hu = np.rint(np.clip(voxels[inside], HU_LOWEST, HU_HIGHEST)).astype(np.int64)
    counts = np.bincount(hu - HU_LOWEST)
    z, y, x = voxels.shape
    return replace(
        _of_description((z, y, x), spacing_mm, masks),
        hu={int(bin_) + HU_LOWEST: int(counts[bin_]) for bin_ in np.flatnonzero(counts)},
    )


def fingerprint_without_image(case: Case) -> Fingerprint:
    """What a case's description tells of its fingerprint: all but HU."""
    return _of_description(case.shape, case.spacing_mm, case.annotated)


def fingerprint_of(dataset: Dataset, cases: Iterable[Case]) -> Fingerprint:
    """The fingerprint of some cases of a site; reads their images and masks.

    Raises:
        DataError: a case cannot be read.
    """
    return merged(_of_dataset_case(dataset, case) for case in cases)


def fingerprint_of_training(dataset: Dataset, on_case: Callable[[], None] = lambda: None) -> Fingerprint:
    """The fingerprint of a site's training cases; one that cannot be read is left out here as when it is prepared.

    Args:
        dataset: the site's.
        on_case: told after each training case.
    """
    total = Fingerprint()
    for case in dataset.cases:
        if case.split == "train":
            with suppress(DataError):  # preparing sets the case aside, and says why
                total += fingerprint_of(dataset, [case])
            on_case()
    return total


def merged(fingerprints: Iterable[Fingerprint]) -> Fingerprint:
    """The sum of fingerprints, in any order."""
    return reduce(Fingerprint.__add__, fingerprints, Fingerprint())


def percentile(histogram: Histogram, per_mille: int) -> int:
    """The smallest bin at or below which at least ``per_mille`` thousandths of the counts lie.

    Raises:
        PlanError: the histogram is empty.
    """
    total = sum(histogram.values())
    below = 0
    for bin_ in sorted(histogram):
        below += histogram[bin_]
        if below * 1000 >= per_mille * total:
            return bin_
    raise PlanError(
        "wanted a percentile of the merged fingerprint; found no count in it; "
        "are there training cases with drawn structures, and is the minimum cell size small enough?"
    )


def mean_and_sd(histogram: Histogram, lowest: int, highest: int) -> tuple[float, float]:
    """Mean and standard deviation of the bins' values after clipping to [lowest, highest].

    Exact in whole numbers up to the last division and root, which IEEE 754 rounds alike everywhere.
    """
    clipped = [(min(max(bin_, lowest), highest), count) for bin_, count in histogram.items()]
    n = sum(count for _, count in clipped)
    first = sum(value * count for value, count in clipped)
    second = sum(value * value * count for value, count in clipped)
    return float(Fraction(first, n)), math.sqrt(Fraction(n * second - first * first, n * n))


def _of_description(shape: ShapeZYX, spacing_mm: ZYX, annotated: Iterable[str]) -> Fingerprint:
    z, y, x = ({max(1, round(s * SPACING_BINS_PER_MM)): 1} for s in spacing_mm)
    extent_z, extent_y, extent_x = ({round(n * s): 1} for n, s in zip(shape, spacing_mm, strict=True))
    return Fingerprint(
        cases=1,
        annotated=dict.fromkeys(annotated, 1),
        spacing=(z, y, x),
        extent=(extent_z, extent_y, extent_x),
    )


def _of_dataset_case(dataset: Dataset, case: Case) -> Fingerprint:
    image = dataset.read_image(case)
    return fingerprint_of_case(image.voxels, dataset.read_masks(case), image.frame.spacing_mm)


def _added(a: Mapping[K, int], b: Mapping[K, int]) -> dict[K, int]:
    return {key: a.get(key, 0) + b.get(key, 0) for key in sorted(a.keys() | b.keys())}


def _at_least(counts: Mapping[K, int], minimum: int) -> dict[K, int]:
    return {key: count for key, count in counts.items() if count >= minimum}


def _each_added(a: HistogramZYX, b: HistogramZYX) -> HistogramZYX:
    return _added(a[0], b[0]), _added(a[1], b[1]), _added(a[2], b[2])


def _each_at_least(histograms: HistogramZYX, minimum: int) -> HistogramZYX:
    z, y, x = (_at_least(h, minimum) for h in histograms)
    return z, y, x


def _pairs(histogram: Histogram) -> list[tuple[int, int]]:
    return sorted(histogram.items())


def _three_histograms(raw: list[Any]) -> HistogramZYX:
    z, y, x = (_histogram(h) for h in raw)
    return z, y, x


def _histogram(raw: list[Any]) -> dict[int, int]:
    return {_whole(bin_): _count(n) for bin_, n in raw}


def _count(raw: Any) -> int:
    if _whole(raw) < 0:
        raise ValueError(f"count {raw}")
    return int(raw)


def _whole(raw: Any) -> int:
    if type(raw) is not int:
        raise TypeError(f"{raw!r} is not a whole number")
    return raw
