import csv
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from gossamer.data.dose import DoseGrid, read_dose_nifti
from gossamer.data.frame import Frame
from gossamer.data.image import read_label_map
from gossamer.errors import GeometryMismatchError, UnreadableImageError

SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not (SHARED / "openkbp_dose").is_dir(), reason="needs ../shared/data (real patients), which is absent"
)

FRAME = Frame.canonical((5, 6, 7), (3.0, 2.0, 2.5), (10.0, -20.0, 30.0))


def random_dose(seed=0):
    return DoseGrid(np.random.default_rng(seed).uniform(0, 60, FRAME.shape).astype(np.float32), FRAME)


def test_between_centres_a_dose_is_trilinear():
    dose = random_dose()
    index = np.random.default_rng(1).uniform(0, np.array(FRAME.shape) - 1, (500, 3))
    expected = map_coordinates(dose.gray.astype(float), index.T, order=1)
    np.testing.assert_allclose(dose.at(FRAME.world_from_index(index)), expected, atol=1e-4)


def test_beyond_half_a_voxel_outside_its_centres_a_dose_is_unknown():
    dose = random_dose()
    for axis, last in enumerate(np.array(FRAME.shape) - 1):
        for place, known in ((-0.51, False), (-0.49, True), (last + 0.49, True), (last + 0.51, False)):
            index = np.full((1, 3), 2.0)
            index[0, axis] = place
            assert np.isnan(dose.at(FRAME.world_from_index(index))[0]) != known


def test_in_the_rim_the_line_is_followed_and_never_below_nothing():
    ramp = DoseGrid(np.arange(5, dtype=np.float32)[:, None, None] * np.ones(FRAME.shape, np.float32), FRAME)
    places = np.array([[4.4, 2.0, 2.0], [-0.4, 2.0, 2.0], [0.4, 2.0, 2.0]])
    np.testing.assert_allclose(ramp.at(FRAME.world_from_index(places)), [4.4, 0.0, 0.4], atol=1e-5)


def test_onto_its_own_grid_a_dose_is_itself():
    dose = random_dose()
    np.testing.assert_allclose(dose.onto(FRAME), dose.gray, atol=1e-5)
    far = dose.onto(Frame.canonical((2, 2, 2), (1.0, 1.0, 1.0), (500.0, 0.0, 0.0)))
    assert np.isnan(far).all()


def test_one_plane_is_no_dose_of_a_volume():
    with pytest.raises(GeometryMismatchError, match="at least 2 planes"):
        DoseGrid(np.zeros((1, 4, 4), np.float32), Frame.canonical((1, 4, 4), (1.0, 1.0, 1.0)))


def written(path, values):
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-2.0, -3.0, 2.5, 1.0])), path)
    return path


def test_dose_of_a_nifti_file_lies_where_the_file_says(tmp_path):
    values = np.zeros((4, 5, 6), np.float32)
    values[1, 2, 3] = 42.5
    dose = read_dose_nifti(written(tmp_path / "d.nii.gz", values))
    assert dose.at(np.array([[1 * 2.0, 2 * 3.0, 3 * 2.5]]))[0] == pytest.approx(42.5)  # LPS is minus RAS in x and y


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v * 100, "is it in cGy"),
        (lambda v: v - 30, "found -30"),
        (lambda v: np.where(v == v.max(), np.nan, v), "1 that are no number"),
    ],
)
def test_what_is_no_dose_in_gray_is_refused(tmp_path, change, message):
    values = np.linspace(0, 70, 4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    with pytest.raises(UnreadableImageError, match=message):
        read_dose_nifti(written(tmp_path / "d.nii.gz", change(values)))


def test_what_splines_leave_below_nothing_is_nothing(tmp_path):
    values = np.linspace(-0.3, 70, 4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    dose = read_dose_nifti(written(tmp_path / "d.nii.gz", values))
    assert dose.gray.min() == 0.0
    assert dose.gray.max() == 70.0


@needs_shared
def test_means_of_real_plans_are_those_of_the_summary_that_lies_beside_them():
    table = (SHARED / "openkbp_dose/dose_summary.csv").read_text().splitlines()
    summary = {row["id"]: row for row in csv.DictReader(table)}
    labels = {"Brainstem": 1, "SpinalCord": 2, "RightParotid": 3, "LeftParotid": 4, "Mandible": 7}
    compared = 0
    for case in ("train_pt_1", "train_pt_14", "train_pt_16"):
        dose = read_dose_nifti(SHARED / f"openkbp_dose/{case}_dose.nii.gz")
        organs, frame = read_label_map(SHARED / f"openkbp/{case}_oar.nii.gz")
        gray = dose.onto(frame)
        for organ, label in labels.items():
            if summary[case][f"{organ}_mean"]:
                inside = gray[organs == label]
                assert inside.mean() == pytest.approx(float(summary[case][f"{organ}_mean"]), abs=0.0051)
                assert inside.max() == pytest.approx(float(summary[case][f"{organ}_max"]), abs=0.0051)
                compared += 1
    assert compared >= 12
