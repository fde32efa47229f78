"""Series as scanners, archives and accidents leave them: each ends in a stack, or in a refusal that says where."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage
from tests.dicom.phantom_series import SERIES, STUDY, distinct_voxels, image_uid, write_multiframe, write_series

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.series import find as series
from gossamer.dicom.series.find import find_series, skew_mm, unevenness_mm

REAL = Path(__file__).parents[4] / "shared" / "data" / "dicom_rt"
"""Beside the repository, where somebody has fetched it."""

CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


@pytest.fixture
def find(tmp_path):
    """Finds the series among what was written."""

    def found(referenced=()):
        headers = read_headers(tmp_path)
        assert headers.unreadable == ()
        return find_series(headers.headers, referenced)

    return found


@pytest.fixture
def one(find):
    """The only series, and none refused."""

    def only(referenced=()):
        found = find(referenced)
        assert found.refused == ()
        [series] = found.series
        return series

    return only


@pytest.fixture
def refusal(find):
    """Why the only series is refused."""

    def reason():
        found = find()
        assert found.series == ()
        [refused] = found.refused
        assert "Doe" not in refused.reason
        return refused.reason

    return reason


def test_a_series_gives_its_stack_and_its_identity(tmp_path, one):
    write_series(tmp_path)
    series = one()
    assert (series.series_uid, series.study_uid, series.frame_of_reference_uid) == (SERIES, STUDY, "1.2.3.3")
    assert (series.patient_key, series.notes) == ("ID of Doe^Jane", ())
    assert series.sop_instance_uids == tuple(image_uid(k) for k in range(5))
    assert series.stack.shape == (5, 6, 8)
    np.testing.assert_array_equal(series.stack.first_xyz, [(-100, -50, 20 + 3 * k) for k in range(5)])
    np.testing.assert_array_equal(series.stack.row_step_xyz, (0, 1.5, 0))
    np.testing.assert_array_equal(series.stack.column_step_xyz, (0.75, 0, 0))
    assert "Doe" not in repr(series)


def test_only_positions_order_slices_whatever_numbers_and_locations_say(tmp_path, one):
    def reverse(file, k):
        file.InstanceNumber, file.SliceLocation = 5 - k, str(-20 - 3 * k)

    write_series(tmp_path, change=reverse)
    assert one().sop_instance_uids == tuple(image_uid(k) for k in range(5))


def test_slices_written_from_head_to_foot_stand_along_the_normal(tmp_path, one):
    write_series(tmp_path, positions=[0, -3, -6, -9])
    series = one()
    assert series.sop_instance_uids == tuple(image_uid(k) for k in (3, 2, 1, 0))
    np.testing.assert_array_equal(series.stack.positions_mm, [11, 14, 17, 20])


def test_a_prone_patient_s_normal_still_points_where_the_orientation_says(tmp_path, one):
    write_series(tmp_path, iop=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0), ipp=(100.0, 50.0, 20.0))
    stack = one().stack
    np.testing.assert_array_equal(stack.normal_xyz, (0, 0, 1))
    np.testing.assert_array_equal(stack.world_from_index(np.array([1.0, 2, 3])), (100 - 2.25, 50 - 3, 23))


def test_two_series_of_one_study_and_two_patients_under_one_uid_are_told_apart(tmp_path, find):
    write_series(tmp_path / "a")
    write_series(tmp_path / "b", series_uid="1.2.3.20", shape=(3, 6, 8))
    write_series(tmp_path / "c", patient="Roe^Jim", shape=(4, 6, 8), change=lambda f, k: rename(f, f"1.2.3.30.{k}"))
    found = find()
    assert [(s.series_uid, len(s.slices)) for s in found.series] == [(SERIES, 5), ("1.2.3.20", 3), (SERIES, 4)]
    assert len({s.patient_key for s in found.series}) == 2


def rename(file, uid):
    file.SOPInstanceUID = uid


# Missing, doubled, uneven, tilted


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


def test_a_slice_twice_under_two_uids_counts_once(tmp_path, one):
    write_series(tmp_path / "a")
    write_series(tmp_path / "b", change=lambda file, k: rename(file, f"1.2.3.99.{k}") or k == 2)
    series = one()
    assert series.sop_instance_uids == tuple(image_uid(k) for k in range(5))
    assert series.notes == ("1 slice left out: equal to another at the same place",)


def test_of_two_equal_slices_the_one_that_is_referred_to_is_kept(tmp_path, one):
    write_series(tmp_path / "a")
    write_series(tmp_path / "b", change=lambda file, k: rename(file, f"1.2.3.99.{k}") or k == 2)
    assert one(["1.2.3.99.2"]).sop_instance_uids[2] == "1.2.3.99.2"


def test_equal_pixels_of_another_scale_are_no_equal_slices(tmp_path, refusal):
    write_series(tmp_path / "a")
    write_series(
        tmp_path / "b",
        distinct_voxels((5, 6, 8)) - 24,
        intercept=-1048,
        change=lambda file, k: rename(file, f"1.2.3.99.{k}") or k == 2,
    )
    assert "found two or more that differ, at 26.00 mm" in refusal()


def test_two_slices_at_one_place_with_other_pixels_refuse_the_series(tmp_path, refusal):
    write_series(tmp_path / "a")
    noisy = distinct_voxels((5, 6, 8)) + 1
    write_series(tmp_path / "b", noisy, change=lambda file, k: rename(file, f"1.2.3.99.{k}") or k in (1, 3))
    assert refusal() == (
        "wanted one slice a position; found two or more that differ, at 23.00 mm, 29.00 mm; "
        "were two series joined? keep one of them in the folder"
    )


def test_two_files_of_one_uid_with_other_pixels_refuse_the_series(tmp_path, refusal):
    write_series(tmp_path / "a")
    write_series(tmp_path / "b", distinct_voxels((5, 6, 8)) + 1, change=lambda _file, k: k == 2)
    assert refusal() == (
        "wanted one image a SOP Instance UID; found two files of image 3 that differ; remove the wrong one"
    )


def test_a_slice_at_one_place_shifted_in_its_plane_contradicts(tmp_path, refusal):
    write_series(tmp_path / "a")
    write_series(
        tmp_path / "b", ipp=(-99.0, -50.0, 20.0), change=lambda file, k: rename(file, f"1.2.3.99.{k}") or k == 2
    )
    assert "that differ, at 26.00 mm" in refusal()


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


# Images that are not of one stack


def test_a_scout_is_left_out(tmp_path, one):
    write_series(tmp_path / "a")
    write_series(
        tmp_path / "b",
        shape=(1, 6, 8),
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        ImagePositionPatient=None,
        change=lambda file, _k: rename(file, "1.2.3.99"),
    )
    series = one()
    assert len(series.slices) == 5
    assert series.notes == ("1 image left out: scout, by its Image Type",)


def test_scouts_alone_are_no_series(tmp_path, refusal):
    write_series(tmp_path, shape=(2, 6, 8), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert refusal() == "wanted slices; found 2 images, all scouts; choose another series"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"iop": CORONAL}, "another orientation (normals 90.0 degrees apart)"),
        ({"tilt_degrees": 3.0}, "another orientation (normals 3.0 degrees apart)"),
        ({"shape": (2, 8, 6)}, "another size (8 x 6 rather than 6 x 8 pixels)"),
        ({"spacing": (3, 1.5, 0.7)}, "another pixel spacing (1.5000 x 0.7000 rather than 1.5000 x 0.7500 mm)"),
        ({"frame_uid": "1.2.3.33"}, "another frame of reference"),
    ],
)
def test_images_of_another_stack_are_left_out_with_the_reason(tmp_path, one, settings, reason):
    write_series(tmp_path / "a")
    write_series(
        tmp_path / "b",
        **{"shape": (2, 6, 8), "ipp": (-100.0, -50.0, 50.0)} | settings,
        change=lambda file, k: rename(file, f"1.2.3.99.{k}"),
    )
    series = one()
    assert series.sop_instance_uids == tuple(image_uid(k) for k in range(5))
    assert series.notes == (f"2 images left out: {reason}",)


def test_what_is_referred_to_is_kept_even_if_it_is_less(tmp_path, one):
    write_series(tmp_path / "a")
    write_series(tmp_path / "b", shape=(3, 6, 8), iop=CORONAL, change=lambda file, k: rename(file, f"1.2.3.99.{k}"))
    series = one(["1.2.3.99.0", "1.2.3.99.1", image_uid(0)])
    assert set(series.sop_instance_uids) == {f"1.2.3.99.{k}" for k in range(3)}
    assert series.notes == (
        "5 images left out: another orientation (normals 90.0 degrees apart)",
        "1 of these is referred to",
    )


def test_of_two_stacks_of_one_size_none_is_guessed(tmp_path, refusal):
    write_series(tmp_path / "a")
    write_series(tmp_path / "b", iop=CORONAL, change=lambda file, k: rename(file, f"1.2.3.99.{k}"))
    assert refusal() == (
        "wanted one stack of slices; found two of 5 images each with another orientation (normals 90.0 degrees apart); "
        "leave one of them out of the folder"
    )


def test_a_slice_of_another_spacing_within_the_stack_leaves_a_gap_that_is_found(tmp_path, refusal):
    def zoom(file, k):
        if k == 2:
            file.PixelSpacing = ["1.5", "0.7"]

    write_series(tmp_path, shape=(7, 6, 8), change=zoom)
    assert "1 slice missing, between 23.00 and 29.00 mm" in refusal()


# Acquisitions


def acquisition(tmp_path, number, **settings):
    write_series(
        tmp_path / str(number),
        AcquisitionNumber=number,
        change=lambda file, k: rename(file, f"1.2.3.9{number}.{k}"),
        **settings,
    )


def test_two_acquisitions_at_the_same_places_are_two_stacks(tmp_path, find):
    acquisition(tmp_path, 1)
    acquisition(tmp_path, 2, voxels=distinct_voxels((5, 6, 8)) + 100)
    found = find()
    assert found.refused == ()
    assert [series.sop_instance_uids[0] for series in found.series] == ["1.2.3.91.0", "1.2.3.92.0"]
    assert [series.notes for series in found.series] == [
        ("2 acquisitions overlap; this is number 1, of 5 slices",),
        ("2 acquisitions overlap; this is number 2, of 5 slices",),
    ]


def test_of_two_acquisitions_the_one_that_is_referred_to_is_kept(tmp_path, one):
    acquisition(tmp_path, 1)
    acquisition(tmp_path, 2, voxels=distinct_voxels((5, 6, 8)) + 100)
    assert one(["1.2.3.92.3"]).sop_instance_uids[0] == "1.2.3.92.0"


def test_two_acquisitions_between_each_other_are_two_stacks_where_one_would_be_uneven(tmp_path, find):
    acquisition(tmp_path, 1)
    acquisition(tmp_path, 2, ipp=(-100.0, -50.0, 21.0))
    assert [np.diff(series.stack.positions_mm).tolist() for series in find().series] == [[3.0] * 4] * 2


def test_acquisitions_one_after_the_other_are_one_stack(tmp_path, one):
    write_series(tmp_path, shape=(6, 6, 8), change=lambda file, k: setattr(file, "AcquisitionNumber", 1 + k // 2))
    assert (len(one().slices), one().notes) == (6, ())


def test_acquisitions_that_do_not_part_the_doubled_slices_refuse_the_series(tmp_path, refusal):
    acquisition(tmp_path, 1)
    acquisition(tmp_path, 2, voxels=distinct_voxels((5, 6, 8)) + 100, positions=[0, 3, 4, 9, 12])
    assert "two or more that differ, at 20.00 mm, 23.00 mm, 29.00 mm, 32.00 mm" in refusal()


def test_two_parts_that_share_only_their_last_slice_are_not_taken_for_two_stacks(tmp_path, refusal):
    acquisition(tmp_path, 1)
    acquisition(tmp_path, 2, ipp=(-100.0, -50.0, 32.0))
    assert "two or more that differ, at 32.00 mm" in refusal()


# Slices without what a slice needs


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"ImagePositionPatient": None}, "wanted Image Position (Patient) in each slice; found none in image 3"),
        ({"ImageOrientationPatient": None}, "wanted Image Orientation (Patient) in each slice; found none in image 3"),
        ({"PixelSpacing": None}, "wanted Pixel Spacing in each slice; found none in image 3"),
        ({"PixelSpacing": ["0", "0.75"]}, "image 3: wanted pixels of 0.01 to 100 mm; found 0 x 0.75 mm"),
        ({"PixelSpacing": ["1.5", "-0.75"]}, "image 3: wanted pixels of 0.01 to 100 mm; found 1.5 x -0.75 mm"),
        (
            {"ImageOrientationPatient": [1, 0, 0, 0.1, 1, 0]},
            "image 3: wanted an Image Orientation of two directions of length 1 at right angles; found 1, 0, 0, 0.1, 1",
        ),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, "found 0, 0, 0, 0, 0, 0"),
        (
            {"ImagePositionPatient": ["0", "0", "1e30"]},
            "image 3: wanted a slice within 100 m of the origin; found 1e+30",
        ),
        ({"RescaleSlope": None}, "wanted Rescale Slope (not 0) and Rescale Intercept; found a slice without"),
        ({"RescaleIntercept": None}, "wanted Rescale Slope (not 0) and Rescale Intercept; found a slice without"),
        ({"RescaleType": "US"}, "wanted HU; found values of Rescale Type US; choose the series with HU"),
        (
            {"ImageOrientationPatient": ["1e200", 0, 0, 0, "1e200", 0]},
            "at right angles; found 1e+200, 0, 0, 0, 1e+200, 0",
        ),
        ({"RescaleSlope": "1e300"}, "wanted a scale that gives HU; found a slope of 1e+300 and an intercept of -1024"),
        ({"RescaleIntercept": "-1e7"}, "wanted a scale that gives HU; found a slope of 1 and an intercept of -1e+07"),
        ({"Rows": 0}, "image 3: wanted rows and columns; found none"),
    ],
)
def test_a_slice_without_what_it_needs_refuses_the_series_and_is_named(tmp_path, refusal, settings, reason):
    def spoil(file, k):
        for keyword, value in settings.items() if k == 2 else ():
            if value is None:
                del file[keyword]
            else:
                setattr(file, keyword, value)

    write_series(tmp_path, change=spoil)
    assert reason in refusal()


def test_a_single_slice_is_no_stack(tmp_path, refusal):
    write_series(tmp_path, shape=(1, 6, 8))
    assert refusal() == "wanted at least 2 slices; found 1, at 20.00 mm; copy the whole series"


def test_slices_too_near_or_far_to_be_millimetres_are_refused(tmp_path, refusal):
    write_series(tmp_path, spacing=(3000.0, 1.5, 0.75))
    assert refusal().startswith("wanted slices 0.01 to 100 mm apart; found 3000 mm")


def test_a_series_larger_than_any_is_refused_before_it_is_read(tmp_path, refusal, monkeypatch):
    monkeypatch.setattr(series, "MAX_PIXELS", 239)
    write_series(tmp_path)
    assert refusal() == "wanted at most 239 pixels; found 5 x 6 x 8; export a smaller series"


def test_images_compressed_with_loss_are_said(tmp_path, one):
    write_series(tmp_path, LossyImageCompression="01")
    assert one().notes == ("images were compressed with loss",)


# Multi-frame


def test_frames_of_a_multi_frame_ct_are_slices(tmp_path, one):
    write_multiframe(tmp_path, [29, 20, 26, 23])
    series = one()
    assert [part.plane.frame for part in series.slices] == [1, 3, 2, 0]
    np.testing.assert_array_equal(series.stack.first_xyz, [(-100, -50, z) for z in (20, 23, 26, 29)])
    assert [part.plane.slope for part in series.slices] == [2, 4, 3, 1]
    assert series.sop_instance_uids == (image_uid(0),) * 4


def test_frames_in_a_row_were_scanned_so(tmp_path, one):
    write_multiframe(tmp_path, [20, 23, 26, 29, 35])
    assert one().notes == ("slices are unevenly spaced: 3.00 to 6.00 mm apart, mostly 3.00 mm",)


def test_frames_that_are_not_in_a_row_may_miss_what_would_be_between(tmp_path, refusal):
    write_multiframe(tmp_path, [20, 32, 23, 35, 26])
    assert "1 slice missing, between 26.00 and 32.00 mm" in refusal()


def test_a_multi_frame_ct_whose_frames_have_no_position_is_refused(tmp_path, refusal):
    def strip(file, _k):
        file.SOPClassUID = EnhancedCTImageStorage
        file.NumberOfFrames, file.PerFrameFunctionalGroupsSequence = 2, [Dataset(), Dataset()]
        file.SharedFunctionalGroupsSequence = [Dataset()]

    write_series(tmp_path, shape=(1, 6, 8), change=strip)
    assert "wanted Image Position (Patient) in each slice; found none in frame 1 of image 1" in refusal()


# Files that other systems wrote


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """Unpacks an archive of real files; skips where there is none."""

    def unpack(name):
        if not (REAL / f"{name}.tar.xz").exists():
            pytest.skip("needs the DICOM files of ../shared/data/dicom_rt, which are not here")
        folder = tmp_path_factory.mktemp(name)
        with tarfile.open(REAL / f"{name}.tar.xz", "r:xz") as archive:
            archive.extractall(folder, filter="data")
        return folder

    return unpack


@pytest.mark.parametrize(
    ("name", "shape", "spacing", "first_z"),
    [  # by the collection's own description, and the first and last positions in its files
        ("sts_001", (59, 202, 198), 3.27, -881.32),
        ("sts_010", (59, 164, 185), 3.27, 385.61),
        ("lung4d_113_p40", (99, 512, 512), 3.0, -1132.0),
        ("dcmqi_ct3slice_seg", (3, 512, 512), 1.0, -128.69),
    ],
)
def test_real_series_are_found_whole_and_even(unpacked, name, shape, spacing, first_z):
    found = find_series(read_headers(unpacked(name)).headers)
    assert found.refused == ()
    [series] = found.series
    assert (series.stack.shape, series.notes) == (shape, ())
    assert np.diff(series.stack.positions_mm) == pytest.approx(spacing, abs=1e-5)
    assert series.stack.first_xyz[0, 2] == pytest.approx(first_z, abs=1e-5)


def test_real_values_of_no_stated_unit_are_refused(unpacked):
    found = find_series(read_headers(unpacked("rtutils_mock") / "rtutils_mock" / "oriented_data").headers)
    assert {refused.reason for refused in found.refused} == {
        "wanted HU; found values of Rescale Type US; choose the series with HU"
    }
