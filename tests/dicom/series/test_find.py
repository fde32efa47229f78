"""Series as scanners and archives leave them: what belongs together, in which order, and who it is."""

import numpy as np
import pytest
from tests.dicom.phantom_series import SERIES, STUDY, image_uid, rename, write_multiframe, write_series

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.series.find import find_series


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


def test_frames_of_a_multi_frame_ct_are_slices(tmp_path, one):
    write_multiframe(tmp_path, [29, 20, 26, 23])
    series = one()
    assert [part.plane.frame for part in series.slices] == [1, 3, 2, 0]
    np.testing.assert_array_equal(series.stack.first_xyz, [(-100, -50, z) for z in (20, 23, 26, 29)])
    assert [part.plane.slope for part in series.slices] == [2, 4, 3, 1]
    assert series.sop_instance_uids == (image_uid(0),) * 4


# Files that other systems wrote


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
