"""A frame that is coming in, on the disk as far as it is here.

The file is the memory: what has come survives the process, and when all is here the file is mapped, so that the tensors
of a share are read where they lie. Its room is reserved first. At its end stands how much has come. After a power cut
the file may hold less than it says; the hash finds that, and the frame is asked for again from the beginning.

Writing and hashing takes a third of the time that it was on the line, so it is done beside the reading:
``take`` may be called in a thread, one at a time; ``close`` waits for it.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from gossamer.atomic import storage_error
from gossamer.wire.digests import note_sha256

PROGRESS_BYTES = 8

READ_BYTES = 2**20
"""At a time, of what is here already."""


class Incoming:
    """One frame on its way in."""

    def __init__(self, path: Path, header: bytes, body_bytes: int, sha256: bytes, room_for_header: int) -> None:
        """Go on with the file at ``path``, or begin it.

        Args:
            path: one for each sender and body.
            header: of the frame; may differ from the one of an earlier attempt.
            body_bytes: length of the rest.
            sha256: of the rest.
            room_for_header: the longest header there can be.

        Raises:
            DiskFullError: there is no room.
            StorageError: the file cannot be written.
        """
        self.sha256 = sha256
        self._path = path
        # Tensors begin on a multiple of 8, whatever the header's length.
        self._body_at = -(-room_for_header // 8) * 8
        self._header_at = self._body_at - len(header)
        self._end = self._body_at + body_bytes
        self._busy = Lock()
        self._file = -1
        try:
            self._file = _opened(path, self._end + PROGRESS_BYTES)
            os.pwrite(self._file, header, self._header_at)
            said = int.from_bytes(os.pread(self._file, PROGRESS_BYTES, self._end), "little")
            self._received = self._fitting = min(said, body_bytes)
            self._hash = hashlib.sha256()
            for at in range(self._body_at, self._body_at + self._received, READ_BYTES):
                length = min(READ_BYTES, self._body_at + self._received - at)
                self._hash.update(os.pread(self._file, length, at))
        except OSError as error:
            self.close()
            raise storage_error(error, f"wanted to keep {self._end} bytes that a peer sends") from error

    @property
    def received(self) -> int:
        """Bytes of the body that are here."""
        return self._received

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are here."""
        return self._body_at + self._received == self._end

    @property
    def is_sound(self) -> bool:
        """Whether they are the ones that were offered."""
        return self._hash.digest() == self.sha256

    @property
    def expected(self) -> int:
        """Where the next chunk must begin: after all that fitted."""
        return self._fitting

    @property
    def has_all(self) -> bool:
        """Whether all chunks have fitted; they are here when ``take`` has returned."""
        return self._body_at + self._fitting == self._end

    def fits(self, offset: int, content: memoryview) -> bool:
        """Whether ``content`` is what comes next; then the one after it must come next."""
        if offset != self._fitting or self._body_at + offset + len(content) > self._end:
            return False
        self._fitting += len(content)
        return True

    def take(self, contents: Sequence[memoryview]) -> None:
        """Add what comes next, unless it is closed.

        Raises:
            StorageError: it cannot be written.
        """
        with self._busy:
            try:
                for content in contents if self._file >= 0 else ():
                    _write_all(self._file, content, self._body_at + self._received)
                    self._hash.update(content)
                    self._received += len(content)
                    self._note_progress()
            except OSError as error:
                raise storage_error(error, f"wanted to keep {self._end} bytes that a peer sends") from error

    def begin_anew(self) -> None:
        """Forget what has come."""
        self._received = self._fitting = 0
        self._hash = hashlib.sha256()
        self._note_progress()

    def frame(self) -> memoryview:
        """The whole frame, mapped; the file is gone, the memory stays as long as it is used."""
        whole = memoryview(mmap.mmap(self._file, self._end))[self._header_at :]
        self._path.unlink(missing_ok=True)
        self.close()
        note_sha256([whole], self.sha256)
        return whole

    def close(self) -> None:
        """Let go of the file; what has come stays in it."""
        with self._busy:
            if self._file >= 0:
                os.close(self._file)
            self._file = -1

    def _note_progress(self) -> None:
        os.pwrite(self._file, self._received.to_bytes(PROGRESS_BYTES, "little"), self._end)


def _opened(path: Path, size_bytes: int) -> int:
    """A file of that length with room on the disk; what is in it is kept, if it has the length already."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(descriptor).st_size != size_bytes:
            os.ftruncate(descriptor, 0)
            os.posix_fallocate(descriptor, 0, size_bytes)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _write_all(descriptor: int, content: memoryview, at: int) -> None:
    while content:
        written = os.pwrite(descriptor, content, at)
        content, at = content[written:], at + written
