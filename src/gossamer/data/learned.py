"""What a model's training data were like, in a few numbers that stay with it: what a CT to predict is held against.

Law: no patient can be told from it. A range leaves out the cases beyond it, at least ``LEAST_CASES`` - 1 at each end,
and its ends are rounded outwards to coarse steps; where fewer than twice as many cases were counted it is not there.
It is made of the merged fingerprint alone, in which sites have suppressed what their policy says.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

from gossamer.data.fingerprint import SPACING_BINS_PER_MM, Fingerprint, Histogram, HistogramZYX, percentile

LEAST_CASES = 5
"""The smallest cell that statistics offices commonly let out."""

SPACING_STEP_BINS = 5
"""A quarter of a millimetre: scanners' settings are mostly further apart."""

EXTENT_STEP_MM = 20

HU_PER_MILLE = (5, 50, 250, 500, 750, 950, 995)
"""Of the voxels inside drawn structures; the first and the last are the plan's window where rules give none."""

Range = tuple[float, float]

RangeZYX = tuple[Range | None, Range | None, Range | None]


class Learned(BaseModel):
    """A summary of the training data.

    Attributes:
        cases: training cases counted; 0 where fewer than ``LEAST_CASES``.
        spacing_mm: along z, y, x: from below which few cases lie to beyond which few lie; None where too few count.
        extent_mm: of the field of view, alike.
        hu: values at ``HU_PER_MILLE`` of the voxels inside drawn structures; None where too few cases count.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    cases: NonNegativeInt
    spacing_mm: RangeZYX
    extent_mm: RangeZYX
    hu: tuple[int, ...] | None = Field(default=None, min_length=len(HU_PER_MILLE), max_length=len(HU_PER_MILLE))

    @model_validator(mode="after")
    def _in_order(self) -> Learned:
        ranges = [given for given in (*self.spacing_mm, *self.extent_mm) if given is not None]
        if any(not 0 <= low <= high for low, high in ranges) or list(self.hu or ()) != sorted(self.hu or ()):
            raise ValueError("wanted ranges and percentiles that rise; found others")
        return self


def learned_from(fingerprint: Fingerprint) -> Learned:
    """The summary of merged training data.

    Args:
        fingerprint: of the training cases of all sites that the model learned from.
    """
    enough = fingerprint.cases >= LEAST_CASES and fingerprint.hu
    return Learned(
        cases=fingerprint.cases if fingerprint.cases >= LEAST_CASES else 0,
        spacing_mm=_ranges(fingerprint.spacing, SPACING_STEP_BINS, 1 / SPACING_BINS_PER_MM),
        extent_mm=_ranges(fingerprint.extent, EXTENT_STEP_MM, 1.0),
        hu=tuple(percentile(fingerprint.hu, p) for p in HU_PER_MILLE) if enough else None,
    )


def _ranges(histograms: HistogramZYX, step: int, unit_mm: float) -> RangeZYX:
    z, y, x = (_range(histogram, step, unit_mm) for histogram in histograms)
    return z, y, x


def _range(histogram: Histogram, step: int, unit_mm: float) -> Range | None:
    """The ``LEAST_CASES``-th smallest and largest value, rounded outwards."""
    if sum(histogram.values()) < 2 * LEAST_CASES:
        return None
    low = _nth(histogram, sorted(histogram)) // step
    high = -(-_nth(histogram, sorted(histogram, reverse=True)) // step)
    return round(low * step * unit_mm, 6), round(high * step * unit_mm, 6)


def _nth(histogram: Histogram, in_order: list[int]) -> int:
    passed = 0
    for bin_ in in_order:
        passed += histogram[bin_]
        if passed >= LEAST_CASES:
            break
    return bin_
