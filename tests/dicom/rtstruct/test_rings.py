"""Rings and pixels; expected numbers are those of the example in DICOM terms, worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gossamer.dicom.rtstruct.rings import area, fill, trace

BLOCK = np.array([[9.5, 19.5], [9.5, 23.5], [11.5, 23.5], [11.5, 19.5]])
"""Along the edges of the pixels in rows 10-11, columns 20-23."""

RING = np.array([[1.0, 1.0], [1.0, 9.0], [8.0, 9.0], [8.0, 1.0]])


def ring_of(*points):
    return np.array(points, dtype=float)


def test_a_polygon_along_pixel_edges_holds_these_pixels_and_their_area():
    expected = np.zeros((30, 40), bool)
    expected[10:12, 20:24] = True
    assert (fill([BLOCK], 30, 40) == expected).all()
    assert abs(area(BLOCK)) == 8.0


def test_tracing_cuts_the_corners_of_a_block_by_an_eighth_of_a_pixel_each():
    mask = np.zeros((30, 40), bool)
    mask[10:12, 20:24] = True
    [ring] = trace(mask)
    assert abs(area(ring)) == pytest.approx(7.5)
    assert (fill([ring], 30, 40) == mask).all()


def test_two_rings_with_a_common_edge_share_no_pixel_and_leave_none_out():
    left, right = ring_of((0, 0), (0, 4), (8, 4), (8, 0)), ring_of((0, 4), (0, 8), (8, 8), (8, 4))
    both = fill([left], 9, 9).astype(int) + fill([right], 9, 9)
    assert (both[:8, :8] == 1).all()
    assert both.sum() == 64


def test_a_ring_in_a_ring_is_a_hole_and_one_in_the_hole_an_island():
    hole, island = ring_of((2, 2), (2, 8), (7, 8), (7, 2)), ring_of((4, 4), (4, 6), (5, 6), (5, 4))
    mask = fill([RING, hole, island], 10, 10)
    assert (mask[1, 1], mask[3, 3], mask[4, 4], mask[8, 8]) == (True, False, True, False)


def test_a_keyhole_is_the_ring_with_its_hole():
    hole = ring_of((3.2, 3.3), (3.2, 6.1), (6.4, 6.1), (6.4, 3.3))
    keyhole = np.concatenate([RING[:1], hole[:1], hole[::-1], RING[:1], RING[1:]])
    assert (fill([keyhole], 10, 10) == fill([RING, hole], 10, 10)).all()


def test_what_reaches_beyond_the_slice_is_clipped():
    mask = fill([ring_of((-5, -7), (-5, 30), (30, 30), (30, -7))], 6, 8)
    assert mask.all()
    assert not fill([ring_of((-5, -7), (-5, -2), (30, -2), (30, -7))], 6, 8).any()


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 12))))
def test_every_mask_is_traced_and_filled_again_to_the_pixel(mask):
    assert (fill(trace(mask), *mask.shape) == mask).all()


@given(arrays(bool, (7, 10)), st.integers(0, 2**32 - 1))
def test_also_where_points_were_rounded(mask, seed):
    chance = np.random.default_rng(seed)
    moved = [ring + chance.uniform(-0.1, 0.1, ring.shape) for ring in trace(mask)]
    assert (fill(moved, *mask.shape) == mask).all()


@given(arrays(bool, (6, 8)))
def test_rings_have_three_points_or_more_none_of_them_straight_on(mask):
    for ring in trace(mask):
        assert len(ring) >= 4
        step = np.roll(ring, -1, axis=0) - ring
        assert (np.abs(step).max(axis=1) > 0).all()
        assert (step[:, 0] * np.roll(step[:, 1], -1) != step[:, 1] * np.roll(step[:, 0], -1)).all()
