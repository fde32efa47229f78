"""Added path length: counted by hand on small slices, and against SimpleITK's contours on noise."""

import math

import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from gossamer.evaluate.metrics import ALL_METRICS, METRICS, MaskPair, check_metrics
from gossamer.evaluate.score import score_masks


def slices(*pictures):
    return np.array([[[letter == "#" for letter in row] for row in picture.split()] for picture in pictures])


SQUARE = """
.......
.####..
.####..
.####..
.####..
......."""
SHIFTED = """
.......
..####.
..####.
..####.
..####.
......."""
NOTHING = """
.......
.......
.......
.......
.......
......."""
# The contour of a square of 4 x 4 is its 12 outer pixels. Of those of SQUARE, its left side (4) is not in SHIFTED, and
# of its upper and lower side the inner pixels lie on SHIFTED's; its right side lies inside: its two middle pixels are
# no contour of SHIFTED. So 4 + 2 are added.


def apl(prediction, reference, spacing=(3.0, 1.0, 1.0), tolerance_mm=0.0, metric="apl_mm"):
    return ALL_METRICS[metric](MaskPair(prediction, reference, spacing, tolerance_mm))


def test_square_shifted_by_a_pixel_is_counted_by_hand():
    assert apl(slices(SHIFTED), slices(SQUARE)) == 6.0
    assert apl(slices(SHIFTED), slices(SQUARE), metric="apl_share") == 0.5


def test_same_contour_needs_nothing():
    assert apl(slices(SQUARE, SHIFTED), slices(SQUARE, SHIFTED)) == 0.0


def test_pixel_counts_as_its_width_or_as_the_root_of_its_area():
    assert apl(slices(SHIFTED), slices(SQUARE), (3.0, 1.5, 1.5)) == pytest.approx(9.0)
    assert apl(slices(SHIFTED), slices(SQUARE), (3.0, 2.0, 0.5)) == pytest.approx(6.0)


def test_slice_that_lacks_the_organ_is_drawn_whole_and_one_too_many_costs_nothing():
    assert apl(slices(NOTHING, SQUARE), slices(SQUARE, SQUARE)) == 12.0
    assert apl(slices(SQUARE, SQUARE), slices(NOTHING, SQUARE)) == 0.0


@pytest.mark.parametrize(("tolerance_mm", "added"), [(0.0, 6.0), (0.9, 6.0), (1.0, 0.0)])
def test_tolerance_is_a_distance_in_the_slice(tolerance_mm, added):
    found = apl(slices(SHIFTED), slices(SQUARE), tolerance_mm=tolerance_mm, metric="apl_tolerance_mm")
    assert found == added
    assert apl(slices(SHIFTED), slices(SQUARE), tolerance_mm=tolerance_mm) == 6.0


def test_tolerance_reaches_no_other_slice():
    there, wanted = slices(SQUARE, NOTHING), slices(SQUARE, SQUARE)
    assert apl(there, wanted, (1.0, 1.0, 1.0), 5.0, "apl_tolerance_mm") == 12.0


def test_mask_at_the_edge_of_the_image_has_its_contour_there():
    whole = np.ones((1, 4, 5), dtype=bool)
    inside = whole.copy()
    inside[:, [0, -1]] = inside[:, :, [0, -1]] = False
    assert apl(inside, whole) == 14.0  # 2 (4 + 5) - 4 pixels on the edge


def test_of_a_missed_organ_all_is_drawn_and_of_an_absent_one_nothing_is_said():
    drawn, empty = slices(SQUARE), slices(NOTHING)
    names = ("apl_mm", "apl_tolerance_mm", "apl_share")
    assert score_masks(empty, drawn, (3, 1, 1), 2.0, names).values == dict(zip(names, (12.0, 12.0, 1.0), strict=True))
    assert all(math.isnan(value) for value in score_masks(drawn, empty, (3, 1, 1), 2.0, names).values.values())
    assert all(math.isnan(value) for value in score_masks(empty, empty, (3, 1, 1), 2.0, names).values.values())


def contours_of_simpleitk(mask):
    """Centres of contour pixels of each slice, by SimpleITK's labels of contours; float64 [n, 2] in pixels."""
    for section in mask:
        image = SimpleITK.GetImageFromArray(np.pad(section, 1).astype(np.uint8))
        contour = SimpleITK.GetArrayFromImage(SimpleITK.LabelContour(image, fullyConnected=False))
        yield np.argwhere(contour)


@pytest.mark.parametrize("tolerance_mm", [0.0, 2.0])
def test_blobs_have_the_added_path_length_of_simpleitks_contours(tolerance_mm):
    rng = np.random.default_rng(3)
    there, wanted = (gaussian_filter(rng.standard_normal((4, 24, 28)), (0, 3, 3)) > 0.02 for _ in range(2))
    count = 0
    for ours, theirs in zip(contours_of_simpleitk(there), contours_of_simpleitk(wanted), strict=True):
        away = cdist(theirs * [1.5, 1.0], ours * [1.5, 1.0]) if len(ours) else np.full((len(theirs), 1), np.inf)
        count += np.count_nonzero(away.min(axis=1) > tolerance_mm)
    assert count > 50
    name = "apl_tolerance_mm" if tolerance_mm else "apl_mm"
    assert apl(there, wanted, (3.0, 1.5, 1.0), tolerance_mm, name) == pytest.approx(count * math.sqrt(1.5))


def test_added_path_length_is_only_taken_where_it_is_asked_for():
    assert set(METRICS) == {"dsc", "surface_dsc", "hd95_mm"}
    assert check_metrics(["apl_mm"], ALL_METRICS) == ("apl_mm",)
