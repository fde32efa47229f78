"""What a site must find again after a power cut: its node and its trainer, always together, on the disk.

Law
    1. ``write`` returns when the record is durable; until then the one before is intact.
    2. ``read`` gives the newest record that is whole. One that is not (a torn write, a flipped bit) is never taken for
       one; then the record before it is, and what was lost since was not yet promised to anybody.
    3. One process at a time writes; ``only_writer`` holds the folder.

Two generations take turns in two files, each with a SHA-256 of all it holds (``wire.values``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gossamer.atomic import storage_error, write_atomically
from gossamer.errors import StorageError
from gossamer.gossip.trainer import TrainerState
from gossamer.node.snapshot import SNAPSHOT_KINDS, Snapshot
from gossamer.wire.values import pack, unpack


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
    """One generation in the journal."""

    generation: int
    kept: Kept


KEPT_KINDS: tuple[type, ...] = (*SNAPSHOT_KINDS, Kept, TrainerState)

_KINDS = (*KEPT_KINDS, Record)


class Journal:
    """Two files in a folder."""

    def __init__(self, folder: Path) -> None:
        """A journal in ``folder``, which exists; what is in it is kept."""
        self._files = (folder / "state-0.safetensors", folder / "state-1.safetensors")
        self._generation = -1

    def read(self) -> Kept | None:
        """The newest whole record; None where nothing was ever written.

        Raises:
            StorageError: there are files, and none is whole.
        """
        records, damage = [], []
        for path in self._files:
            if path.exists():
                try:
                    records.append(_read(path))
                except StorageError as error:
                    damage.append(error)
        if damage and not records:
            raise StorageError(
                f"wanted the state of this site; found {len(damage)} damaged file(s) and no whole one, in its journal; "
                "restore the folder from a backup, or let the site join anew with an empty one"
            ) from damage[0]
        if not records:
            return None
        newest = max(records, key=lambda record: record.generation)
        self._generation = newest.generation
        return newest.kept

    def write(self, kept: Kept) -> None:
        """Make a record durable; ``read`` has been called before.

        Raises:
            DiskFullError: there is no room; the record before is intact.
            StorageError: it cannot be written for another reason; likewise.
        """
        record = Record(self._generation + 1, kept)
        write_atomically(self._files[record.generation % 2], pack(record, _KINDS).pieces())
        self._generation = record.generation


def _read(path: Path) -> Record:
    try:
        data = bytearray(path.read_bytes())
    except OSError as error:
        raise storage_error(error, f"wanted to read {path.name}") from error
    record = unpack(data, _KINDS)
    if not isinstance(record, Record):
        raise StorageError(f"wanted a record of a journal; found {type(record).__name__}, at {path.name}")
    return record
