"""Series that a test writes, found again; and real ones, where somebody has fetched them."""

import tarfile
from pathlib import Path

import pytest
from tests.dicom.phantom_series import write_series

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.series.find import find_series

REAL = Path(__file__).parents[4] / "shared" / "data" / "dicom_rt"
"""Beside the repository, where somebody has fetched it."""


@pytest.fixture
def find(tmp_path):
    """Finds the series among what was written."""

    def found(referenced=()):
        headers = read_headers(tmp_path)
        assert headers.unreadable == ()
        return find_series(headers.headers, referenced)

    return found


@pytest.fixture
def one(find):
    """The only series, and none refused."""

    def only(referenced=()):
        found = find(referenced)
        assert found.refused == ()
        [series] = found.series
        return series

    return only


@pytest.fixture
def refusal(find):
    """Why the only series is refused."""

    def reason():
        found = find()
        assert found.series == ()
        [refused] = found.refused
        assert "Doe" not in refused.reason
        return refused.reason

    return reason


@pytest.fixture
def series_of(tmp_path, one):
    """Writes a series and finds it."""

    def both(*args, **settings):
        write_series(tmp_path, *args, **settings)
        return one()

    return both


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory):
    """Unpacks an archive of real files, once; skips where there is none."""
    folders = {}

    def unpack(name):
        if not (REAL / f"{name}.tar.xz").exists():
            pytest.skip("needs the DICOM files of ../shared/data/dicom_rt, which are not here")
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name)
            with tarfile.open(REAL / f"{name}.tar.xz", "r:xz") as archive:
                archive.extractall(folders[name], filter="data")
        return folders[name]

    return unpack
