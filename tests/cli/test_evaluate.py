import csv
import json

import nibabel
import numpy as np
import pytest
from tests.cli.typed import typed

from gossamer.cli.evaluate import evaluate
from gossamer.errors import UnknownMetricError

run = typed(evaluate)


def write_mask(path, length):
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((8, 6, 6), dtype=np.uint8)
    mask[:length, 1:3, 1:3] = 1
    nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), path)


@pytest.fixture
def folders(tmp_path):
    for case, predicted, drawn in (("c1", 4, 4), ("c2", 2, 6)):
        write_mask(tmp_path / f"p/{case}/segmentations/Liver.nii.gz", predicted)
        write_mask(tmp_path / f"r/{case}/segmentations/Liver.nii.gz", drawn)
    write_mask(tmp_path / "r/c3/segmentations/Liver.nii.gz", 4)
    return "-p", tmp_path / "p", "-r", tmp_path / "r"


def test_tables_go_to_stdout_and_words_to_stderr(folders):
    done = run(*folders)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert any(line.split() == ["c1", "Liver", "1.000", "1.000", "0.000", "scored"] for line in lines)
    assert any(line.split()[:3] == ["c2", "Liver", "0.500"] for line in lines)
    assert any(line.split()[:3] == ["Liver", "2", "0.750"] for line in lines)
    assert any(line.split()[:2] == ["organs", "0.750"] for line in lines)
    assert "without a prediction, not scored: c3" in done.stderr
    assert "scoring" not in done.stdout


def test_json_holds_the_same_numbers(folders):
    document = json.loads(run(*folders, "--json").stdout)
    assert [case["dsc"] for case in document["cases"]] == [1.0, 0.5]
    assert document["organs"][0]["means"]["dsc"] == 0.75
    assert document["means"]["dsc"]["over_patients"]["estimate"] == 0.75
    assert document["not_predicted"] == ["c3"]


def test_csv_has_a_row_for_each_case_and_organ(folders, tmp_path):
    run(*folders, "-o", tmp_path / "table.csv", "--metric", "dsc")
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case"], row["dsc"]) for row in rows] == [("c1", "1.0"), ("c2", "0.5")]
    assert "hd95_mm" not in rows[0]


def test_unknown_metric_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "p").mkdir()
    done = run("-p", tmp_path / "p", "-r", tmp_path / "p", "--metric", "dice")
    assert isinstance(done.exception, UnknownMetricError)
    assert "dsc, surface_dsc, hd95_mm" in str(done.exception)
