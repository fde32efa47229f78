"""Uneven and tilted stacks: what becomes of images and masks on an even, straight grid, and on the way back."""

import numpy as np
import pytest
from tests.dicom.phantom_series import distinct_voxels

from gossamer.dicom.series.canonical import to_canonical
from gossamer.dicom.series.carry import carry_image, carry_mask, regular_stack
from gossamer.dicom.series.evenness import is_regular
from gossamer.dicom.series.stack import SliceStack
from gossamer.dicom.series.volume import read_volume
from gossamer.errors import GeometryMismatchError


def stack_at(positions, *, rows=6, columns=8, tilt_degrees=0.0):
    """An axial stack from (-100, -50, 20) on; a tilt turns the rows' direction towards the head."""
    tilt = np.radians(tilt_degrees)
    first = np.array([(-100.0, -50.0, 20.0 + position) for position in positions])
    return SliceStack(rows, columns, first, 1.5 * np.array([0, np.cos(tilt), np.sin(tilt)]), np.array([0.75, 0, 0]))


def world_of(stack):
    """World points of all voxels, [k, r, c, 3], by the equation itself."""
    k, r, c = np.indices(stack.shape)
    steps = r[..., None] * stack.row_step_xyz + c[..., None] * stack.column_step_xyz
    return stack.first_xyz[k] + steps


def ramp(points_xyz):
    """A plane in HU: linear interpolation gives it back exactly."""
    return points_xyz @ np.array([3.0, -2.0, 5.0]) + 40.0


def test_an_even_stack_is_its_own_regular_stack():
    stack = stack_at([0, 3, 6])
    assert is_regular(stack)
    assert regular_stack(stack) is stack


def test_uneven_slices_are_interpolated_along_the_normal_onto_the_usual_gap():
    stack = stack_at([0, 3, 6, 9, 15, 21])
    even = regular_stack(stack)
    assert even.shape == (8, 6, 8)
    np.testing.assert_array_equal(even.first_xyz[:, 2], [20, 23, 26, 29, 32, 35, 38, 41])
    voxels = carry_image(ramp(world_of(stack)).astype(np.float32), stack, even)
    np.testing.assert_allclose(voxels, ramp(world_of(even)), atol=1e-4)
    canonical, frame = to_canonical(voxels, even)
    assert frame.spacing_mm == (3.0, 1.5, 0.75)
    assert canonical.shape == (8, 6, 8)


def test_slices_that_lie_on_the_regular_stack_keep_their_values():
    stack = stack_at([0, 3, 6, 9, 15, 21])
    native = distinct_voxels(stack.shape)
    carried = carry_image(native, stack, regular_stack(stack))
    assert carried.dtype == np.int16
    np.testing.assert_array_equal(carried[[0, 1, 2, 3, 5, 7]], native)
    np.testing.assert_array_equal(carried[4], (native[3].astype(int) + native[4]) // 2)


def test_steps_are_as_near_to_the_usual_gap_as_the_ends_allow():
    even = regular_stack(stack_at([0, 3, 6, 9, 13]))
    np.testing.assert_allclose(even.first_xyz[:, 2], [20, 23.25, 26.5, 29.75, 33])


@pytest.mark.parametrize("positions", [[0, 3, 6, 9, 13], [0, 4, 7, 10, 13], [0, 2.5, 6.5, 9, 10, 13.7]])
def test_images_are_interpolated_between_the_slices_below_and_above(positions):
    stack = stack_at(positions)
    even = regular_stack(stack)
    assert not is_regular(stack)
    carried = carry_image(ramp(world_of(stack)), stack, even)
    np.testing.assert_allclose(carried, ramp(world_of(even)), atol=5 * 0.1 + 1e-9)  # 5 HU a mm, slices within 0.1 mm
    assert np.abs(carried - ramp(world_of(even))).mean() < 0.05


def test_of_two_usual_gaps_the_finer_one_counts():
    assert regular_stack(stack_at([0, 3, 6, 12, 18])).shape[0] == 7


def test_whole_values_are_rounded_and_not_cut():
    stack = stack_at([0, 3, 6, 15])
    native = np.zeros(stack.shape, np.int16)
    native[3] = 1
    carried = carry_image(native, stack, regular_stack(stack))
    assert carried[:, 0, 0].tolist() == [0, 0, 0, 0, 1, 1]  # thirds


def test_a_mask_takes_the_nearest_slice_and_of_two_the_lower():
    stack = stack_at([0, 3, 6, 9, 15, 21])
    mask = np.zeros(stack.shape, bool)
    for k in range(6):
        mask[k, 2, k] = True
    carried = carry_mask(mask, stack, regular_stack(stack))
    assert [int(np.flatnonzero(part[2])[0]) for part in carried] == [0, 1, 2, 3, 3, 4, 4, 5]


def test_a_mask_comes_back_from_the_regular_stack_as_it_was():
    rng = np.random.default_rng(0)
    for stack in (stack_at([0, 3, 6, 9, 15, 21]), stack_at(3.0 * np.arange(5), tilt_degrees=20.0)):
        mask = rng.random(stack.shape) < 0.4
        even = regular_stack(stack)
        np.testing.assert_array_equal(carry_mask(carry_mask(mask, stack, even), even, stack), mask)


@pytest.mark.parametrize("tilt_degrees", [20.0, -20.0])
def test_a_tilted_stack_is_carried_onto_a_straight_one_that_holds_all_of_it(tilt_degrees):
    stack = stack_at(3.0 * np.arange(5), tilt_degrees=tilt_degrees)
    straight = regular_stack(stack)
    # 12 mm of table shift the last slice by 12 sin 20 = 4.10 mm within its plane: 2.74 rows of 1.5 mm, so 3 more.
    assert straight.shape == (5, 9, 8)
    assert is_regular(straight)
    np.testing.assert_allclose(straight.positions_mm, stack.positions_mm)
    native = world_of(stack).reshape(-1, 3)
    low, high = (straight.pixel_from_world(native, 0).min(axis=0), straight.pixel_from_world(native, 0).max(axis=0))
    assert (low >= -1e-9).all()
    assert (high <= np.array([8, 7]) + 1e-9).all()

    voxels = carry_image(ramp(world_of(stack)), stack, straight)
    expected, inside, outside = ramp(world_of(straight)), [], []
    for k in range(5):
        row = stack.pixel_from_world(world_of(straight)[k].reshape(-1, 3), k)[:, 0].reshape(9, 8)
        inside.append((row >= -1e-6) & (row <= 5 + 1e-6))
        outside.append((row <= -1) | (row >= 6))
    np.testing.assert_allclose(voxels[inside], expected[inside], atol=1e-3)  # shifts are rounded to 1e-6 pixels
    assert set(voxels[outside].tolist()) == {-1000.0}
    assert np.array(inside).sum() > 5 * 5 * 8 - 1


def test_a_mask_on_a_tilted_stack_falls_on_the_nearest_pixels():
    stack = stack_at(3.0 * np.arange(5), tilt_degrees=20.0)
    straight = regular_stack(stack)
    mask = np.random.default_rng(1).random(stack.shape) < 0.5
    expected = np.zeros(straight.shape, bool)
    for index in np.ndindex(straight.shape):
        point = straight.world_from_index(np.array(index, float))
        r, c = np.rint(stack.pixel_from_world(point, index[0])).astype(int)
        expected[index] = 0 <= r < 6 and 0 <= c < 8 and mask[index[0], r, c]
    np.testing.assert_array_equal(carry_mask(mask, stack, straight), expected)


def test_a_ball_stays_a_ball_where_the_gantry_was_tilted(series_of):
    """Of 12 mm around a point, in a scan with 20 degrees of tilt; dropping the shear would move its ends by 4 mm."""
    stack = stack_at(2.0 * np.arange(20), rows=40, columns=60, tilt_degrees=20.0)
    centre = np.array([-78.0, -15.0, 51.0])
    ball = np.linalg.norm(world_of(stack) - centre, axis=-1) <= 12.0
    series = series_of(np.where(ball, 40, -1000), spacing=(2.0, 1.5, 0.75), tilt_degrees=20.0)
    straight = regular_stack(series.stack)
    voxels, frame = to_canonical(carry_image(read_volume(series).voxels, series.stack, straight), straight)
    mask, _ = to_canonical(carry_mask(ball, series.stack, straight), straight)
    points = frame.world_from_index(np.moveaxis(np.indices(frame.shape), 0, -1).astype(float))
    expected = np.linalg.norm(points - centre, axis=-1) <= 12.0
    for found in (mask, voxels > -480):
        dice = 2 * (found & expected).sum() / (found.sum() + expected.sum())
        assert dice > 0.97
        np.testing.assert_allclose(points[found].mean(axis=0), centre, atol=0.15)
    dropped = np.linalg.norm(np.average(world_of(stack)[ball], axis=0) - centre)
    assert dropped < 0.15  # the phantom itself lies where it should


def test_outside_the_stack_an_image_is_air_and_a_mask_is_nothing():
    stack, further = stack_at([0, 3, 6]), stack_at([-3, 0, 3, 6, 9])
    image = carry_image(np.full(stack.shape, 40, np.int16), stack, further)
    mask = carry_mask(np.ones(stack.shape, bool), stack, further)
    assert image[:, 0, 0].tolist() == [-1000, 40, 40, 40, -1000]
    assert mask[:, 0, 0].tolist() == [False, True, True, True, False]


def test_what_cannot_be_carried_is_refused():
    with pytest.raises(
        GeometryMismatchError, match=r"usual 3\.00 mm apart; found 10\.00 mm between 26\.00 and 36\.00 mm"
    ):
        regular_stack(stack_at([0, 3, 6, 16]))
    with pytest.raises(GeometryMismatchError, match="wanted at least 2 slices; found 1"):
        regular_stack(stack_at([0]))
    with pytest.raises(GeometryMismatchError, match="wanted two stacks with equal pixels"):
        carry_mask(np.ones((3, 6, 8), bool), stack_at([0, 3, 6]), stack_at([0, 3, 6], tilt_degrees=1.0))
