"""A file or a folder is written whole or not at all."""

import errno
import fcntl
import os
import random
import signal
import subprocess
import sys

import pytest

from gossamer import atomic
from gossamer.atomic import ROOM_BYTES, make_folder, whole_folder, write_atomically, write_large_atomically
from gossamer.errors import DataError, DiskFullError, StorageError, UsageError


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


def test_a_folder_is_made_with_those_above_it_and_every_new_name_is_flushed(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(atomic, "flush_folder", lambda folder: flushed.append((folder, sorted(folder.iterdir()))))
    (tmp_path / "there").mkdir()
    folder = tmp_path / "there/new/inner"
    make_folder(folder, "wanted a folder", mode=0o700)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert flushed == [(folder.parent, [folder]), (tmp_path / "there", [folder.parent])]
    flushed.clear()
    make_folder(folder, "wanted a folder")
    assert flushed == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    for place in ("file", "file/inner"):
        with pytest.raises(StorageError, match="wanted a folder; found: "):
            make_folder(tmp_path / place, "wanted a folder")


def fill(folder, text="new"):
    (folder / "inner").mkdir()
    (folder / "inner/file").write_text(text)


def test_a_folder_appears_with_all_that_is_in_it(tmp_path):
    place = tmp_path / "above/place"
    with whole_folder(place, "wanted to write it") as folder:
        fill(folder)
        assert not place.exists()
    assert (place / "inner/file").read_text() == "new"
    assert [path.name for path in place.parent.iterdir()] == ["place"]


def test_a_folder_is_replaced_whole_when_that_is_asked_for(tmp_path):
    place = tmp_path / "place"
    for text in ("old", "new"):
        with whole_folder(place, "wanted to write it", replace=True) as folder:
            fill(folder, text)
            (folder / text).touch()
            assert text == "old" or (place / "inner/file").read_text() == "old"
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "place/inner/file",
        "place/new",
    ]


def test_what_lies_in_the_place_is_not_touched_unless_that_is_asked_for(tmp_path):
    fill(tmp_path, "old")
    refused = pytest.raises(UsageError, match="wanted to write it; found that something lies in its place")
    with refused, whole_folder(tmp_path / "inner", "wanted to write it"):
        pytest.fail("it is refused before anything is done")
    assert (tmp_path / "inner/file").read_text() == "old"


def replace(place, at_the_end):
    with whole_folder(place, "wanted to write it", replace=True) as folder:
        fill(folder)
        at_the_end()


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError])
def test_a_folder_that_is_not_finished_leaves_what_was_there(tmp_path, error):
    (tmp_path / "place").mkdir()
    fill(tmp_path / "place", "old")

    def interrupt():
        raise error

    with pytest.raises(error):
        replace(tmp_path / "place", interrupt)
    assert (tmp_path / "place/inner/file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


@pytest.mark.parametrize("step", [("fsync", 1), ("rename", 1), ("rename", 2)])
@pytest.mark.parametrize("failure", [(errno.ENOSPC, DiskFullError), (errno.EIO, StorageError)])
def test_a_failing_disk_leaves_the_former_folder_and_no_draft(tmp_path, monkeypatch, step, failure):
    """Of the renames the first puts the former folder aside, the second the new one in its place."""
    (call, nth), (code, error) = step, failure
    (tmp_path / "place").mkdir()
    fill(tmp_path / "place", "old")
    real, calls = getattr(os, call), []

    def fail(*arguments):
        calls.append(arguments)
        if len(calls) == nth:
            raise OSError(code, os.strerror(code))
        return real(*arguments)

    with pytest.raises(error, match="wanted to write it; found"):
        replace(tmp_path / "place", lambda: monkeypatch.setattr(os, call, fail))
    assert (tmp_path / "place/inner/file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


KILLED = """
import os, signal, sys
from pathlib import Path
from gossamer.atomic import whole_folder

real, left = getattr(os, sys.argv[2]), [int(sys.argv[3])]

def call(*arguments, **more):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **more)

with whole_folder(Path(sys.argv[1]), "wanted to write it", replace=True) as folder:
    (folder / "file").write_text("new")
    setattr(os, sys.argv[2], call)
"""


@pytest.mark.parametrize(("call", "nth", "there"), [("fsync", 1, "old"), ("rename", 2, None), ("rmdir", 1, "new")])
def test_who_is_killed_leaves_a_whole_folder_or_none(tmp_path, call, nth, there):
    place = tmp_path / "place"
    place.mkdir()
    (place / "file").write_text("old")
    (place / "more").write_text("old")
    killed = subprocess.run([sys.executable, "-c", KILLED, place, call, str(nth)], check=False)
    assert killed.returncode == -signal.SIGKILL
    files = {path.name: path.read_text() for path in place.glob("*")}
    assert files == {"old": {"file": "old", "more": "old"}, "new": {"file": "new"}, None: {}}[there]
    with whole_folder(place, "wanted to write it", replace=True) as folder:
        (folder / "file").write_text("newer")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["place", "place/file"]
