"""A file is written whole or not at all."""

import errno
import os

import pytest

from gossamer.atomic import write_atomically
from gossamer.errors import DiskFullError, StorageError


def test_text_bytes_and_pieces_are_written_whole(tmp_path):
    for content, expected in [("ü", b"\xc3\xbc"), (b"ab", b"ab"), ([b"a", memoryview(b"b")], b"ab")]:
        write_atomically(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == expected
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("code", "error"), [(errno.ENOSPC, DiskFullError), (errno.EIO, StorageError)])
def test_a_failing_disk_leaves_the_former_file_and_no_draft(tmp_path, monkeypatch, code, error):
    write_atomically(tmp_path / "file", "before")

    def fail(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(error, match="wanted to write file; found"):
        write_atomically(tmp_path / "file", "after")
    assert (tmp_path / "file").read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
