"""Rings with fewer points, within a distance that is said.

Law
    1. A smooth ring has points of the traced one alone, and all points of that lie within the distance of it.
    2. Smooth rings lie in each other as before and do not touch: else none of the slice is smoothed.

Points are (row, column) as in ``rings``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.measure import approximate_polygon

from gossamer.dicom.rtstruct.parts import containment
from gossamer.dicom.rtstruct.rings import Ring, area
from gossamer.dicom.rtstruct.segments import distances_to, meet

Floats = NDArray[np.float64]


def smoothed(rings: Sequence[Ring], sides_mm: Floats, smooth_mm: float) -> list[Ring] | None:
    """Rings of one slice with fewer points; None if they would meet.

    Args:
        rings: as ``trace`` gives them.
        sides_mm: float64 [2]; of a pixel: from row to row, from column to column.
        smooth_mm: how far a point of a ring may lie beside the smooth one.
    """
    smooth = [_approximated(ring, sides_mm, smooth_mm) for ring in rings]
    return smooth if _say_the_same(rings, smooth) else None


def moved_mm(rings: Sequence[Ring], smooth: Sequence[Ring], sides_mm: Floats) -> float:
    """How far a point of the rings lies beside the smooth one at most."""
    return max(
        float(distances_to(ring * sides_mm, other * sides_mm, np.roll(other, -1, axis=0) * sides_mm).max())
        for ring, other in zip(rings, smooth, strict=True)
    )


def _approximated(ring: Ring, sides_mm: Floats, smooth_mm: float) -> Ring:
    """A ring with some of its points, within ``smooth_mm`` of all; the ring itself if less than three are left.

    Source: D. Douglas and T. Peucker, "Algorithms for the reduction of the number of points required to represent a
    digitized line or its caricature", Cartographica 10, 112-122, 1973.
    """
    ring_mm = ring * sides_mm
    # From its two most distant points on, which it keeps: an arbitrary first point would stay, and show.
    start = int(np.linalg.norm(ring_mm - ring_mm.mean(axis=0), axis=1).argmax())
    turned = np.roll(ring_mm, -start, axis=0)
    far = int(np.linalg.norm(turned - turned[0], axis=1).argmax())
    there = approximate_polygon(turned[: far + 1], smooth_mm)
    back = approximate_polygon(np.concatenate([turned[far:], turned[:1]]), smooth_mm)
    kept: Ring = np.rint(2 * np.concatenate([there[:-1], back[:-1]]) / sides_mm) / 2  # exactly where they were traced
    return kept if len(kept) >= 3 else ring


def _say_the_same(rings: Sequence[Ring], smooth: Sequence[Ring]) -> bool:
    """Whether smooth rings enclose something each, touch nothing, and lie in each other as before."""
    turned = any(area(ring) * area(other) <= 0 for ring, other in zip(rings, smooth, strict=True))
    return not turned and not meet(smooth) and bool((containment(rings) == containment(smooth)).all())
