"""Segments that touch, cross or pass each other; judged anew by fractions, exactly."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gossamer.dicom.rtstruct.segments import Walls, distances_to, meet

SQUARE = np.array([[0.0, 0.0], [0.0, 8.0], [8.0, 8.0], [8.0, 0.0]])
POINTS = st.tuples(*[st.integers(-6, 6).map(lambda n: n / 2)] * 2)


def touch(a, b, c, d):
    """Whether the segments a-b and c-d, neither of them a point, have a point in common: found by solving for it."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = [tuple(map(Fraction, p)) for p in (a, b, c, d)]
    ux, uy, vx, vy, wx, wy = bx - ax, by - ay, dx - cx, dy - cy, cx - ax, cy - ay
    if turn := ux * vy - uy * vx:
        s, t = (wx * vy - wy * vx) / turn, (wx * uy - wy * ux) / turn
        return 0 <= s <= 1 and 0 <= t <= 1
    if ux * wy - uy * wx:
        return False  # parallel, on two lines
    along = sorted([(wx * ux + wy * uy), ((wx + vx) * ux + (wy + vy) * uy)])
    return along[0] <= ux * ux + uy * uy and along[1] >= 0


@given(POINTS, POINTS, POINTS, POINTS)
def test_segments_touch_where_they_have_a_point_in_common(a, b, c, d):
    assume(a != b and c != d)
    walls = Walls(np.array([c]), np.array([d]))
    assert (walls.touched_by(np.array(a), np.array(b)).tolist() == [0]) == touch(a, b, c, d)


def test_a_segment_crosses_no_wall_at_which_it_only_ends():
    walls = Walls.of_rings([SQUARE])
    assert not walls.are_crossed_by(np.array([0.0, 3.0]), np.array([5.0, 4.0]))
    assert walls.are_crossed_by(np.array([-1.0, 3.0]), np.array([5.0, 4.0]))
    walls.add(np.array([3.0, 1.0]), np.array([3.0, 7.0]))
    assert walls.are_crossed_by(np.array([0.0, 3.0]), np.array([5.0, 4.0]))
    assert walls.touched_by(np.array([0.0, 3.0]), np.array([5.0, 4.0])).tolist() == [0, 4]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([[2, 2], [2, 5], [5, 5]], False),
        ([[2, 2], [2, 8], [5, 5]], True),  # a corner on an edge, from inside
        ([[8, 8], [9, 9], [9, 8]], True),  # a corner on a corner
        ([[2, 8], [5, 8], [4, 11]], True),  # an edge along an edge
        ([[2, 5], [3, 12], [5, 5]], True),
        ([[2, 9], [5, 9], [4, 11]], False),
    ],
)
def test_rings_meet_where_they_touch(other, expected):
    assert meet([SQUARE, np.array(other, float)]) == expected


def test_a_ring_meets_itself_but_not_where_its_edges_follow_each_other():
    assert not meet([SQUARE])
    assert not meet([SQUARE[:3]])
    assert meet([SQUARE[[0, 2, 1, 3]]])
    assert meet([np.array([[0.0, 0.0], [0.0, 8.0], [8.0, 8.0], [0.0, 4.0], [8.0, 0.0]])])  # a corner on its own edge


def test_the_distance_to_segments_is_that_to_the_nearest_point_of_them():
    found = distances_to(np.array([[-3.0, 4.0], [12.0, 11.0], [4.0, 1.0]]), SQUARE, np.roll(SQUARE, -1, axis=0))
    assert found == pytest.approx([3, 5, 1])
