"""Images that are not of one stack: told apart, and what is left out is said."""

import pytest
from tests.dicom.phantom_series import image_uid, rename, write_series

from gossamer.dicom.series import groups

CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


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


def test_images_of_more_kinds_than_any_series_has_refuse_it(tmp_path, refusal, monkeypatch):
    monkeypatch.setattr(groups, "MAX_GROUPS", 3)
    write_series(tmp_path, change=lambda file, k: setattr(file, "PixelSpacing", ["1.5", f"0.{5 + k}"]))
    assert refusal() == (
        "wanted one stack of slices; found images of more than 3 orientations, sizes or spacings; choose another series"
    )
