"""Contouring habits, measured on bodies whose volume and surface are known."""

from __future__ import annotations

import numpy as np
import pytest

from gossamer.data.phantom import Habit, Hospital, Scanner, draw_patient
from gossamer.data.phantom.contour import draw_contour

RADIUS_MM = 25.0


def _ball(spacing_mm, radius_mm=RADIUS_MM):
    """Distance to a ball in the middle of a grid."""
    axes = (np.arange(-60, 60.01, step) for step in spacing_mm)
    z, y, x = np.ix_(*axes)
    return (np.sqrt(z * z + y * y + x * x) - radius_mm).astype(np.float32)


def _draw(habit, spacing_mm=(3.0, 3.0, 3.0), distance=None, seed=0):
    distance = _ball(spacing_mm) if distance is None else distance
    return draw_contour(distance, spacing_mm, habit, np.random.default_rng(seed))


@pytest.mark.parametrize("spacing_mm", [(3.0, 3.0, 3.0), (5.0, 4.0, 4.0)])
@pytest.mark.parametrize("margin_mm", [-3.0, -1.0, 0.0, 1.5, 4.0])
@pytest.mark.parametrize("smoothing_mm", [0.0, 5.0])
def test_contours_lie_as_far_outside_as_set(spacing_mm, margin_mm, smoothing_mm):
    habit = Habit(margin_mm=margin_mm, smoothing_mm=smoothing_mm, wobble_mm=0.0)
    volume_mm3 = _draw(habit, spacing_mm).sum() * np.prod(spacing_mm)
    radius_mm = np.cbrt(volume_mm3 / (4 / 3 * np.pi))
    assert radius_mm - RADIUS_MM == pytest.approx(margin_mm, abs=0.5)


def test_margin_is_measurable_on_an_organ():
    from skimage.measure import marching_cubes, mesh_surface_area

    masks = {}
    for margin_mm in (0.0, 2.0):
        hospital = Hospital("X", Scanner(field_of_view_mm=500.0), Habit(margin_mm=margin_mm, wobble_mm=0.0))
        masks[margin_mm] = draw_patient("abdomen", hospital, 2).masks
    spacing_mm = (3.0, 3.0, 3.0)
    for name in ("Liver", "Spleen", "Kidney_L"):
        exact, wide = masks[0.0][name], masks[2.0][name]
        corners, faces, *_ = marching_cubes(exact.astype(np.float32), 0.5, spacing=spacing_mm)
        shift_mm = (wide.sum() - exact.sum()) * np.prod(spacing_mm) / mesh_surface_area(corners, faces)
        assert shift_mm == pytest.approx(2.0, abs=0.5), name


def test_smoothing_takes_a_spike_and_keeps_the_volume():
    spacing_mm = (2.0, 2.0, 2.0)
    spiked = _ball(spacing_mm)
    spiked[:, 28:33, 28:33] = np.minimum(spiked[:, 28:33, 28:33], np.where(np.arange(61) < 31, -1, 5)[:, None, None])
    rough, smooth = (_draw(Habit(smoothing_mm=s, wobble_mm=0.0), spacing_mm, spiked) for s in (0.0, 6.0))
    assert rough[4, 30, 30]
    assert not smooth[4, 30, 30]
    assert smooth.sum() == pytest.approx(rough.sum(), rel=0.02)


def test_smoothing_does_not_dissolve_a_thin_cord():
    spacing_mm = (3.0, 3.0, 3.0)
    z, y, x = np.ix_(*(np.arange(-60, 60.01, 3.0),) * 3)
    cord = (np.hypot(y, x) - 5 + 0 * z).astype(np.float32)
    assert _draw(Habit(smoothing_mm=8.0, wobble_mm=0.0), spacing_mm, cord).any(axis=(1, 2)).all()


def test_a_shaky_hand_errs_by_as_much_as_set_and_not_to_one_side():
    exact = _ball((2.0, 2.0, 2.0))
    shaky = _draw(Habit(wobble_mm=2.0), (2.0, 2.0, 2.0))
    error_mm = np.abs(exact[shaky != (exact < 0)])
    assert 0.5 < error_mm.mean() < 3.0
    assert np.cbrt(shaky.sum() / (exact < 0).sum()) == pytest.approx(1.0, abs=0.05)


def test_slices_at_the_ends_are_skipped():
    rows = [np.flatnonzero(_draw(Habit(slices_skipped=n, wobble_mm=0.0)).any(axis=(1, 2))) for n in (0, 2)]
    assert rows[1].tolist() == rows[0][2:-2].tolist()


def test_nothing_is_drawn_where_there_is_nothing():
    assert not _draw(Habit(), distance=np.full((5, 6, 7), 20.0, np.float32)).any()


@pytest.mark.parametrize(("region", "length_mm"), [("abdomen", 90.0), ("head-neck", 60.0)])
def test_the_cord_is_drawn_as_long_as_set(region, length_mm):
    scanner = Scanner(spacing_mm=(3.0, 4.0, 4.0), field_of_view_mm=500.0, reach_sd_mm=0.0)
    mask = draw_patient(region, Hospital("X", scanner, Habit(cord_mm=length_mm)), 0).masks["SpinalCord"]
    assert np.count_nonzero(mask.any(axis=(1, 2))) * 3.0 == pytest.approx(length_mm, abs=3.0)
