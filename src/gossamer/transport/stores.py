"""A folder of files in boxes, wherever it lies; here: one that the operating system shows.

Law
    1. Of a file no more is read than was asked for, whatever its size.
    2. The folder itself is never made: an address with a slip, or a drive that is not mounted, is an error. What is
       made in it is one level of boxes.
    3. In a local folder no link is followed and no pipe waited for: others may write there, and must not make this
       site read or overwrite its files elsewhere.

Nothing here needs a rename to be atomic, or a listing: what is read is only believed under its seal.
"""

from __future__ import annotations

import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Store(ABC):
    """A folder of files in boxes, by calls that block; for one thread at a time. Paths are ``box/name``.

    What goes wrong raises whatever the driver raises.
    """

    @abstractmethod
    def read(self, path: str, most_bytes: int) -> bytes | None:
        """The beginning of a file; None where there is none."""

    @abstractmethod
    def write(self, path: str, content: bytes) -> None:
        """Put a file in its box, in the place of one that is there; makes the box."""

    @abstractmethod
    def size_bytes(self, path: str) -> int | None:
        """Length of a file; None where there is none."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file, where there is one."""

    def close(self) -> None:  # noqa: B027  most have nothing to let go of
        """Let go of the connection."""


class LocalStore(Store):
    """A folder that the operating system shows: local, mounted, or kept in step by a synchronising program."""

    def __init__(self, root: Path) -> None:
        """The folder at ``root``, which exists."""
        self._root = root

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """See ``Store``; anything but a plain file reads as empty."""
        try:
            with self._box_of(path) as (box, name):
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=box)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
                return b""
            if isinstance(error, FileNotFoundError):
                return None
            raise
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return b""
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(most_bytes)
        finally:
            os.close(descriptor)

    def write(self, path: str, content: bytes) -> None:
        """See ``Store``. Not flushed to disk: what a power cut takes is missed by its reader and written again."""
        with suppress(FileExistsError):
            (self._root / path).parent.mkdir()
        with self._box_of(path) as (box, name):
            draft = f".{name}.part"
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=box)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=box)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.rename(draft, name, src_dir_fd=box, dst_dir_fd=box)

    def size_bytes(self, path: str) -> int | None:
        """See ``Store``."""
        try:
            with self._box_of(path) as (box, name):
                return os.stat(name, dir_fd=box, follow_symlinks=False).st_size
        except FileNotFoundError:
            return None

    def remove(self, path: str) -> None:
        """See ``Store``."""
        with suppress(FileNotFoundError), self._box_of(path) as (box, name):
            os.unlink(name, dir_fd=box)

    @contextmanager
    def _box_of(self, path: str) -> Iterator[tuple[int, str]]:
        """The box as a descriptor, so that nobody swaps it for a link in between; and the file's name."""
        box, _, name = path.partition("/")
        self._root.stat()  # an unmounted drive is an error, not an empty box
        descriptor = os.open(self._root / box, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            yield descriptor, name
        finally:
            os.close(descriptor)
