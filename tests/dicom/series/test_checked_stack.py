"""Slices at different places: missing, too far apart, uneven, tilted; each ends in a stack, or in a refusal in mm."""

import numpy as np
import pytest
from tests.dicom.phantom_series import write_multiframe, write_series

from gossamer.dicom.series import checked_stack
from gossamer.dicom.series.evenness import skew_mm, unevenness_mm


def test_a_missing_slice_refuses_the_series_and_is_named(tmp_path, refusal):
    write_series(tmp_path, shape=(9, 6, 8), change=lambda _file, k: k != 4)
    assert refusal() == (
        "wanted slices every 3.00 mm; found 1 slice missing, between 29.00 and 35.00 mm; copy the whole series again"
    )


def test_several_missing_slices_are_counted(tmp_path, refusal):
    write_series(tmp_path, shape=(12, 6, 8), change=lambda _file, k: k not in (2, 6, 7, 8))
    assert refusal().startswith(
        "wanted slices every 3.00 mm; found 4 slices missing, between 23.00 and 29.00 mm, between 35.00 and 47.00 mm;"
    )


@pytest.mark.parametrize("number", [1, None])
def test_without_numbers_that_testify_a_double_gap_is_a_missing_slice(tmp_path, refusal, number):
    positions = [0, 3, 6, 12, 15, 18]
    write_series(tmp_path, shape=(6, 6, 8), positions=positions, InstanceNumber=number)
    assert "1 slice missing, between 26.00 and 32.00 mm" in refusal()


def test_slices_3_and_6_mm_apart_numbered_in_a_row_were_scanned_so(tmp_path, one):
    write_series(tmp_path, shape=(6, 6, 8), positions=[0, 3, 6, 9, 15, 21])
    series = one()
    np.testing.assert_array_equal(series.stack.positions_mm, [20, 23, 26, 29, 35, 41])
    assert series.notes == ("slices are unevenly spaced: 3.00 to 6.00 mm apart, mostly 3.00 mm",)
    assert unevenness_mm(series.stack) == pytest.approx(3.6)  # the fourth slice: 29 mm instead of 20 + 3 * 21 / 5


def test_a_gap_over_which_nothing_can_be_interpolated_refuses_the_series(tmp_path, refusal):
    write_series(tmp_path, shape=(6, 6, 8), positions=[0, 3, 6, 9, 18.5, 21.5])
    assert refusal() == (
        "wanted slices at most 3 times their usual 3.00 mm apart; found 9.50 mm between 29.00 and 38.50 mm; "
        "copy the whole series, or choose another"
    )


def test_positions_rounded_by_their_writer_are_even(tmp_path, one):
    write_series(tmp_path, shape=(9, 6, 8), positions=[round(0.625 * k, 1) for k in range(9)])
    # 1.25, for one, became 1.2
    assert one().notes == ("slices lie up to 0.050 mm beside an even grid, and are taken to lie on it",)


def test_a_tilted_gantry_keeps_its_shear(tmp_path, one):
    write_series(tmp_path, shape=(11, 6, 80), tilt_degrees=20.0, spacing=(3.0, 10.0, 0.75))
    series = one()
    assert series.stack.positions_mm[-1] - series.stack.positions_mm[0] == pytest.approx(30 * np.cos(np.radians(20)))
    assert skew_mm(series.stack) == pytest.approx(30 * np.sin(np.radians(20)))
    assert series.notes == (
        "slices are shifted within their planes by up to 10.26 mm, as by a gantry tilt of 20.0 degrees",
    )


def test_slices_that_do_not_lie_above_each_other_refuse_the_series(tmp_path, refusal):
    def move(file, k):
        file.ImagePositionPatient[0] += 7.0 * (k == 3)

    write_series(tmp_path, change=move)
    assert refusal() == (
        "wanted slices above each other; found the one at 29.00 mm 7.0 mm beside the first, which is 6.0 mm wide; "
        "export the series again"
    )


def test_a_single_slice_is_no_stack(tmp_path, refusal):
    write_series(tmp_path, shape=(1, 6, 8))
    assert refusal() == "wanted at least 2 slices; found 1, at 20.00 mm; copy the whole series"


def test_slices_too_near_or_far_to_be_millimetres_are_refused(tmp_path, refusal):
    write_series(tmp_path, spacing=(3000.0, 1.5, 0.75))
    assert refusal().startswith("wanted slices 0.01 to 100 mm apart; found 3000 mm")


def test_a_series_larger_than_any_is_refused_before_it_is_read(tmp_path, refusal, monkeypatch):
    monkeypatch.setattr(checked_stack, "MAX_PIXELS", 239)
    write_series(tmp_path)
    assert refusal() == "wanted at most 239 pixels; found 5 x 6 x 8; export a smaller series"


def test_images_compressed_with_loss_are_said(tmp_path, one):
    write_series(tmp_path, LossyImageCompression="01")
    assert one().notes == ("images were compressed with loss",)


def test_frames_in_a_row_were_scanned_so(tmp_path, one):
    write_multiframe(tmp_path, [20, 23, 26, 29, 35])
    assert one().notes == ("slices are unevenly spaced: 3.00 to 6.00 mm apart, mostly 3.00 mm",)


def test_frames_that_are_not_in_a_row_may_miss_what_would_be_between(tmp_path, refusal):
    write_multiframe(tmp_path, [20, 32, 23, 35, 26])
    assert "1 slice missing, between 26.00 and 32.00 mm" in refusal()
