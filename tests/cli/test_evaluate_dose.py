"""``gossamer evaluate --dose``: which file is a case's dose, what is printed and written, what is left out."""

import csv
import json

import nibabel
import numpy as np
import pytest
from tests.cli.typed import typed
from tests.dicom.phantom_dose import write_dose

from gossamer.cli.evaluate import evaluate
from gossamer.errors import UnknownMetricError, UsageError

run = typed(evaluate)
SHAPE = (6, 6, 8)
"""Along x, y, z, of voxels of 2 mm, the first at the origin."""


def write_mask(path, begin, end):
    """A block of 4 x 4 voxels from one slice up to another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[1:5, 1:5, begin:end] = 1
    nibabel.save(nibabel.Nifti1Image(mask, np.diag([2.0, 2.0, 2.0, 1.0])), path)


def write_ramp(path, slices=8):
    """Dose of 10 Gy at the first slice, 2 Gy more a slice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dose = np.broadcast_to(10 + 2.0 * np.arange(slices, dtype=np.float32), (*SHAPE[:2], slices))
    nibabel.save(nibabel.Nifti1Image(dose, np.diag([2.0, 2.0, 2.0, 1.0])), path)


@pytest.fixture
def folders(tmp_path):
    for case, predicted, drawn in (("c1", (2, 6), (1, 5)), ("c2", (0, 0), (2, 4)), ("c3", (2, 7), (2, 4))):
        if predicted[1]:
            write_mask(tmp_path / f"p/{case}/segmentations/Liver.nii.gz", *predicted)
        write_mask(tmp_path / f"p/{case}/segmentations/Spleen.nii.gz", 0, 2)
        write_mask(tmp_path / f"r/{case}/segmentations/Liver.nii.gz", *drawn)
    (tmp_path / "d").mkdir()
    return "-p", tmp_path / "p", "-r", tmp_path / "r", "--metric", "dsc", "--dose", tmp_path / "d"


def row(text, *first):
    [found] = [line.split() for line in text.splitlines() if line.split()[: len(first)] == list(first)]
    return found


def test_figures_of_each_case_and_their_summary_are_printed(folders, tmp_path):
    write_ramp(tmp_path / "d/c1.nii.gz")
    write_ramp(tmp_path / "d/c2_dose.nii.gz")
    write_ramp(tmp_path / "d/c3/dose.nii.gz")
    done = run(*folders, "--dvh", "mean", "--dvh", "V15Gy")
    assert done.exit_code == 0, done.output
    # Slices 1 to 4 have 12 to 18 Gy, slices 2 to 5 have 14 to 20: means 15 and 17.
    tables = done.stdout[done.stdout.index("dose on the reference") :]
    c1 = row(tables, "c1", "Liver")
    assert c1[2:6] == ["15.00", "→", "17.00", "(+2.00)"]
    assert float(c1[6]) == pytest.approx(50, abs=0.2)  # dose grows along the slices: half of the reference has 15 Gy
    assert float(c1[8]) == pytest.approx(75, abs=0.2)
    assert c1[-3:] == ["0.0%", "→", "0.0%"]
    assert row(tables, "c2", "Liver")[2:5] == ["15.00", "→", "–"]
    # c1: +2 Gy; c3: 15 to 18 Gy, +3 Gy; c2 was missed. Mean 2.5, SD 0.71.
    mean = row(tables, "Liver", "D_mean")
    assert mean[2:7] == ["(Gy)", "2", "15.00", "17.50", "+2.50"]
    assert mean[-4:] == ["+1.11", "to", "+3.89", "1"]


def test_csv_and_json_hold_the_same_figures(folders, tmp_path):
    write_ramp(tmp_path / "d/c1.nii.gz")
    write_ramp(tmp_path / "d/c3.nii")
    done = run(*folders, "--json", "-o", tmp_path / "table.csv")
    document = json.loads(done.stdout)["dose"]
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = {line["case"]: line for line in csv.DictReader(file)}
    assert float(rows["c1"]["D_mean_difference_gy"]) == pytest.approx(2.0, abs=1e-3)
    assert float(rows["c1"]["outside_dose_reference"]) == 0.0
    assert rows["c2"]["dsc"] == "0.0"
    assert rows["c2"]["D_mean_reference_gy"] == ""
    [one, other] = document["cases"]
    assert [one["case"], other["case"]] == ["c1", "c3"]
    assert one["D0.03cc_reference_gy"] == float(rows["c1"]["D0.03cc_reference_gy"])
    assert document["without_dose"] == ["c2"]
    assert document["organs"][0]["difference"]["patients"] == 2
    assert "without a dose, left out of the dose figures: c2" in done.stderr


def test_rtdose_lies_on_the_masks_as_nifti_does(folders, tmp_path):
    # RAS (x, y, z) of the masks is LPS (-x, -y, z): the grid begins at the far end, and each plane is 2 Gy hotter.
    stored = np.broadcast_to(1000 * (10 + 2 * np.arange(8))[:, None, None], (8, 6, 6)).astype(np.uint32)
    write_dose(tmp_path / "d/c1.dcm", stored, spacing=(2, 2), ipp=(-10, -10, 0), offsets=[2.0 * k for k in range(8)])
    done = run(*folders, "--dvh", "mean", "--json")
    [case] = json.loads(done.stdout)["dose"]["cases"]
    assert case["D_mean_reference_gy"] == pytest.approx(15.0, abs=1e-3)
    assert case["D_mean_prediction_gy"] == pytest.approx(17.0, abs=1e-3)
    assert "no CT lies beside the dose, so whether it belongs to the patient's CT is not checked: c1" in done.stderr


def test_organs_that_the_dose_grid_cuts_are_named_with_their_share(folders, tmp_path):
    write_ramp(tmp_path / "d/c1.nii.gz", slices=4)  # slices 0 to 3; the reference has 1 to 4, the prediction 2 to 5
    done = run(*folders, "--json")
    [case] = json.loads(done.stdout)["dose"]["cases"]
    assert case["outside_dose_reference"] == pytest.approx(0.25)
    assert case["outside_dose_prediction"] == pytest.approx(0.5)
    assert case["D_mean_reference_gy"] == pytest.approx(14.0, abs=0.05)
    assert "partly outside the dose grid" in done.stderr
    assert "c1 Liver (50.0%)" in done.stderr


def test_a_dose_that_cannot_be_taken_costs_its_case_alone(folders, tmp_path):
    write_ramp(tmp_path / "d/c1.nii.gz")
    write_dose(tmp_path / "d/c2.dcm", DoseUnits="RELATIVE")
    write_ramp(tmp_path / "d/c3.nii.gz")
    write_ramp(tmp_path / "d/c3_dose.nii.gz")
    done = run(*folders, "--json")
    document = json.loads(done.stdout)["dose"]
    assert [case["case"] for case in document["cases"]] == ["c1"]
    assert document["without_dose"] == ["c2", "c3"]
    assert "GOS-301: case c2, dose: wanted Dose Units GY; found RELATIVE" in done.stderr
    assert "case c3, dose: wanted one dose of a case; found 2 under its name" in done.stderr


def test_unknown_figure_is_refused_before_anything_is_read(folders):
    done = run(*folders, "--dvh", "D95")
    assert isinstance(done.exception, UnknownMetricError)


def test_figures_without_doses_are_refused(folders):
    result = run(*folders[:-2], "--dvh", "V20Gy")
    assert isinstance(result.exception, UsageError)
    assert "name the folder of doses with --dose" in str(result.exception)


def test_without_a_dose_nothing_of_it_is_written(folders, tmp_path):
    done = run(*folders[:-2], "--json", "-o", tmp_path / "table.csv")
    assert "dose" not in json.loads(done.stdout)
    assert "dose" not in (tmp_path / "table.csv").read_text()
