"""What a watch has done, on the disk: nothing is contoured twice, and nothing contoured is lost.

::

    watch.json     each series by the SHA-256 of its UID: what became of it
    outbox/        structure sets on their way to the PACS, named alike; gone once the PACS has them
    work/          series on their way to the network; emptied at each start

Law
    1. A try is written down before it begins: a series that kills the process is not tried for ever.
    2. A structure set lies in the outbox before it is sent, and is sent again, the same file with the same UID, until
       the PACS has it: a PACS knows an instance that it has.
    3. The folder is its owner's alone, and one process writes in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gossamer.atomic import flush_folder, storage_error, write_atomically
from gossamer.documents import parse_json
from gossamer.errors import StorageError
from gossamer.only_writer import only_writer

STATE, OUTBOX, WORK = "watch.json", "outbox", "work"

FORGOTTEN_S = 10 * 365 * 86400.0
"""So that the file has a bound; a series that comes again after so long is looked up at the PACS."""


class Entry(BaseModel):
    """What became of a series.

    Attributes:
        state: ``trying``, ``done`` (we contoured it), ``there`` (a structure set of this model was there), ``held`` (it
            is unlike what the model learned from) or ``failed`` (tried as often as it is).
        at_s: when, in seconds since 1970.
        images: how many it had.
        tries: how often it was tried.
        again_at_s: when it is tried again.
        code: of the last error.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: Literal["trying", "done", "there", "held", "failed"]
    at_s: float
    images: int
    tries: int = 0
    again_at_s: float = 0.0
    code: str = ""


class Document(BaseModel):
    """What stands in ``watch.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    series: dict[str, Entry] = Field(default_factory=dict)


class WatchState:
    """The folder; made by ``opened_state``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = folder / STATE
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else Document().model_dump_json()
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(
                f"wanted {STATE}, which says what the watch has done; found a file that cannot be read; bring it back "
                "from a copy, or move the folder away: what is at the PACS is found there"
            ) from error
        self._series = dict(parse_json(text, Document, STATE, StorageError).series)

    def entry(self, digest: str) -> Entry | None:
        """What became of a series; None if it is new."""
        return self._series.get(digest)

    def note(self, digest: str, entry: Entry) -> None:
        """Write down what became of a series."""
        self._series[digest] = entry
        self._series = {key: kept for key, kept in self._series.items() if kept.at_s > entry.at_s - FORGOTTEN_S}
        document = Document(series=self._series)
        write_atomically(self._folder / STATE, document.model_dump_json(indent=1) + "\n", mode=0o600)

    def counts(self, since_s: float = 0.0) -> dict[str, int]:
        """How many series there are in each state, of those that were last tried since then (seconds since 1970)."""
        states = [entry.state for entry in self._series.values() if entry.at_s >= since_s]
        return {state: states.count(state) for state in ("done", "there", "held", "trying", "failed")}

    def outgoing(self, digest: str) -> Path:
        """Where the structure set of a series lies in the outbox."""
        return self._folder / OUTBOX / f"{digest}.dcm"

    def waiting(self) -> list[str]:
        """The series whose structure sets are in the outbox."""
        return sorted(path.stem for path in (self._folder / OUTBOX).glob("*.dcm"))

    def put_out(self, digest: str, structure_set: Path) -> Path:
        """Move a structure set from ``work`` to the outbox, for good."""
        path = self.outgoing(digest)
        try:
            structure_set.chmod(0o600)
            structure_set.replace(path)
            flush_folder(path.parent)
        except OSError as error:
            raise storage_error(error, "wanted to put a structure set into the outbox") from error
        return path

    def take_back(self, digest: str) -> None:
        """Empty the outbox of a series."""
        try:
            self.outgoing(digest).unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(error, "wanted to empty the outbox") from error

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """A private folder that is gone at the end.

        Raises:
            StorageError: it cannot be made.
        """
        try:
            folder = TemporaryDirectory(dir=self._folder / WORK, ignore_cleanup_errors=True)
        except OSError as error:
            raise storage_error(error, "wanted a folder for a series") from error
        with folder:
            yield Path(folder.name)


@contextmanager
def opened_state(folder: Path) -> Iterator[WatchState]:
    """Hold a state folder, made if it is absent, until the block ends.

    Raises:
        FolderBusyError: another watch holds it.
        StorageError: it is damaged or cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise storage_error(error, f"wanted a folder {folder.name!r} for what the watch has done") from error
    with only_writer(folder):
        shutil.rmtree(folder / WORK, ignore_errors=True)
        for name in (WORK, OUTBOX):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        try:
            yield WatchState(folder)
        finally:
            shutil.rmtree(folder / WORK, ignore_errors=True)
