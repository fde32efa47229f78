"""A frame says in millimetres where voxels lie."""

import numpy as np
import pytest

from gossamer.data.frame import Frame

FRAME = Frame.canonical((30, 40, 50), (3.0, 0.8, 0.9), (-100.0, 20.0, 5.0))


def turned(frame, degrees):
    """The frame turned about the world's z axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return Frame(
        frame.shape, np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ frame.world_from_voxel
    )


def moved(frame, dz, dy, dx):
    """The frame moved by so many millimetres."""
    affine = frame.world_from_voxel.copy()
    affine[:3, 3] += (dx, dy, dz)
    return Frame(frame.shape, affine)


def test_canonical_axes_point_as_the_worlds_do():
    np.testing.assert_allclose(FRAME.world_from_index(np.array([0.0, 0.0, 0.0])), (5.0, 20.0, -100.0))
    np.testing.assert_allclose(FRAME.world_from_index(np.array([2.0, 3.0, 10.0])), (5 + 9.0, 20 + 2.4, -100 + 6.0))
    assert FRAME.spacing_mm == (3.0, 0.8, 0.9)
    assert FRAME.extent_mm == pytest.approx((90.0, 32.0, 45.0))
    assert FRAME.tilt_degrees == 0


def test_indices_and_points_are_inverse_to_each_other_in_an_oblique_frame():
    index = np.random.default_rng(0).uniform(-5, 60, (20, 3))
    frame = turned(FRAME, 33.0)
    np.testing.assert_allclose(frame.index_from_world(frame.world_from_index(index)), index, atol=1e-9)
    assert frame.spacing_mm == pytest.approx((3.0, 0.8, 0.9))


def test_a_turn_is_the_tilt():
    assert turned(FRAME, 7.5).tilt_degrees == pytest.approx(7.5)


def test_a_shift_is_counted_in_voxels_of_the_axis_it_runs_along():
    assert FRAME.differs_by_voxels(FRAME) == pytest.approx(0)
    assert FRAME.differs_by_voxels(moved(FRAME, 0.3, 0, 0)) == pytest.approx(0.1)
    assert FRAME.differs_by_voxels(moved(FRAME, 0, 0.4, 0.09)) == pytest.approx(0.5)


def test_another_spacing_counts_at_the_far_corner():
    wider = Frame.canonical((30, 40, 50), (3.0, 0.8, 0.9009), (-100.0, 20.0, 5.0))
    assert FRAME.differs_by_voxels(wider) == pytest.approx(49 * 0.001)


def test_another_direction_counts_at_the_far_corner():
    # the corner (39 x 0.8, 49 x 0.9) mm turned by 1 degree about the first voxel's z axis moves most along y
    c, s = np.cos(np.radians(1)), np.sin(np.radians(1))
    y, x = 39 * 0.8, 49 * 0.9
    around_first_voxel = moved(turned(moved(FRAME, 0, -20, -5), 1.0), 0, 20, 5)
    assert FRAME.differs_by_voxels(around_first_voxel) == pytest.approx(
        max(abs(s * x + c * y - y) / 0.8, abs(c * x - s * y - x) / 0.9, s * x / 0.8), rel=1e-6
    )


def test_another_shape_is_infinitely_far():
    assert FRAME.differs_by_voxels(Frame.canonical((30, 40, 51), (3.0, 0.8, 0.9))) == float("inf")


def test_a_frame_is_described_in_one_line():
    assert FRAME.describe() == (
        "30x40x50 voxels (z, y, x) of 3.000x0.800x0.900 mm, first at (x, y, z) = (5.000, 20.000, -100.000) mm LPS"
    )
    assert turned(FRAME, 2.0).describe().endswith("mm LPS, tilted by 2.00 degrees")
