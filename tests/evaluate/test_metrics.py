import math

import numpy as np
import pytest

from gossamer.errors import GeometryMismatchError, UnknownMetricError
from gossamer.evaluate.metrics import METRICS, check_metrics, dice, hd95, surface_dice

SPACING = (2.5, 1.0, 1.5)


def box(shape, corner, size):
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(c, c + s) for c, s in zip(corner, size, strict=True))] = True
    return mask


def ball(shape, centre, radius_mm, spacing_mm):
    grid = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    squared = sum(((g - c) * s) ** 2 for g, c, s in zip(grid, centre, spacing_mm, strict=True))
    return squared <= radius_mm**2


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("k", [0, 1, 3, 9])
def test_cube_shifted_by_k_voxels_has_the_agreement_one_counts_by_hand(axis, k):
    corner = [5, 5, 5]
    reference = box((30, 30, 30), corner, (10, 10, 10))
    corner[axis] += k
    prediction = box((30, 30, 30), corner, (10, 10, 10))

    assert dice(prediction, reference) == pytest.approx((10 - k) / 10)
    # A face is a sixth of the surface, more than 5 %, and lies k voxels off; nothing lies further.
    assert hd95(prediction, reference, SPACING) == pytest.approx(min(k, 10) * SPACING[axis])
    assert surface_dice(prediction, reference, SPACING, k * SPACING[axis]) == 1.0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_single_voxel_moved_by_one_keeps_half_of_its_surface(axis):
    corner = [2, 2, 2]
    reference = box((6, 6, 6), corner, (1, 1, 1))
    corner[axis] += 1
    prediction = box((6, 6, 6), corner, (1, 1, 1))

    # Four of each voxel's eight corners are common, all eight have the same area, the others lie one voxel off.
    assert surface_dice(prediction, reference, SPACING, 0.9 * SPACING[axis]) == pytest.approx(0.5, abs=1e-7)
    assert surface_dice(prediction, reference, SPACING, SPACING[axis]) == 1.0
    assert hd95(prediction, reference, SPACING) == pytest.approx(SPACING[axis])


def test_concentric_balls_have_the_agreement_of_geometry():
    spacing = (1.5, 1.0, 1.0)
    shape, centre = (60, 80, 80), (30, 40, 40)
    small, large = ball(shape, centre, 25.0, spacing), ball(shape, centre, 30.0, spacing)

    assert dice(small, large) == pytest.approx(2 * 25**3 / (25**3 + 30**3), abs=0.01)
    assert hd95(small, large, spacing) == pytest.approx(5.0, abs=1.0)
    assert surface_dice(small, large, spacing, 2.5) == 0.0
    assert surface_dice(small, large, spacing, 7.5) == 1.0


def test_distance_of_one_slice_is_within_a_tolerance_of_one_slice_stored_in_single_precision():
    reference = box((6, 6, 6), (2, 2, 2), (1, 1, 1))
    prediction = box((6, 6, 6), (3, 2, 2), (1, 1, 1))
    just_above = float(np.nextafter(np.float32(2.9), np.float32(3)))
    assert surface_dice(prediction, reference, (just_above, 1, 1), 2.9) == 1.0


def test_masks_at_the_edge_of_the_image_have_their_surface_there():
    whole = np.ones((4, 5, 6), dtype=bool)
    assert dice(whole, whole) == 1.0
    assert surface_dice(whole, whole, SPACING, 0.0) == 1.0
    assert hd95(whole, whole, SPACING) == 0.0


def test_result_does_not_depend_on_which_mask_is_the_reference():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 8, 9, 10)) > 0.7
    assert dice(a, b) == dice(b, a)
    assert surface_dice(a, b, SPACING, 1.0) == pytest.approx(surface_dice(b, a, SPACING, 1.0))
    assert hd95(a, b, SPACING) == hd95(b, a, SPACING)


def test_missed_organ_scores_zero_and_has_no_distance():
    drawn, empty = box((6, 6, 6), (2, 2, 2), (2, 2, 2)), np.zeros((6, 6, 6), dtype=bool)
    assert dice(empty, drawn) == 0.0
    assert surface_dice(empty, drawn, SPACING, 3.0) == 0.0
    assert math.isnan(hd95(empty, drawn, SPACING))


@pytest.mark.parametrize("prediction", [np.zeros((6, 6, 6), dtype=bool), np.ones((6, 6, 6), dtype=bool)])
def test_absent_organ_is_excluded_whatever_was_predicted(prediction):
    empty = np.zeros((6, 6, 6), dtype=bool)
    assert math.isnan(dice(prediction, empty))
    assert math.isnan(surface_dice(prediction, empty, SPACING, 3.0))
    assert math.isnan(hd95(prediction, empty, SPACING))


def test_masks_of_different_shape_are_refused_with_both_shapes():
    with pytest.raises(GeometryMismatchError, match=r"\(2, 2, 2\).*\(2, 2, 3\)"):
        dice(np.ones((2, 2, 2), dtype=bool), np.ones((2, 2, 3), dtype=bool))


def test_unknown_metric_is_refused_with_the_nearest_and_all_valid_ones():
    with pytest.raises(UnknownMetricError, match=r"'dise'.*'dsc'.*dsc, surface_dsc, hd95_mm"):
        check_metrics(["hd95_mm", "dise"])
    assert check_metrics(METRICS) == ("dsc", "surface_dsc", "hd95_mm")
