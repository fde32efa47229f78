"""A file is written whole or not at all."""

import errno
import fcntl
import os
import random

import pytest

from gossamer.atomic import ROOM_BYTES, write_atomically, write_large_atomically
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


def refuse_flags(monkeypatch):
    """As a file system that knows no way past the cache."""
    real = fcntl.fcntl

    def fail(descriptor, command, *flags):
        if command == fcntl.F_SETFL:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(descriptor, command, *flags)

    monkeypatch.setattr(fcntl, "fcntl", fail)


def refuse_blocks(monkeypatch):
    """As a disk whose blocks are of another size: it refuses what goes past the cache."""
    real = os.write

    def fail(descriptor, content):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(descriptor, content)

    monkeypatch.setattr(os, "write", fail)


@pytest.mark.parametrize("system", [lambda monkeypatch: None, refuse_flags, refuse_blocks])
@pytest.mark.parametrize(
    "lengths", [(), (0,), (1, 5000), (ROOM_BYTES,), (ROOM_BYTES - 1, 1, 7), (2 * ROOM_BYTES + 5, 9)]
)
def test_a_large_file_has_the_bytes_of_its_pieces_wherever_they_end(tmp_path, monkeypatch, system, lengths):
    system(monkeypatch)
    pieces = [random.Random(length).randbytes(length) for length in lengths]
    write_large_atomically(tmp_path / "file", map(memoryview, pieces), mode=0o600)
    assert (tmp_path / "file").read_bytes() == b"".join(pieces)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_large_file_is_not_there_when_the_disk_fails(tmp_path, monkeypatch, call):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(DiskFullError):
        write_large_atomically(tmp_path / "file", [bytes(ROOM_BYTES + 1)])
    assert list(tmp_path.iterdir()) == []
