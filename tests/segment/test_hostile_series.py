"""A folder with hostile files: each costs a prediction its own series, and that alone."""

import pytest
from tests.dicom.hostile_files import SLICES
from tests.dicom.phantom_series import write_series

from gossamer.bounded_pool import Bounds
from gossamer.dicom.files import headers
from gossamer.dicom.series.key import series_key
from gossamer.segment.series_output import find_sources

HOSTILE = ("a-million-items", "nested-100000-deep", "position-1e308")
"""One that takes too long, one that cannot be read, and one whose header is read."""


@pytest.fixture
def found(tmp_path, monkeypatch):
    """What is found where the third slice of each series but one is hostile; headers are read as a user has them."""
    monkeypatch.setattr(headers, "BOUNDS", Bounds(2**30, 2.0))
    for number, hostile in enumerate(one for one in SLICES if one.name in HOSTILE):
        change = (lambda file, k, hostile=hostile: hostile.change(file) if k == 2 else None) if hostile.change else None
        paths = write_series(tmp_path, series_uid=f"1.2.{number}", change=change)
        if hostile.content:
            paths[2].write_bytes(hostile.content(paths[2].read_bytes()))
    write_series(tmp_path, series_uid="1.3.1")
    return find_sources(tmp_path, workers=1)


def test_a_hostile_file_costs_its_own_series_alone(found):
    assert [source.case for source in found.sources] == [f"CT-{series_key('1.3.1')}"]
    assert len(found.sources[0].series.slices) == 5
    refused = dict(found.refused)
    assert refused.keys() == {f"CT-{series_key(f'1.2.{number}')}" for number in range(len(HOSTILE))}
    first, second = found.unreadable
    assert "RecursionError" in first
    assert "takes more than 2 s" in second
