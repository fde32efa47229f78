"""Write a file whole or not at all: a reader never meets half of it, whenever the power fails."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from gossamer.errors import DiskFullError, StorageError


def write_atomically(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` (UTF-8): write beside it, flush to disk, rename, flush the folder.

    Raises:
        DiskFullError: there is no room; the file keeps its former content.
        StorageError: it cannot be written for another reason; likewise.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        draft.unlink(missing_ok=True)
        wanted = f"wanted to write {path.name} ({len(text) / 1e6:.1f} MB)"
        if error.errno == errno.ENOSPC:
            raise DiskFullError(
                f"{wanted}; found no room on the disk of the study folder; free some and run the same command again"
            ) from error
        raise StorageError(
            f"{wanted}; found: {error.strerror}, in the study folder; make it writable and run the same command again"
        ) from error
