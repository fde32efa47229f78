"""A folder with hostile files: each costs a prediction its own series, and that alone."""

import tracemalloc
from datetime import datetime

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian
from tests.cli.tiny_model import model_that_finds
from tests.dicom.hostile_files import SLICES
from tests.dicom.phantom_series import write_series

from gossamer.bounded_pool import Bounds
from gossamer.data import foreign_files
from gossamer.dicom.files import headers
from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.key import series_key
from gossamer.errors import UnreadableImageError
from gossamer.segment.contouring import contour_series
from gossamer.segment.model_file import read_model
from gossamer.segment.series_output import find_sources
from gossamer.segment.wanted import Wanted

HOSTILE = ("a-million-items", "nested-100000-deep", "position-1e308")
"""One that takes too long, one that cannot be read, and one whose header is read."""


def swell(file, _k):
    """4 MiB of pixels, of which deflate makes a thousandth."""
    file.Rows, file.Columns, file.PixelData = 1024, 2048, bytes(2**22)


DEFLATED = {"syntax": DeflatedExplicitVRLittleEndian, "change": swell}


@pytest.fixture
def found(tmp_path, monkeypatch):
    """What is found where the third slice of each series but one is hostile; headers are read as a user has them."""
    monkeypatch.setattr(headers, "BOUNDS", Bounds(2**30, 2.0))
    monkeypatch.setattr(foreign_files, "FEWEST_BYTES", 2**24)
    for number, hostile in enumerate(one for one in SLICES if one.name in HOSTILE):
        change = (lambda file, k, hostile=hostile: hostile.change(file) if k == 2 else None) if hostile.change else None
        paths = write_series(tmp_path, series_uid=f"1.2.{number}", change=change)
        if hostile.content:
            paths[2].write_bytes(hostile.content(paths[2].read_bytes()))
    write_series(tmp_path, series_uid="1.3.1")
    for again in ("1.4.1", "1.4.1.9"):  # each slice twice, so that their pixels are compared
        write_series(tmp_path / again, shape=(2, 4, 4), series_uid=again, SeriesInstanceUID="1.4.1", **DEFLATED)
    return find_sources(tmp_path, workers=1)


def test_a_hostile_file_costs_its_own_series_alone(found):
    assert [source.case for source in found.sources] == [f"CT-{series_key('1.3.1')}"]
    assert len(found.sources[0].series.slices) == 5
    refused = dict(found.refused)
    assert refused.keys() == {f"CT-{series_key(uid)}" for uid in ("1.2.0", "1.2.1", "1.2.2", "1.4.1")}
    assert "takes more" in str(refused[f"CT-{series_key('1.4.1')}"])
    first, second = found.unreadable
    assert "RecursionError" in first
    assert "takes more than 2 s" in second


def test_pixels_that_take_more_memory_than_their_files_deserve_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign_files, "FEWEST_BYTES", 2**24)
    write_series(tmp_path / "in", shape=(4, 4, 4), **DEFLATED)
    [series] = find_series(read_headers(tmp_path / "in").headers).series
    model = read_model(model_that_finds(tmp_path / "m", "Parotid_L"))
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableImageError, match="takes more"):
            contour_series(series, model, tmp_path, Wanted("rtstruct"), now=datetime(2026, 3, 4))
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
