"""Foreign files are read apart: what exceeds its bounds is refused, and costs this process nothing."""

import os
import tracemalloc

import pytest

from gossamer.data import foreign_files
from gossamer.data.foreign_files import bounds, read_apart
from gossamer.errors import UnreadableImageError


def read(path):
    """Takes much memory if the file says so."""
    if path.read_text() == "take":
        return bytes(2**28)[:1]
    return path.stat().st_size, os.getpid()


@pytest.fixture
def told(tmp_path):
    """Reads a file with such a word in it."""

    def tell(word):
        (tmp_path / "file").write_text(word)
        return read_apart(read, tmp_path / "file", [tmp_path / "file"], "a file")

    return tell


def test_what_is_read_comes_from_another_process(told):
    size, process = told("sound")
    assert size == 5
    assert process != os.getpid()


def test_what_exceeds_its_bounds_is_refused_and_costs_nothing_here(told, monkeypatch):
    monkeypatch.setattr(foreign_files, "FEWEST_BYTES", 2**26)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableImageError, match=r"^wanted a file that can be read .*; found that it takes more"):
            told("take")
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_bounds_grow_with_the_files_each_counted_once(tmp_path):
    (tmp_path / "one").write_bytes(bytes(1000))
    (tmp_path / "two").write_bytes(bytes(500))
    found = bounds([tmp_path / "one", tmp_path / "two", tmp_path / "one", tmp_path / "absent"])
    assert found.memory_bytes == 3 * 2**29 + 128 * 1500
    assert found.seconds == pytest.approx(10 + 2e-6 * 1500)
