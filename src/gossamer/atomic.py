"""Write a file or a folder whole or not at all: a reader never meets half of it, whenever the power fails."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, FileIO
from pathlib import Path

from gossamer.errors import DiskFullError, StorageError, UsageError

ROOM_BYTES = 2**22
"""A multiple of every disk's blocks; small enough for a core's cache, large enough for the disk to be busy."""


def write_atomically(path: Path, content: str | bytes | Iterable[bytes | memoryview], mode: int = 0o666) -> None:
    """Replace ``path`` by ``content``: write beside it, flush to disk, rename, flush the folder.

    Args:
        path: the file; its folder exists.
        content: text (written as UTF-8), bytes, or the pieces of a large file in order.
        mode: who may read it, from its first byte on; the umask takes its part, as for any new file.

    Raises:
        DiskFullError: there is no room; the file keeps its former content.
        StorageError: it cannot be written for another reason; likewise.
    """

    def write(file: FileIO) -> None:
        with BufferedWriter(file) as buffered:
            for piece in _pieces(content):
                buffered.write(piece)
            buffered.flush()
            os.fsync(file.fileno())

    _replace(path, write, mode)


def write_large_atomically(path: Path, pieces: Iterable[bytes | memoryview], mode: int = 0o666) -> None:
    """As ``write_atomically``, for a file that is not read soon: past the system's cache, where that can be done.

    That takes half of a core's time; what is in the cache stays there.

    Args:
        path: the file; its folder exists.
        pieces: of its content, in order.
        mode: as there.

    Raises:
        DiskFullError: there is no room; the file keeps its former content.
        StorageError: it cannot be written for another reason; likewise.
    """

    def write(file: FileIO) -> None:
        with file:
            _write_past_the_cache(file.fileno(), pieces)
            os.fsync(file.fileno())

    _replace(path, write, mode)


def _replace(path: Path, write: Callable[[FileIO], None], mode: int) -> None:
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.unlink(missing_ok=True)  # one that a power cut left may have another mode
        write(FileIO(draft, "wb", opener=lambda name, flags: os.open(name, flags, mode)))
        draft.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # a disk that is gone lets nothing be removed either
            draft.unlink(missing_ok=True)
        raise storage_error(error, f"wanted to write {path.name}") from error


def make_folder(folder: Path, wanted: str, mode: int = 0o777) -> None:
    """Make a folder and those above it, unless they are there; what is new is still there after a power cut.

    Args:
        folder: it may exist.
        wanted: the first part of a message, for example ``wanted a folder for notices``.
        mode: who may read it, if it is new; the umask takes its part.

    Raises:
        DiskFullError: there is no room.
        StorageError: it cannot be made for another reason.
    """
    try:
        new = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True, mode=mode)
        for each in new:
            flush_folder(each.parent)
    except OSError as error:
        raise storage_error(error, wanted) from error


@contextmanager
def whole_folder(place: Path, wanted: str, *, replace: bool = False) -> Iterator[Path]:
    """A folder to fill; at the end of the block it appears at ``place``, by one rename, with all of it on the disk.

    Whatever ends the block otherwise leaves nothing at ``place``, or what was there. Who is killed leaves a hidden
    folder beside it, which the next to write there removes.

    Args:
        place: the folder to be; those above it are made.
        wanted: the first part of a message, for example ``wanted to write case HN-017``.
        replace: what lies at ``place``, instead of refusing; it stays until the new folder is whole.

    Yields:
        An empty folder on the same disk.

    Raises:
        UsageError: something lies at ``place``, and is not to be replaced.
        DiskFullError: there is no room.
        StorageError: it cannot be written for another reason.
    """
    if not replace and place.exists():
        raise UsageError(f"{wanted}; found that something lies in its place already; remove it, or give another place")
    unfinished = unfinished_folder(place)
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        yield unfinished
        _flush_all(unfinished)
        _put(unfinished, place, replace=replace)
    except OSError as error:
        raise storage_error(error, wanted) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)  # of one that could not be written; a full disk needs the room


def unfinished_folder(place: Path) -> Path:
    """Where a ``whole_folder`` grows; who is killed meanwhile leaves it there."""
    return place.with_name(f".{place.name}.unfinished")


def _put(folder: Path, place: Path, *, replace: bool) -> None:
    """Rename a folder; what was there goes aside first, because to remove it takes more than a moment."""
    former = place.with_name(f".{place.name}.former")
    shutil.rmtree(former, ignore_errors=True)
    if replace and place.exists():
        place.rename(former)
    try:
        folder.rename(place)
    except OSError:
        with suppress(OSError):
            former.rename(place)
        raise
    flush_folder(place.parent)
    shutil.rmtree(former, ignore_errors=True)


def _flush_all(folder: Path) -> None:
    for inner, _, names in os.walk(folder):
        for name in (*names, "."):
            _flush(Path(inner, name))


def flush_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut."""
    _flush(folder)


def _flush(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def storage_error(error: OSError, wanted: str) -> StorageError:
    """Our error for the operating system's, with what to do.

    Args:
        error: what a write met.
        wanted: the first part of the message, for example ``wanted to write results.json``.
    """
    if error.errno == errno.ENOSPC:
        return DiskFullError(f"{wanted}; found no room on its disk; free some and run the same command again")
    return StorageError(
        f"{wanted}; found: {error.strerror}, in its folder; make it writable and run the same command again"
    )


def _write_past_the_cache(descriptor: int, pieces: Iterable[bytes | memoryview]) -> None:
    """The system takes aligned memory in whole blocks alone: so by way of a room, and the last bytes as usual."""
    _bypass_cache(descriptor, True)
    with mmap.mmap(-1, ROOM_BYTES) as room:
        filled = 0
        for piece in pieces:
            for begin, end in _parts(len(piece), ROOM_BYTES - filled):
                room[filled : filled + end - begin] = piece[begin:end]
                filled = (filled + end - begin) % ROOM_BYTES
                if filled == 0:
                    with memoryview(room) as whole:
                        _write_all(descriptor, whole)
        _bypass_cache(descriptor, False)
        _write_all(descriptor, memoryview(room[:filled]))


def _parts(length: int, first: int) -> Iterator[tuple[int, int]]:
    """Where the parts of a piece begin and end: the first fills the room that is left, the others all of it."""
    begin, end = 0, min(first, length)
    while begin < length:
        yield begin, end
        begin, end = end, min(end + ROOM_BYTES, length)


def _write_all(descriptor: int, content: memoryview) -> None:
    while content:
        try:
            content = content[os.write(descriptor, content) :]
        except OSError as error:
            if error.errno != errno.EINVAL or not _bypass_cache(descriptor, False):
                raise  # blocks of another size than are known anywhere, perhaps: then as usual


def _bypass_cache(descriptor: int, bypass: bool) -> bool:
    """Whether that was changed; not every file system, and no other system, knows it."""
    flag = getattr(os, "O_DIRECT", 0)
    before = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    after = before | flag if bypass else before & ~flag
    if after == before:
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, after)
    except OSError:
        return False
    return True


def _pieces(content: str | bytes | Iterable[bytes | memoryview]) -> Iterable[bytes | memoryview]:
    if isinstance(content, str):
        return (content.encode(),)
    return (content,) if isinstance(content, bytes) else content
