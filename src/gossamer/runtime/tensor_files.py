"""Tensors by name on the disk, in files that are written once and then only read or removed.

A journal keeps a model and the optimiser's moments at every turn of an exchange, and most of them as they were the time
before. What is kept already is remembered for tensors that live (``wire.digests``), so keeping it again costs neither
time nor room.

The checksum is XXH3 of 128 bits, a tenth of the work of SHA-256: it finds what a disk has spoiled, and nobody but the
site itself writes there. References in records of format 2 bear a SHA-256; they are read as well.

Law
    1. A reference is told when the file is durable. It names the file and the checksum of all in it.
    2. ``fetch`` gives what was kept, to the bit, or raises.
    3. A file is removed by ``keep_only`` alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import xxhash
from torch import Tensor

from gossamer.atomic import storage_error, write_large_atomically
from gossamer.errors import StorageError, WireError
from gossamer.wire.digests import Remembered
from gossamer.wire.frame import Frame, build_frame, read_header, read_tensors

FILES = "tensors-*.safetensors"
DRAFTS = ".tensors-*.part"
_REFERENCE = re.compile(r"(tensors-[0-9]+-[0-9]+\.safetensors) ([0-9a-f]{64}|[0-9a-f]{32})", re.ASCII)
SHA256_DIGITS = 64


class TensorFiles:
    """Those of one folder, which nobody else writes."""

    def __init__(self, folder: Path) -> None:
        """Nothing is known of what lies in the folder until it is fetched."""
        self._folder = folder
        self._kept: Remembered[tuple[bytes, str]] = Remembered()  # with the header, since names and shapes count
        self._references: set[str] = set()
        self._count = 0

    def keep(self, tensors: Mapping[str, Tensor], generation: int) -> str:
        """Make tensors durable, unless they are.

        Args:
            tensors: never changed in place.
            generation: files that a power cut leaves are of one that was never told; it will be written over.

        Returns:
            A reference for ``fetch``.

        Raises:
            DiskFullError: there is no room.
            StorageError: they cannot be written for another reason.
        """
        frame = build_frame({}, tensors)
        header, reference = self._kept.recall(frame.tensors) or (b"", "")
        if header == frame.header and reference in self._references:
            return reference
        name = f"tensors-{generation}-{self._count}.safetensors"
        self._count += 1
        checksum = xxhash.xxh3_128()

        def pieces() -> Iterator[bytes | memoryview]:
            for piece in frame.pieces():
                checksum.update(piece)
                yield piece

        write_large_atomically(self._folder / name, pieces())
        return self._note(frame, f"{name} {checksum.hexdigest()}")

    def fetch(self, reference: str) -> dict[str, Tensor]:
        """What was kept under a reference.

        Raises:
            StorageError: the file is gone, cannot be read, or holds something else.
        """
        said = _REFERENCE.fullmatch(reference)
        if said is None:
            raise StorageError("wanted a reference to a file of tensors; found none, in a record of the journal")
        name, checksum = said.groups()
        try:
            data = memoryview(bytearray((self._folder / name).stat().st_size))
            with (self._folder / name).open("rb") as file:
                data = data[: file.readinto(data)]
            header = read_header(data, len(data))
        except OSError as error:
            raise storage_error(error, f"wanted to read {name}") from error
        except WireError as error:
            raise _damaged(name) from error
        if _checksum(data, header.size_bytes, is_sha256=len(checksum) == SHA256_DIGITS) != checksum:
            raise _damaged(name)
        tensors = read_tensors(data, header)
        self._note(build_frame({}, tensors), reference)
        return tensors

    def keep_only(self, references: Collection[str]) -> None:
        """Remove what no reference names, and what a power cut left half written.

        Raises:
            StorageError: the disk does not let it go.
        """
        self._references &= set(references)
        names = {reference.split()[0] for reference in references}
        for path in (*self._folder.glob(FILES), *self._folder.glob(DRAFTS)):
            if path.name not in names:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise storage_error(error, f"wanted to remove {path.name}") from error

    def _note(self, frame: Frame, reference: str) -> str:
        self._kept.note(frame.tensors, (frame.header, reference))
        self._references.add(reference)
        return reference


def _checksum(data: memoryview, header_bytes: int, *, is_sha256: bool) -> str:
    """Of a whole file, as its reference has it."""
    if is_sha256:  # of the header with the sum of the rest
        return hashlib.sha256(bytes(data[:header_bytes]) + hashlib.sha256(data[header_bytes:]).digest()).hexdigest()
    return xxhash.xxh3_128_hexdigest(data)


def _damaged(name: str) -> StorageError:
    return StorageError(f"wanted the tensors that this site wrote; found others, in {name} of its journal")
