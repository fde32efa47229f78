"""The notebook runs from top to bottom, in an empty folder and a fresh Python, as a reader would run it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "study_in_python.py"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder it ran in, and what it printed."""
    folder = tmp_path_factory.mktemp("notebook")
    done = subprocess.run([sys.executable, EXAMPLE], cwd=folder, check=True, capture_output=True, text=True)
    return folder, done.stdout


def test_it_writes_into_its_own_folder_only(finished):
    folder, _ = finished
    assert [path.name for path in folder.iterdir()] == ["study-in-python"]
    assert {"results.json", "cases.csv", "report.html"} <= {
        path.name for path in (folder / "study-in-python" / "results").iterdir()
    }


def test_closing_table_has_all_arms(finished):
    _, printed = finished
    table = printed[printed.index("On validation patients") : printed.index("the same with figures")]
    for arm in ("local-only", "pooled", "gossip"):
        assert re.search(rf"^{arm} +[.\d]+ \[", table, re.MULTILINE)


def test_every_organ_of_the_contoured_patient_has_its_scores(finished):
    _, printed = finished
    rows = re.findall(r"^A-val-\d+, (\w+): \d+ voxels predicted, dsc ([\d.]+), surface_dsc ([\d.]+)", printed, re.M)
    assert {organ for organ, *_ in rows} == {"Liver", "Kidney_L", "Kidney_R"}
    assert all(0 <= float(value) <= 1 for _, *values in rows for value in values)


def test_liver_is_found_by_then(finished):
    """The largest organ, after 120 steps at 12 mm: far from good, far from chance."""
    _, printed = finished
    [dsc] = re.findall(r"^gossip: Liver ([\d.]+)", printed, re.M)
    assert float(dsc) > 0.2


def test_each_cell_begins_with_a_heading():
    cells = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line.startswith("# %%")]
    assert len(cells) >= 8
    assert all(len(cell) > len("# %% ") for cell in cells)
