"""Dose-volume histograms against closed forms, against SimpleITK, and where the dose ends."""

import math

import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import gaussian_filter
from tests.evaluate.solids import (
    CENTRE_GY,
    Cone,
    Cylinder,
    Sphere,
    drawn,
    linear_dose,
    mean_gy,
    near_max_gy,
    near_max_of_boxes_gy,
)

from gossamer.data.dose import DoseGrid
from gossamer.data.frame import Frame
from gossamer.evaluate.dose_metrics import parse_dose_metric
from gossamer.evaluate.dvh import dose_volume_histogram

SLOPE = 0.5
"""Gy in a mm: 1 % of the dose in the middle."""

SOLIDS = [Sphere(15.0), Cylinder(12.0, 24.0), Cone(15.0, 24.0)]

MISPLACED_MM = {(1, 1, 1): 0.6, (2, 1, 1): 0.8, (3, 1, 1): 1.2, (2, 2, 2): 1.0, (3, 2, 2): 1.3}
"""By spacing of the CT, how far from its place the surface at D0.03cc may be taken; see docs/concepts/metrics.md."""

SHIFTS = [(0.35, 0.2, -0.4), (-0.2, -0.45, 0.1)]
"""In voxels along z, y, x, how solids lie beside the CT's grid; flat ends stay on faces of slices."""


def value(histogram, text):
    return histogram.value(parse_dose_metric(text))


@pytest.mark.parametrize("spacing", MISPLACED_MM)
@pytest.mark.parametrize("solid", SOLIDS, ids=lambda solid: type(solid).__name__)
def test_mean_and_near_maximum_of_a_solid_in_a_linear_dose_are_those_of_geometry(solid, spacing):
    for shift, directions in zip(SHIFTS, (("head", "back"), ("feet", "right")), strict=True):
        flat = not isinstance(solid, Sphere)
        shift_mm = np.multiply(shift, spacing) * (not flat, 1, 1)
        mask, frame = drawn(solid, spacing, shift_mm)
        for along in directions:
            histogram = dose_volume_histogram(mask, frame, linear_dose(along, SLOPE))
            assert value(histogram, "mean") == pytest.approx(mean_gy(solid, along, SLOPE), rel=0.005)
            nearly = near_max_gy(solid, along, SLOPE)
            assert value(histogram, "D0.03cc") == pytest.approx(nearly, rel=0.01)
            assert value(histogram, "D0.03cc") == pytest.approx(nearly, abs=MISPLACED_MM[spacing] * SLOPE)
            boxes = near_max_of_boxes_gy(mask, frame, along, SLOPE)
            assert value(histogram, "D0.03cc") == pytest.approx(boxes, rel=0.002), "the rest is the mask's"
            assert histogram.outside_share == 0.0


def test_voxels_that_fill_a_box_give_its_figures_whatever_their_size():
    # 12 mm along each axis; dose from 20 to 32 Gy along z. Hottest 0.03 cc: 30 / 144 mm of it.
    for spacing in [(3.0, 2.0, 1.0), (1.0, 4.0, 3.0), (6.0, 6.0, 6.0)]:
        counts = [round(12 / s) + 4 for s in spacing]
        frame = Frame.canonical(
            tuple(counts), spacing, tuple(-(n - 1) / 2 * s for n, s in zip(counts, spacing, strict=True))
        )
        mask = np.zeros(counts, dtype=bool)
        mask[2:-2, 2:-2, 2:-2] = True
        histogram = dose_volume_histogram(mask, frame, linear_dose("head", 1.0))
        assert histogram.known_cc == pytest.approx(1.728)
        assert value(histogram, "mean") == pytest.approx(CENTRE_GY, abs=1e-3)
        assert value(histogram, "D0.03cc") == pytest.approx(CENTRE_GY + 6 - 30 / 144, abs=0.02)
        assert value(histogram, "D25%") == pytest.approx(CENTRE_GY + 3, abs=0.02)
        assert value(histogram, "D95%") == pytest.approx(CENTRE_GY - 5.4, abs=0.06)
        assert value(histogram, f"V{CENTRE_GY + 3:g}Gy") == pytest.approx(25, abs=0.2)
        assert value(histogram, f"V{CENTRE_GY + 3:g}Gycc") == pytest.approx(0.432, abs=0.004)


@pytest.mark.parametrize("bound", ["MOST_POINTS", "PART_MM3"])
def test_fewer_points_change_little(monkeypatch, bound):
    mask, frame = drawn(Sphere(15.0), (3.0, 1.0, 1.0), (0.7, 0.2, 0.4))
    dose = linear_dose("back", SLOPE)
    fine = dose_volume_histogram(mask, frame, dose)
    monkeypatch.setattr(f"gossamer.evaluate.dvh.{bound}", {"MOST_POINTS": 30_000, "PART_MM3": 0.5}[bound])
    coarse = dose_volume_histogram(mask, frame, dose)
    assert len(coarse.gray) < len(fine.gray) / 3
    for text in ("mean", "D0.03cc", "D95%", "D2%", "V50Gy"):
        assert value(coarse, text) == pytest.approx(value(fine, text), rel=3e-3)


def test_of_a_sphere_cut_by_the_dose_grid_the_known_part_counts_and_the_rest_is_said():
    radius, end = 12.0, 3.0  # the dose grid ends 3 mm above the middle, half a voxel beyond its last centre
    mask, frame = drawn(Sphere(radius), (1.0, 1.0, 1.0), (0.0, 0.2, -0.3))
    dose = linear_dose("head", SLOPE, (2.0, 2.5, 3.3), low=(-40.0, -40.0, -40.0), high=(end - 1.0, 40.0, 40.0))
    assert dose.frame.world_from_voxel[2, 3] + 2.0 * (dose.gray.shape[0] - 0.5) == end
    histogram = dose_volume_histogram(mask, frame, dose)

    # The cap above has the height h = r - end; its centroid lies 3 (2r - h)^2 / (4 (3r - h)) above the middle.
    h = radius - end
    whole, cap = 4 / 3 * math.pi * radius**3, math.pi * h**2 * (3 * radius - h) / 3
    above = 3 * (2 * radius - h) ** 2 / (4 * (3 * radius - h))
    assert histogram.outside_share == pytest.approx(cap / whole, abs=0.005)
    assert value(histogram, "mean") == pytest.approx(CENTRE_GY - SLOPE * above * cap / (whole - cap), rel=0.005)
    # The hottest 0.03 cc are a disc under the cut, 30 / (pi rho^2) thick.
    thick = 30 / (math.pi * (radius**2 - end**2))
    assert value(histogram, "D0.03cc") == pytest.approx(CENTRE_GY + SLOPE * (end - thick), rel=0.01)
    # A volume is a lower bound: of what is known.
    assert value(histogram, "V0Gycc") == pytest.approx((whole - cap) / 1000, rel=0.01)


def test_a_structure_beyond_the_dose_has_no_figures_rather_than_zero():
    mask, frame = drawn(Sphere(9.0), (3.0, 2.0, 2.0))
    histogram = dose_volume_histogram(mask, frame, linear_dose("head", SLOPE, low=(40, -40, -40), high=(80, 40, 40)))
    assert histogram.outside_share == 1.0
    assert all(math.isnan(value(histogram, text)) for text in ("mean", "D0.03cc", "D95%", "V20Gy", "V20Gycc"))


def test_an_empty_mask_has_no_figures_and_no_share():
    mask, frame = drawn(Sphere(9.0), (3.0, 2.0, 2.0))
    histogram = dose_volume_histogram(np.zeros_like(mask), frame, linear_dose("head", SLOPE))
    assert math.isnan(histogram.outside_share)
    assert math.isnan(value(histogram, "mean"))


def test_a_structure_smaller_than_the_volume_asked_for_has_no_such_dose():
    frame = Frame.canonical((4, 4, 4), (2.0, 2.0, 2.0))
    mask = np.zeros(frame.shape, dtype=bool)
    mask[1, 1, 1:4] = True  # 24 cubic mm
    histogram = dose_volume_histogram(mask, frame, linear_dose("head", SLOPE))
    assert math.isnan(value(histogram, "D0.03cc"))
    assert value(histogram, "D0.024cc") == pytest.approx(value(histogram, "D_min"))
    assert value(histogram, "D100%") == value(histogram, "D_min") < value(histogram, "D_max")


def test_a_single_voxel_has_the_figures_of_its_box():
    # 3 mm along z, in a dose that grows by 1 Gy a mm there: from 48.5 to 51.5 Gy.
    frame = Frame.canonical((3, 3, 3), (3.0, 2.0, 2.0), (-3.0, -2.0, -2.0))
    mask = np.zeros(frame.shape, dtype=bool)
    mask[1, 1, 1] = True
    histogram = dose_volume_histogram(mask, frame, linear_dose("head", 1.0))
    assert histogram.known_cc == pytest.approx(0.012)
    for text, wanted in (("mean", 50), ("D_max", 51.5), ("D_min", 48.5), ("D25%", 50.75), ("D0.003cc", 50.75)):
        assert value(histogram, text) == pytest.approx(wanted, abs=0.002)
    assert value(histogram, "V51Gy") == pytest.approx(100 / 6, abs=0.1)
    assert value(histogram, "V51Gycc") == pytest.approx(0.002, abs=1e-5)
    assert math.isnan(value(histogram, "D0.03cc"))


def test_a_plateau_gets_its_own_dose():
    frame = Frame.canonical((6, 6, 6), (2.0, 2.0, 2.0))
    plateau = DoseGrid(
        np.full((9, 9, 9), 2000 * np.float64(0.01), np.float32), Frame.canonical((9, 9, 9), (2.7, 3.1, 1.9))
    )
    histogram = dose_volume_histogram(np.ones((6, 6, 6), dtype=bool), frame, plateau)
    assert value(histogram, "V20Gy") == 100.0


def test_histogram_is_that_of_simpleitk_on_a_fine_grid_for_a_curved_dose_that_lies_oblique():
    rng = np.random.default_rng(5)
    mask_frame = Frame.canonical((12, 16, 16), (3.0, 1.5, 1.5), (-18.0, -12.0, -12.0))
    mask = np.zeros(mask_frame.shape, dtype=bool)
    mask[3:9, 4:12, 3:11] = rng.random((6, 8, 8)) > 0.3
    affine = np.eye(4)
    turn = np.radians(20)
    columns = np.array([[0, 0, 1], [-np.sin(turn), np.cos(turn), 0], [np.cos(turn), np.sin(turn), 0]]).T  # z, y, x
    affine[:3, :3] = columns * [3.0, 2.5, 2.5]
    affine[:3, 3] = -columns @ [30, 30, 30]
    frame = Frame((21, 25, 25), affine)
    gray = (40 + 300 * gaussian_filter(rng.standard_normal(frame.shape), 2)).clip(0).astype(np.float32)

    image = SimpleITK.GetImageFromArray(gray)
    image.SetSpacing((2.5, 2.5, 3.0))
    image.SetDirection(columns[:, ::-1].ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    # Parts of 0.25 mm: 12 x 6 x 6 of a voxel.
    fine = SimpleITK.Image(96, 96, 144, SimpleITK.sitkFloat32)
    fine.SetSpacing((0.25, 0.25, 0.25))
    fine.SetOrigin((-12.625, -12.625, -19.375))
    doses = SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, fine, SimpleITK.Transform(), SimpleITK.sitkLinear))
    theirs = np.sort(doses[mask.repeat(12, 0).repeat(6, 1).repeat(6, 2)])

    histogram = dose_volume_histogram(mask, mask_frame, DoseGrid(gray, frame))
    assert histogram.outside_share == 0.0
    assert value(histogram, "mean") == pytest.approx(theirs.mean(), abs=0.01)
    for percent in (2, 25, 50, 75, 95, 98):
        assert value(histogram, f"D{percent}%") == pytest.approx(np.quantile(theirs, 1 - percent / 100), abs=0.05)
        assert value(histogram, f"V{20 + percent / 4}Gy") == pytest.approx(
            100 * np.mean(theirs >= 20 + percent / 4), abs=0.2
        )
