"""Slices at one place: the same one twice, acquisitions that overlap, or a contradiction."""

import numpy as np
from tests.dicom.phantom_series import distinct_voxels, image_uid, rename, write_multiframe, write_series

from gossamer.dicom.series import acquisitions
from gossamer.dicom.series.pixels import read_stored


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


def test_a_slice_at_one_place_shifted_in_its_plane_contradicts(tmp_path, refusal):
    write_series(tmp_path / "a")
    write_series(
        tmp_path / "b", ipp=(-99.0, -50.0, 20.0), change=lambda file, k: rename(file, f"1.2.3.99.{k}") or k == 2
    )
    assert "that differ, at 26.00 mm" in refusal()


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


def test_a_file_whose_frames_lie_at_the_same_places_is_read_once(tmp_path, refusal, monkeypatch):
    reads = []
    monkeypatch.setattr(acquisitions, "read_stored", lambda header: reads.append(header) or read_stored(header))
    write_multiframe(tmp_path, [20, 23, 26, 20, 23, 26])
    assert "two or more that differ, at 20.00 mm, 23.00 mm, 26.00 mm" in refusal()
    assert len(reads) == 1
