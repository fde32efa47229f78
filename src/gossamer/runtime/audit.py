"""What a site did and refused, line by line, so that nobody can change it afterwards without being seen.

``audit.jsonl`` in the site's folder holds one record a line: its number, when (UTC), its kind and the kind's fields,
the SHA-256 of the record before, its own. It names sites, counts and hashes; no case, patient or path.

Law
    1. A record is durable when the call that noted it returns; whole lines are never changed or removed here.
    2. Each record names the one before by its SHA-256, the first one the site id; so a changed, lost, moved or repeated
       line is found, and where. A line that a power cut tore is set aside in a file, and a record says so.
    3. Now and then the head (how many records, the last one's hash) is signed with the site's identity. Who lacks that
       key cannot write another past for what is signed.
    4. The file grows by what a site does, not by what a peer does to it: of refusals alike the 1st, 2nd, 4th, 8th, ...
       is noted. Text from elsewhere is cut short and made printable.

Not found are records cut off at the end (except with a head that somebody else holds), a past rewritten by who has the
site's key, changes behind the last checkpoint by who computes the chain anew, and what was never noted.

Source: hash chain after Schneier & Kelsey (USENIX Security 1998), signed head after RFC 6962.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import BinaryIO

from cryptography import x509

from gossamer.atomic import flush_folder, storage_error, write_atomically
from gossamer.errors import FolderBusyError, IdentityError, StorageError, UsageError
from gossamer.only_writer import only_writer
from gossamer.runtime.audit_chain import LOG, PURPOSE, Chain, Head, Record
from gossamer.runtime.audit_entries import Checkpoint, Entry, Refused, Torn
from gossamer.transport.identity import CERTIFICATE, Identity, read_certificate, sign

SIGNED_EVERY = 100
"""Records between two signed heads."""

MOST_REFUSALS = 64
"""So many (peer, code) are counted apart; outsiders, who have as many names as they like, share one count."""

WAIT_S = 10.0
"""Another process holds the folder for the time of one record."""

WRITING_S = 0.1
"""A line that has no end yet is whole after far less, if somebody is writing it."""


class AuditLog:
    """A site's log, to be added to, also by several threads.

    Whoever adds holds the folder alone for that time, so several may be open.
    """

    def __init__(
        self, folder: Path, identity: Identity, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Open the log in a site's folder, or begin one; all of it is checked.

        Args:
            folder: the site's; it exists.
            identity: the site's.
            clock: the time now (UTC).

        Raises:
            StorageError: the log is damaged, or the folder cannot be read or written.
            FolderBusyError: another process does not let go of the folder.
        """
        self._folder = folder
        self._path = folder / LOG
        self._identity = identity
        self._clock = clock
        self._chain = Chain(identity.certificate)
        self._refusals: Counter[tuple[str, str]] = Counter()
        self._one_thread = RLock()
        with _alone(folder):
            self._catch_up()

    @property
    def head(self) -> Head:
        """After the last record that this object wrote or read."""
        return self._chain.head

    def note(self, entry: Entry) -> None:
        """Add a record; when this returns, a power cut does not lose it.

        Raises:
            DiskFullError: there is no room; the log is as before.
            StorageError: it cannot be written for another reason, or is damaged.
            FolderBusyError: another process does not let go of the folder.
        """
        with self._one_thread, _alone(self._folder):
            self._catch_up()
            self._append(entry)
            if self._chain.head.count - self._chain.signed >= SIGNED_EVERY:
                self._append(self._signature())

    def refuse(self, peer: str, code: str, reason: str) -> None:
        """Note a refusal: of those alike the 1st, 2nd, 4th, 8th, ...; raises what ``note`` does.

        Args:
            peer: of whom it was; a stranger as the transport calls it.
            code: of the error.
            reason: why.
        """
        alike = (peer, code)
        with self._one_thread:
            if alike not in self._refusals and len(self._refusals) >= MOST_REFUSALS:
                alike = ("", "")
            self._refusals[alike] += 1
            times = self._refusals[alike]
            if times & (times - 1) == 0:
                self.note(Refused(peer=peer, code=code, reason=reason, times=times))

    def sign(self) -> Head:
        """Sign the head now, unless it is; returns it. Raises what ``note`` does."""
        with self._one_thread, _alone(self._folder):
            self._catch_up()
            if self._chain.head.count > self._chain.signed + bool(self._chain.signed):  # a checkpoint needs no other
                self._append(self._signature())
        return self.head

    def _signature(self) -> Checkpoint:
        return Checkpoint(signature=sign(self._identity, PURPOSE, str(self._chain.head).encode()).hex())

    def _catch_up(self) -> None:
        """Read what others added since; what a power cut tore is set aside."""
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._chain.size_bytes:
                    raise self._chain.damage("nothing: lines that this process wrote or read were cut off")
                for _ in self._chain.read(file):
                    pass
                file.seek(0)
                whole = file.read(self._chain.size_bytes) if self._chain.torn else b""
        except FileNotFoundError:
            if self._chain.size_bytes:
                raise self._chain.damage("no file any more") from None
            return
        except OSError as error:
            raise storage_error(error, f"wanted to read {LOG}") from error
        if self._chain.torn:
            self._set_aside(whole, self._chain.torn)

    def _set_aside(self, whole: bytes, torn: bytes) -> None:
        """In two steps, each whole or not at all: the torn bytes beside the log; then the log with a record of that."""
        name = f"audit-torn-{self._chain.head.count}.bin"
        write_atomically(self._folder / name, torn, mode=0o600)
        record = self._next(Torn(file=name, size_bytes=len(torn), sha256=hashlib.sha256(torn).hexdigest()))
        write_atomically(self._path, whole + record.line, mode=0o600)
        self._chain.add(record.line)

    def _next(self, entry: Entry) -> Record:
        at = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Record(self._chain.head.count, at, entry, self._chain.head.sha256)

    def _append(self, entry: Entry) -> None:
        line = self._next(entry).line
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                _write_through(descriptor, line)
            except OSError:
                with suppress(OSError):  # half a line is set aside by the next note; better there is none
                    os.ftruncate(descriptor, self._chain.size_bytes)
                raise
            finally:
                os.close(descriptor)
            if self._chain.size_bytes == 0:
                flush_folder(self._folder)
        except OSError as error:
            raise storage_error(error, f"wanted to write {LOG}") from error
        self._chain.add(line)


@dataclass(frozen=True)
class Verdict:
    """What can be said of a sound log.

    Attributes:
        head: how far it has come.
        signed: how many of its records, from the first on, the site's signature covers.
    """

    head: Head
    signed: int


def verify_audit(folder: Path, held: Head | None = None) -> Verdict:
    """Check a site's log from its first line to the last.

    Args:
        folder: with the log and the site's identity certificate; the key is not needed.
        held: a head of earlier, from elsewhere: shows records cut off at the end and a past that was rewritten.

    Raises:
        UsageError: there is no log.
        StorageError: a line is wrong, or the log is not the one of which the head was taken.
        IdentityError: there is no certificate to check with.
    """
    chain = Chain(_certificate(folder))
    for _ in _records(folder, chain, held):
        pass
    return Verdict(chain.head, chain.signed)


def records_of(folder: Path) -> Iterator[Record]:
    """The records of a site's log, each checked; raises what ``verify_audit`` does when it comes to it."""
    return _records(folder, Chain(_certificate(folder)), None)


def _records(folder: Path, chain: Chain, held: Head | None) -> Iterator[Record]:
    try:
        with (folder / LOG).open("rb") as file:
            for record in _read_patiently(chain, file):
                if held and held.count == chain.head.count and held != chain.head:
                    raise StorageError(
                        f"wanted the log of which the head {held} was taken; found {chain.head}, at line {held.count} "
                        f"of {LOG}; what stands before was rewritten since, or the head is another site's"
                    )
                yield record
    except FileNotFoundError as error:
        raise UsageError(
            f"wanted an audit log; found no {LOG} in {folder.name!r}; it begins with the site's service: if that has "
            "run, somebody took it away"
        ) from error
    except OSError as error:
        raise storage_error(error, f"wanted to read {LOG}") from error
    if chain.torn:
        raise chain.damage("a line without its end: a power cut tore it; the site sets it aside when it next starts")
    if held and held.count > chain.head.count:
        raise chain.damage(f"nothing, though {held.count} records were counted: the end was cut off")


def _read_patiently(chain: Chain, file: BinaryIO) -> Iterator[Record]:
    """All records; a line that is just being written is waited for."""
    yield from chain.read(file)
    if chain.torn:
        time.sleep(WRITING_S)
        yield from chain.read(file)


def _certificate(folder: Path) -> x509.Certificate:
    try:
        pem = (folder / CERTIFICATE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise IdentityError(
            f"wanted this site's {CERTIFICATE}, to check signatures with; found none that can be read, in "
            f"{folder.name!r}; give the site's folder with --folder"
        ) from error
    return read_certificate(pem, CERTIFICATE)


def _write_through(descriptor: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder; wait while another process adds its record."""
    ends_s = time.monotonic() + WAIT_S
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(only_writer(folder))
                break
            except FolderBusyError:
                if time.monotonic() > ends_s:
                    raise
            time.sleep(0.01)
        yield
