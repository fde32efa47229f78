"""The measuring of pages draws the cases that it is given, and says what one took."""

import pytest
from tests.conftest import write_toy_site

from benchmarks import qa_pages
from gossamer.data.dataset import Dataset


def test_the_synthetic_case_is_a_dataset_that_can_be_drawn(tmp_path, capsys):
    qa_pages.make_dataset(tmp_path / "data", quick=True)
    [figure] = qa_pages.measure(Dataset.open(tmp_path / "data"), tmp_path / "pages")
    page = tmp_path / "pages/cases/case.html"
    assert "1 cases; of each, in the median: " in capsys.readouterr().out
    assert page.read_text().count("<svg") >= 3
    assert 0.01 < figure.found < figure.limit


def test_a_dataset_of_ones_own_is_drawn_case_by_case(tmp_path, monkeypatch, capsys):
    dataset = write_toy_site(tmp_path / "C", "C", {"train": 2, "val": 1}, public=False)
    monkeypatch.setattr("sys.argv", ["qa_pages", str(dataset.folder), "--quick"])
    qa_pages.main()
    assert "3 cases; of each, in the median: " in capsys.readouterr().out


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
