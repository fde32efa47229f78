"""What a site must find again after a power cut: its node and its trainer, always together, on the disk.

Law
    1. ``write`` returns when the record is durable; until then the one before is intact.
    2. ``read`` gives the newest record that is whole. One that is not is never taken for one; then the record before
       it is. What a torn write loses was not yet promised to anybody. A disk that loses what it has written may lose
       a promise: ``damage`` says so, also of a record that is gone or of an older generation than it must be.
    3. One process at a time writes; ``only_writer`` holds the folder.

Two generations take turns in two files, each with a SHA-256 of all it holds (``wire.values``). Tensors lie beside them
(``tensor_files``), where both may refer to the same ones: what did not change since the generation before is not
written again. They are durable before the record that names them; what neither record names is removed after that. A
disk that spoils such a file spoils both records: two generations are against torn writes, a backup is against that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from gossamer.atomic import storage_error, write_atomically
from gossamer.errors import StorageError
from gossamer.gossip.trainer import TrainerState
from gossamer.node.snapshot import SNAPSHOT_KINDS, Snapshot
from gossamer.runtime.tensor_files import TensorFiles
from gossamer.wire.values import pack, unpack

FORMAT = 3
"""Of the files; raised by who changes them, so that a record of another version is told from a damaged one."""

READ = (2, FORMAT)
"""In format 2 tensors have another checksum (``tensor_files``)."""


@dataclass(frozen=True, eq=False)
class Kept:
    """What is on a site's disk.

    Attributes:
        snapshot: of the node.
        trainer_state: of the trainer that made the node's parameters.
        loss: of that local phase.
    """

    snapshot: Snapshot
    trainer_state: TrainerState
    loss: float


@dataclass(frozen=True, eq=False)
class Record:
    """One generation in the journal, in a format of its time."""

    format: int
    generation: int
    kept: Kept


KEPT_KINDS: tuple[type, ...] = (*SNAPSHOT_KINDS, Kept, TrainerState)

_KINDS = (*KEPT_KINDS, Record)


class Journal:
    """Two files in a folder, and the tensors beside them."""

    def __init__(self, folder: Path) -> None:
        """A journal in ``folder``, which exists; what is in it is kept."""
        self._files = (folder / "state-0.safetensors", folder / "state-1.safetensors")
        self._tensors = TensorFiles(folder)
        self._referred: list[set[str]] = [set(), set()]
        self._generation = -1
        self.damage: StorageError | None = None
        """What was wrong with a record that ``read`` did not take."""

    def read(self) -> Kept | None:
        """The newest whole record; None where nothing was ever written.

        Raises:
            StorageError: there are files, and none is whole.
        """
        records: list[Record] = []
        self.damage = None
        fetched: dict[str, Mapping[str, Tensor]] = {}
        for slot in range(len(self._files)):
            try:
                if (record := self._read(slot, fetched)) is not None:
                    records.append(record)
            except StorageError as error:
                self.damage = error
        if self.damage and not records:
            raise StorageError(
                "wanted the state of this site; found damaged records and no whole one, in its journal; "
                "restore the folder from a backup, or let the site join anew with an empty one"
            ) from self.damage
        if not records:
            return None
        *older, newest = sorted(records, key=lambda record: record.generation)
        self._generation = newest.generation
        before = newest.generation - 1
        if self.damage is None and before >= 0 and before not in {record.generation for record in older}:
            self.damage = StorageError(
                f"wanted generations {before} and {newest.generation} of this site's state; found the second alone, in "
                "its journal; its disk has lost what it had written, or a file was removed"
            )
        return newest.kept

    def write(self, kept: Kept) -> None:
        """Make a record durable; ``read`` has been called before.

        Raises:
            DiskFullError: there is no room; the record before is intact.
            StorageError: it cannot be written for another reason; likewise.
        """
        generation = self._generation + 1
        slot = generation % 2
        referred: set[str] = set()

        def keep(tensors: Mapping[str, Tensor]) -> str:
            referred.add(reference := self._tensors.keep(tensors, generation))
            return reference

        frame = pack(Record(FORMAT, generation, kept), _KINDS, keep)
        write_atomically(self._files[slot], frame.pieces())
        self._generation = generation
        self._referred[slot] = referred
        self._tensors.keep_only(self._referred[0] | self._referred[1])

    def _read(self, slot: int, fetched: dict[str, Mapping[str, Tensor]]) -> Record | None:
        """The record of one file, if there is one; what it has fetched serves the other one too."""
        path = self._files[slot]
        self._referred[slot] = set()

        def fetch(reference: str) -> Mapping[str, Tensor]:
            self._referred[slot].add(reference)
            if reference not in fetched:
                fetched[reference] = self._tensors.fetch(reference)
            return fetched[reference]

        try:
            data = bytearray(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error, f"wanted to read {path.name}") from error
        record = unpack(data, _KINDS, fetch)
        if not isinstance(record, Record):
            raise StorageError(f"wanted a record of a journal; found {type(record).__name__}, at {path.name}")
        if record.format not in READ:
            known = " or ".join(map(str, READ))
            raise StorageError(f"wanted a journal of format {known}; found format {record.format}, at {path.name}")
        return record
