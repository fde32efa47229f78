"""``gossamer names suggest`` and ``gossamer import dicom``, as a physicist uses them."""

import json

import numpy as np
import pytest
from tests.dicom.phantom_series import write_series
from tests.dicom.phantom_structures import Drawn, box, write_structures

from gossamer.data.dataset import Dataset

SHAPE, SPACING, FIRST = (5, 30, 40), (3.0, 1.0, 0.5), (-100.0, -50.0, 20.0)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


@pytest.fixture
def exports(tmp_path):
    """Three patients with a liver and a target, below a folder with a patient's name."""
    folder = tmp_path / "Doe^John"
    for n in range(3):
        uids = {"series_uid": f"1.2.{n}.2", "study_uid": f"1.2.{n}.1", "frame_uid": f"1.2.{n}.3"}
        voxels = np.full(SHAPE, 40, np.int16)
        write_series(folder, voxels, spacing=SPACING, ipp=FIRST, patient=f"Doe^John{n}", **uids)

        def of_patient(file, n=n):
            file.PatientID, file.SOPInstanceUID = f"ID of Doe^John{n}", f"1.2.{n}.9"

        contours = [box((10, 13), (5, 9), FIRST[2] + k * SPACING[0]) for k in (1, 2, 3)]
        rois = [Drawn(1, "Leber", contours), Drawn(2, "PTV 60", contours)]
        for roi in rois:
            roi.frame_uid = uids["frame_uid"]
        write_structures(folder / f"rs{n}.dcm", rois, change=of_patient, **uids)
    return folder


@pytest.fixture
def gossamer(run_main):
    def call(*arguments):
        status, out, err = run_main(*arguments)
        assert "Doe" not in out + err
        assert "Traceback" not in out + err
        return status, out, err

    return call


def test_names_are_suggested_confirmed_and_the_patients_imported(gossamer, exports, tmp_path):
    names, out = tmp_path / "names.toml", tmp_path / "out"
    status, _, err = gossamer("names", "suggest", exports, "--out", names)
    assert status in (0, None)
    assert "2 names of 3 structure sets" in err
    assert '"Leber" = "Liver"  # in 3 of 3' in names.read_text()

    arguments = ("import", "dicom", exports, "--site", "north", "--names", names, "--out", out, "--workers", 1)
    status, _, err = gossamer(*arguments)
    assert status == 4
    assert "confirmed" in err

    names.write_text(names.read_text().replace("confirmed = false", "confirmed = true"))
    status, said, _ = gossamer(*arguments, "--json")
    assert status in (0, None)
    cases = json.loads(said)["cases"]
    report = (out / "north-import.json").read_text()
    assert json.loads(report)["cases"] == cases
    assert str(tmp_path) not in report
    assert "Leber" not in report
    assert [case["drawn"] for case in cases] == [["Liver"]] * 3
    dataset = Dataset.open(out / "north")
    assert {case.id for case in dataset.cases} == {case["case"] for case in cases}

    [same] = json.loads(said)["same_ct"]
    assert [case["case"] for case in same] == [case.id for case in dataset.cases]

    status, _, err = gossamer(*arguments)
    assert "The same CT, voxel for voxel, in 3 cases, of which some train and some are to be scored: " in err
    assert "Nothing to do: 3 cases were imported before." in err


def test_without_names_all_are_left_out_and_the_remedy_is_told(gossamer, exports, tmp_path):
    status, said, err = gossamer("import", "dicom", exports, "--out", tmp_path / "out", "--workers", 1)
    assert status == 3
    assert said.count("no structure with a standard or confirmed name") == 3
    assert "gossamer names suggest" in err


def test_a_names_file_that_is_there_is_not_written_over(gossamer, exports, tmp_path):
    names = tmp_path / "names.toml"
    names.write_text("mine")
    status, _, err = gossamer("names", "suggest", exports, "--out", names)
    assert status == 2
    assert "is there already" in err
    assert names.read_text() == "mine"


def test_a_folder_without_structure_sets_is_told(gossamer, tmp_path):
    (tmp_path / "empty").mkdir()
    status, _, err = gossamer("names", "suggest", tmp_path / "empty")
    assert status == 3
    assert "found 0 structure sets" in err
