"""Structure sets at the PACS are foreign: one that is made to cost memory costs a watch nothing, and hides no other."""

import shutil
import tracemalloc

import pytest
from tests.dicom.hostile_files import SET_CLASS, deflate_bomb, nested
from tests.dicom.pacs.drawing import MODEL_HASH, draw_box
from tests.dicom.phantom_series import SERIES, STUDY, write_series

from gossamer import bounded_pool
from gossamer.dicom.pacs.base import SeriesAtPacs
from gossamer.dicom.pacs.drawn import is_drawn

CT = SeriesAtPacs(STUDY, SERIES, "CT", 3)


class Shelf:
    """A PACS of structure sets, each a series of its own."""

    def __init__(self, *files):
        self.files = files

    def find_series(self, query):
        assert (query.study_uid, query.modality) == (STUDY, "RTSTRUCT")
        return [SeriesAtPacs(STUDY, f"1.2.{number}", "RTSTRUCT", 1) for number in range(len(self.files))]

    def fetch(self, series, folder):
        folder.mkdir()
        shutil.copy(self.files[int(series.series_uid.rpartition(".")[2])], folder)


@pytest.fixture
def files(tmp_path):
    """A structure set of ours, and two hostile ones."""
    write_series(tmp_path / "ct", shape=(3, 6, 8))
    for name, content in (("bomb", deflate_bomb(SET_CLASS, 32)), ("nested", nested(50_000, SET_CLASS))):
        (tmp_path / name).write_bytes(content)
    return draw_box(tmp_path / "ct"), tmp_path / "bomb", tmp_path / "nested"


def test_hostile_structure_sets_are_not_ours_and_cost_nothing(tmp_path, monkeypatch, files):
    ours, *hostile = files
    monkeypatch.setattr("gossamer.dicom.pacs.drawn.outcomes", bounded_pool.outcomes)  # as a user has it
    tracemalloc.start()
    try:
        assert is_drawn(Shelf(*hostile, ours), CT, MODEL_HASH, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("series_uid", "model_hash", "drawn"), [(SERIES, MODEL_HASH, True), ("1.9", MODEL_HASH, False), (SERIES, "", False)]
)
def test_structure_set_counts_if_this_model_drew_it_on_this_series(tmp_path, files, series_uid, model_hash, drawn):
    series = SeriesAtPacs(STUDY, series_uid, "CT", 3)
    assert is_drawn(Shelf(files[2], files[0]), series, model_hash, tmp_path) is drawn
