"""The synthetic scanner: noise, calibration, field of view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gossamer.data.phantom import Habit, Hospital, Scanner, draw_patient
from gossamer.data.phantom.scan import OUTSIDE_HU, noise, scan

SPACING_MM = (3.0, 3.0, 3.0)
FULL = Scanner(
    spacing_mm=(5.0, 4.0, 4.0), field_of_view_mm=500.0, reach_mm={"abdomen": (-250.0, 160.0)}, reach_sd_mm=0.0
)


def _axes(slices=20, rows=150, columns=150):
    return tuple(
        (np.arange(n, dtype=np.float32) - (n - 1) / 2) * np.float32(s)
        for n, s in zip((slices, rows, columns), SPACING_MM, strict=True)
    )


def _water(half_width_mm, half_depth_mm):
    """An elliptic cylinder of water in air."""
    z, y, x = np.ix_(*_axes())
    inside = (x / half_width_mm) ** 2 + (y / half_depth_mm) ** 2 < 1
    return np.where(inside & (z < np.inf), 0, -1000).astype(np.float32)


def _centre(image):
    _, rows, columns = image.shape
    return image[:, rows // 2 - 8 : rows // 2 + 8, columns // 2 - 8 : columns // 2 + 8]


@pytest.mark.parametrize("grain_mm", [3.5, 5.5])
def test_noise_in_the_middle_of_the_reference_is_as_set(grain_mm):
    scanner = Scanner(noise_hu=14.0, noise_grain_mm=grain_mm)
    added = noise(_water(160, 160), SPACING_MM, scanner, np.random.default_rng(0))
    assert _centre(added).std() == pytest.approx(14.0, rel=0.05)
    assert _centre(added).mean() == pytest.approx(0.0, abs=1.0)


def test_noise_grows_with_the_body_and_falls_to_its_edge():
    scanner = Scanner(noise_hu=10.0)
    thin, thick = (noise(_water(r, r), SPACING_MM, scanner, np.random.default_rng(0)) for r in (120, 190))
    assert _centre(thick).std() > 1.8 * _centre(thin).std()
    assert thick[:, 70:80, -20:].std() < 0.8 * _centre(thick).std()


def test_a_wide_body_has_horizontal_streaks():
    added = _centre(noise(_water(215, 90), SPACING_MM, Scanner(noise_hu=10.0), np.random.default_rng(0)))
    along_x = np.corrcoef(added[:, :, 1:].ravel(), added[:, :, :-1].ravel())[0, 1]
    along_y = np.corrcoef(added[:, 1:].ravel(), added[:, :-1].ravel())[0, 1]
    assert along_x > along_y + 0.2


def test_noise_has_the_spectrum_of_filtered_backprojection():
    added = noise(_water(160, 160), SPACING_MM, Scanner(noise_grain_mm=5.0), np.random.default_rng(0))
    power = (np.abs(np.fft.fft2(added)) ** 2).mean(axis=0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(150, 3.0), np.fft.fftfreq(150, 3.0), indexing="ij"))
    at_crest = power[(frequency > 0.09) & (frequency < 0.11)].mean()  # 1 / (2 * 5 mm)
    assert power[(frequency > 0) & (frequency < 0.02)].mean() < 0.4 * at_crest
    assert power[frequency > 0.19].mean() < 0.6 * at_crest


def test_calibration_shifts_the_image_by_as_much_as_set():
    still = Scanner(noise_hu=0.0, field_of_view_mm=700.0)
    plain, shifted = (
        scan(_water(160, 160), _axes(), s, np.random.default_rng(0)) for s in (still, replace(still, shift_hu=-8.0))
    )
    assert (plain - shifted == 8).all()


def test_nothing_is_reconstructed_outside_the_field_of_view():
    image = scan(_water(200, 200), _axes(), Scanner(field_of_view_mm=300.0), np.random.default_rng(0))
    _, y, x = np.ix_(*_axes())
    outside = np.broadcast_to(np.hypot(y, x) > 150, image.shape)
    assert (image[outside] == OUTSIDE_HU).all()
    assert image[~outside].min() > -200


def test_a_kernel_blurs_and_sharpening_overshoots():
    soft, sharp = (
        scan(_water(160, 160), _axes(), s, np.random.default_rng(0))
        for s in (Scanner(noise_hu=0, blur_mm=8.0), Scanner(noise_hu=0, blur_mm=4.0, sharpening=0.8))
    )
    assert soft.max() <= 0
    assert sharp.max() > 30


def test_image_lies_on_the_scanners_grid():
    scanner = Scanner(spacing_mm=(5.0, 3.3, 3.3), field_of_view_mm=400.0, reach_sd_mm=0.0)
    image = draw_patient("abdomen", Hospital("X", scanner), 1).image
    assert image.frame.spacing_mm == pytest.approx((5.0, 3.3, 3.3))
    assert image.voxels.dtype == np.int16
    assert image.voxels.shape == image.frame.shape
    assert image.frame.extent_mm[0] == pytest.approx(325, abs=5)
    assert image.frame.extent_mm[2] == pytest.approx(400, abs=7)


@pytest.mark.parametrize(
    "cut",
    [
        replace(FULL, reach_mm={"abdomen": (-70.0, 160.0)}),
        replace(FULL, reach_mm={"abdomen": (-250.0, 30.0)}),
        replace(FULL, field_of_view_mm=200.0),
    ],
    ids=["kidneys cut below", "liver cut above", "narrow circle"],
)
def test_an_organ_cut_by_the_field_of_view_is_not_complete(cut):
    habit = Habit(wobble_mm=0.0)
    for seed in range(3):
        whole, part = (draw_patient("abdomen", Hospital("X", s, habit), seed) for s in (FULL, cut))
        assert set(whole.complete) == set(whole.masks)
        assert set(part.complete) < set(whole.complete)
        for name, mask in part.masks.items():
            assert (name in part.complete) == (mask.sum() >= 0.9 * whole.masks[name].sum()), name


def test_the_same_patient_is_seen_by_two_scanners():
    fine, coarse = replace(FULL, spacing_mm=(3.0, 3.0, 3.0)), FULL
    a, b = (draw_patient("abdomen", Hospital("X", s, Habit(wobble_mm=0.0)), 5) for s in (fine, coarse))
    for name in a.masks:
        volumes = [p.masks[name].sum() * np.prod(p.image.frame.spacing_mm) for p in (a, b)]
        assert volumes[1] == pytest.approx(volumes[0], rel=0.12 if name == "SpinalCord" else 0.05), name
