"""Write a file whole or not at all: a reader never meets half of it, whenever the power fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from gossamer.errors import DiskFullError, StorageError


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
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.unlink(missing_ok=True)  # one that a power cut left may have another mode
        with open(draft, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            for piece in _pieces(content):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise storage_error(error, f"wanted to write {path.name}") from error


def flush_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
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


def _pieces(content: str | bytes | Iterable[bytes | memoryview]) -> Iterable[bytes | memoryview]:
    if isinstance(content, str):
        return (content.encode(),)
    return (content,) if isinstance(content, bytes) else content
