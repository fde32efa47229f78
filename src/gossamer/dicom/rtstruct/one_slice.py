"""The closed contours of one slice, filled by the even-odd rule.

Law: a pixel is inside if an odd number of contours goes around its centre: nested ones are holes and islands, keyholes
are what they were drawn for (PS3.3 C.8.8.6.3). Contours of type CLOSED_PLANAR that overlap in part mean nothing by this
rule.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gossamer.dicom.rtstruct.rings import Ring, area, box_around, fill, wound
from gossamer.errors import UnreadableImageError

Mask = NDArray[np.bool_]

LARGEST_OVERLAP_PIXELS = 1.0
"""Contours that only touch overlap by what their points were rounded."""

FINE = 4
"""Samples along a pixel's side where areas are compared: 1/16 of a pixel."""


def check_no_overlap(rings: Sequence[Ring], rows: int, columns: int, where: str) -> None:
    """Raise if two rings are neither nested nor apart, as far as the slice reaches."""
    if len(rings) < 2:
        return
    lows, highs = np.array([ring.min(axis=0) for ring in rings]), np.array([ring.max(axis=0) for ring in rings])
    by_size = np.argsort([-abs(area(ring)) for ring in rings], kind="stable")
    for place, small in enumerate(by_size):
        for large in by_size[:place]:
            if (lows[small] >= highs[large]).any() or (highs[small] <= lows[large]).any():
                continue
            overlap = _partial_overlap_pixels(rings[small], rings[large], rows, columns)
            if overlap > LARGEST_OVERLAP_PIXELS:
                raise UnreadableImageError(
                    f"{where}: wanted CLOSED_PLANAR contours that are nested or apart; found two that overlap in part, "
                    f"by {overlap:.1f} pixels; join them in the planning system, or leave the structure out"
                )


def _partial_overlap_pixels(small: Ring, large: Ring, rows: int, columns: int) -> float:
    """The lesser of what the small ring shares with the large one and what it does not, in pixels of the slice."""
    low = np.clip(np.floor(small.min(axis=0)), -1, (rows, columns))
    high = np.clip(np.ceil(small.max(axis=0)), low, (rows, columns))
    fine_rows, fine_columns = ((high - low) * FINE).astype(int)
    # Samples lie on neither the centres nor the edges of pixels, where contours like to run.
    inside, around = (fill([(ring - low) * FINE - 0.5], fine_rows, fine_columns) for ring in (small, large))
    shared = int((inside & around).sum())
    return min(shared, int(inside.sum()) - shared) / FINE**2


def fill_slice(rings: Sequence[Ring], mask: Mask) -> tuple[int, int]:
    """Fill the rings of a slice into its mask, bool [r, c].

    Returns:
        Pixels by the even-odd rule, which is used, and in the union of what each ring winds around.
    """
    low, high = box_around(rings, mask.shape)
    moved = [ring - low for ring in rings]
    odd = fill(moved, *(high - low))
    mask[low[0] : high[0], low[1] : high[1]] = odd
    union = np.zeros_like(odd)
    for ring in moved:
        union |= wound(ring, *union.shape)
    return int(odd.sum()), int(union.sum())
