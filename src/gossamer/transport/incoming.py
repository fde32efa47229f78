"""A frame that is coming in, on the disk as far as it is here.

The file is the memory: it is mapped, so that what has come survives the process and costs no copy; the tensors of a
share are later read where they lie. Its room is reserved first, since a mapped file that meets a full disk kills the
process. At its end stands how much has come. After a power cut the file may hold less than it says; the hash finds
that, and the frame is asked for again from the beginning.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from pathlib import Path

from gossamer.atomic import storage_error
from gossamer.wire.frame import Buffer

PROGRESS_BYTES = 8


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
        self._map = _mapped(path, self._end + PROGRESS_BYTES)
        self._map[self._header_at : self._body_at] = header
        self._received = min(int.from_bytes(self._map[self._end :], "little"), body_bytes)
        with memoryview(self._map) as view:
            self._hash = hashlib.sha256(view[self._body_at : self._body_at + self._received])

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

    def fits(self, offset: int, content: memoryview) -> bool:
        """Whether ``content`` is what comes next."""
        return offset == self._received and self._body_at + offset + len(content) <= self._end

    def take(self, content: memoryview) -> None:
        """Add what comes next."""
        begin = self._body_at + self._received
        self._map[begin : begin + len(content)] = content
        self._hash.update(content)
        self._received += len(content)
        self._map[self._end :] = self._received.to_bytes(PROGRESS_BYTES, "little")

    def begin_anew(self) -> None:
        """Forget what has come."""
        self._received = 0
        self._hash = hashlib.sha256()
        self._map[self._end :] = bytes(PROGRESS_BYTES)

    def frame(self) -> Buffer:
        """The whole frame, in the memory it came into; the file is gone, the memory stays as long as it is used."""
        self._path.unlink(missing_ok=True)
        return memoryview(self._map)[self._header_at : self._end]

    def close(self) -> None:
        """Let go of the file; what has come stays in it."""
        self._map.close()


def _mapped(path: Path, size_bytes: int) -> mmap.mmap:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size != size_bytes:
                os.ftruncate(descriptor, 0)
                os.posix_fallocate(descriptor, 0, size_bytes)
            return mmap.mmap(descriptor, size_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise storage_error(error, f"wanted to keep {size_bytes} bytes that a peer sends") from error
