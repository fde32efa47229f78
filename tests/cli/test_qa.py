"""``gossamer qa``, as a physicist uses it."""

import json

import pytest
from tests.conftest import write_toy_site


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    for site in ("A", "C"):
        write_toy_site(folder / site, site, {"train": 2, "val": 1}, public=False)
    return folder


def test_pages_lie_beside_the_datasets_one_folder_a_site(run_main, data):
    status, said, err = run_main("qa", data, "--workers", 1)
    assert status in (0, None)
    assert "Kidney_R" in said
    assert "do not send them on" in err
    for site in ("A", "C"):
        assert str(data / "qa" / site / "index.html") in said
        assert len(list((data / "qa" / site / "cases").glob("*.html"))) == 3
    status, said, err = run_main("qa", data / "A", "--workers", 1, "--json")
    assert "Nothing to draw: 3 pages are as they were." in err
    [site] = json.loads(said)["sites"]
    assert site == json.loads((data / "qa" / "A" / "statistics.json").read_text())


def test_two_workers_draw_the_same_pages(run_main, data, tmp_path):
    for workers in (1, 2):
        run_main("qa", data / "A", "--out", tmp_path / f"by {workers}", "--workers", workers)
    one, two = (sorted(path for path in (tmp_path / f"by {n}").rglob("*") if path.is_file()) for n in (1, 2))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_one_case_is_drawn_alone_wherever_it_is(run_main, data, tmp_path):
    status, said, _ = run_main("qa", data, "--case", "C-train-1", "--out", tmp_path / "out")
    assert status in (0, None)
    assert said.strip() == str(tmp_path / "out" / "C" / "cases" / "C-train-1.html")
    assert [path.name for path in (tmp_path / "out").rglob("*.html")] == ["C-train-1.html"]


def test_a_folder_without_a_dataset_and_a_case_that_is_not_there_are_told(run_main, data, tmp_path):
    (tmp_path / "empty").mkdir()
    status, _, err = run_main("qa", tmp_path / "empty")
    assert (status, "found no dataset.json" in err) == (3, True)
    status, _, err = run_main("qa", data, "--case", "nobody")
    assert (status, "none of the name given with --case" in err) == (2, True)
