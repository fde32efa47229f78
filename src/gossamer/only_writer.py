"""One process at a time writes in a folder: two that resume the same run would each undo the other's checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from gossamer.atomic import storage_error
from gossamer.errors import FolderBusyError

LOCK = ".lock"


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold a folder alone until the block ends; the operating system lets go of it when the process dies.

    Args:
        folder: it exists.

    Raises:
        FolderBusyError: another process holds it.
        StorageError: nothing can be written there.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FolderBusyError(
            f"wanted to be the only one that writes in {folder.name!r}; found another process at work there; wait for "
            "it, or end it: what it has done is kept"
        ) from error
    except OSError as error:
        raise storage_error(error, f"wanted to write in {folder.name!r}") from error
    try:
        yield
    finally:
        lock.release()
