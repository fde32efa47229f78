"""Tensors by name on the disk, in files that are written once and then only read or removed.

A journal keeps a model and the optimiser's moments at every turn of an exchange, and most of them as they were the time
before. What is kept already is told by its SHA-256, which is remembered for tensors that live (``wire.digests``), so
keeping it again costs neither time nor room.

Law
    1. A reference is told when the file is durable. It names the file and the SHA-256 of all in it.
    2. ``fetch`` gives what was kept, to the bit, or raises.
    3. A file is removed by ``keep_only`` alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from torch import Tensor

from gossamer.atomic import storage_error, write_large_atomically
from gossamer.errors import StorageError, WireError
from gossamer.wire.digests import note_sha256, recalled_sha256
from gossamer.wire.frame import Frame, build_frame, read_header, read_tensors

FILES = "tensors-*.safetensors"
DRAFTS = ".tensors-*.part"
_REFERENCE = re.compile(r"(tensors-[0-9]+-[0-9]+\.safetensors) ([0-9a-f]{64})", re.ASCII)


class TensorFiles:
    """Those of one folder, which nobody else writes."""

    def __init__(self, folder: Path) -> None:
        """Nothing is known of what lies in the folder until it is fetched."""
        self._folder = folder
        self._names: dict[str, str] = {}
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
        if recalled_sha256(frame.tensors) is not None and (name := self._names.get(_sha256(frame))):
            return f"{name} {_sha256(frame)}"
        name = f"tensors-{generation}-{self._count}.safetensors"
        self._count += 1
        with ThreadPoolExecutor(1) as beside:  # hashing takes as long as the disk does
            hashing = beside.submit(_sha256, frame)
            write_large_atomically(self._folder / name, frame.pieces())
        sha256 = hashing.result()
        return f"{self._names.setdefault(sha256, name)} {sha256}"

    def fetch(self, reference: str) -> dict[str, Tensor]:
        """What was kept under a reference.

        Raises:
            StorageError: the file is gone, cannot be read, or holds something else.
        """
        said = _REFERENCE.fullmatch(reference)
        if said is None:
            raise StorageError("wanted a reference to a file of tensors; found none, in a record of the journal")
        name, sha256 = said.groups()
        try:
            data = memoryview(bytearray((self._folder / name).stat().st_size))
            with (self._folder / name).open("rb") as file:
                data = data[: file.readinto(data)]
            header = read_header(data, len(data))
        except OSError as error:
            raise storage_error(error, f"wanted to read {name}") from error
        except WireError as error:
            raise _damaged(name) from error
        body_sha256 = hashlib.sha256(data[header.size_bytes :]).digest()
        if _of_both(bytes(data[: header.size_bytes]), body_sha256) != sha256:
            raise _damaged(name)
        tensors = read_tensors(data, header)
        note_sha256(list(tensors.values()), body_sha256)
        self._names.setdefault(sha256, name)
        return tensors

    def keep_only(self, references: Collection[str]) -> None:
        """Remove what no reference names, and what a power cut left half written.

        Raises:
            StorageError: the disk does not let it go.
        """
        names = {reference.split()[0] for reference in references}
        self._names = {sha256: name for sha256, name in self._names.items() if name in names}
        for path in (*self._folder.glob(FILES), *self._folder.glob(DRAFTS)):
            if path.name not in names:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise storage_error(error, f"wanted to remove {path.name}") from error


def _sha256(frame: Frame) -> str:
    return _of_both(frame.header, frame.body_sha256)


def _of_both(header: bytes, body_sha256: bytes) -> str:
    """Of the header with the body's sum, so that a body that was hashed elsewhere is not hashed again."""
    return hashlib.sha256(header + body_sha256).hexdigest()


def _damaged(name: str) -> StorageError:
    return StorageError(f"wanted the tensors that this site wrote; found others, in {name} of its journal")
