"""Images that lack what a slice needs, or contradict another under their UID, refuse the series and are named."""

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage
from tests.dicom.phantom_series import distinct_voxels, write_series


def test_two_files_of_one_uid_with_other_pixels_refuse_the_series(tmp_path, refusal):
    write_series(tmp_path / "a")
    write_series(tmp_path / "b", distinct_voxels((5, 6, 8)) + 1, change=lambda _file, k: k == 2)
    assert refusal() == (
        "wanted one image a SOP Instance UID; found two files of image 3 that differ; remove the wrong one"
    )


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


def test_a_multi_frame_ct_whose_frames_have_no_position_is_refused(tmp_path, refusal):
    def strip(file, _k):
        file.SOPClassUID = EnhancedCTImageStorage
        file.NumberOfFrames, file.PerFrameFunctionalGroupsSequence = 2, [Dataset(), Dataset()]
        file.SharedFunctionalGroupsSequence = [Dataset()]

    write_series(tmp_path, shape=(1, 6, 8), change=strip)
    assert "wanted Image Position (Patient) in each slice; found none in frame 1 of image 1" in refusal()
