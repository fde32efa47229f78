"""Rings with fewer points: where these stand, how far away the others lie, and what is not smoothed."""

import numpy as np
import pytest

from gossamer.dicom.rtstruct.rings import trace
from gossamer.dicom.rtstruct.smoothing import moved_mm, smoothed

SIDES = np.array([1.0, 0.9765625])


def disc(shape=(40, 50), radius=15):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows - shape[0] / 2) ** 2 + (columns - shape[1] / 2) ** 2 < radius**2


def dense(ring, count=64):
    """Points [n, 2] all along a ring."""
    return np.concatenate(
        [a + np.linspace(0, 1, count)[:, None] * (b - a) for a, b in zip(ring, np.roll(ring, -1, 0), strict=True)]
    )


@pytest.mark.parametrize("smooth_mm", [0.5, 0.8, 1.5])
def test_points_that_are_left_are_traced_ones_and_the_others_lie_within_the_distance(smooth_mm):
    [ring] = trace(disc())
    [smooth] = smoothed([ring], SIDES, smooth_mm)
    assert 3 <= len(smooth) < len(ring)
    assert {tuple(point) for point in smooth} < {tuple(point) for point in ring}
    away = np.linalg.norm((ring[:, None] - dense(smooth)) * SIDES, axis=2).min(axis=1)
    assert away.max() <= smooth_mm + 0.02
    assert moved_mm([ring], [smooth], SIDES) == pytest.approx(away.max(), abs=0.02)


def test_rings_that_would_only_touch_stay_as_they_are():
    """The slope's long edge from (4, 4.5) to (5.5, 0) would run through the uppermost point of the lone pixel."""
    mask = np.array([[c == "#" for c in row] for row in ("#####", "####.", ".####", ".####", ".##.#", "##.#.")])
    outer, pixel = trace(mask)
    assert smoothed([outer, pixel], np.ones(2), 1.0) is None
    [alone] = smoothed([outer], np.ones(2), 1.0)
    assert alone[1:3].tolist() == [[4.0, 4.5], [5.5, 0.0]]
    assert [4.5, 3.0] in pixel.tolist()  # on that edge: half a row down, a column and a half to the left


def test_of_a_lone_pixel_no_point_is_taken():
    mask = np.zeros((5, 5), bool)
    mask[2, 2] = True
    rings = trace(mask)
    [smooth] = smoothed(rings, SIDES, 0.2)
    assert len(smooth) == 4
    assert smoothed(rings, SIDES, 5.0)[0].tolist() == rings[0].tolist()  # else two were left
