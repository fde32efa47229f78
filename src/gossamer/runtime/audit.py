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
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, BinaryIO, ClassVar

from cryptography import x509
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gossamer.atomic import flush_folder, storage_error, write_atomically
from gossamer.errors import FolderBusyError, IdentityError, StorageError, UsageError
from gossamer.only_writer import only_writer
from gossamer.transport.identity import CERTIFICATE, Identity, is_signed, read_certificate, sign, site_id_of

LOG = "audit.jsonl"

PURPOSE = "audit log"
"""Of the signatures: none of another purpose fits."""

MOST_LETTERS = 200
MOST_LINE_BYTES = 16_384
"""Above the longest line there can be: four texts, each letter written as two escaped UTF-16 units."""

SIGNED_EVERY = 100
"""Records between two signed heads."""

MOST_REFUSALS = 64
"""So many (peer, code) are counted apart; outsiders, who have as many names as they like, share one count."""

WAIT_S = 10.0
"""Another process holds the folder for the time of one record."""

WRITING_S = 0.1
"""A line that has no end yet is whole after far less, if somebody is writing it."""

_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def printable(text: str) -> str:
    """Text that shows what it is: no line break, terminal escape or change of direction; cut short."""
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text[: MOST_LETTERS + 1])
    return shown if len(shown) <= MOST_LETTERS else shown[: MOST_LETTERS - 1] + "…"


Text = Annotated[str, AfterValidator(printable)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Entry(BaseModel):
    """What a record tells; each kind has fields of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: ClassVar[str]


class Started(Entry):
    """The service began, or went on after a stop."""

    kind = "started"
    federation: Sha256
    release: Text


class Approved(Entry):
    """People here approved a federation file: these bytes."""

    kind = "approved"
    federation: Sha256
    title: Text


class Renewed(Entry):
    """There is a new certificate for connections."""

    kind = "renewed"
    ends: Text


class Joined(Entry):
    """A peer said that it takes part."""

    kind = "joined"
    peer: Text
    federation: Sha256


class ShareSent(Entry):
    """A share was handed to a peer; ``sha256`` is of the frame's body, so both sites' logs name the same."""

    kind = "share-sent"
    peer: Text
    exchange: Count
    size_bytes: Count
    sha256: Sha256


class ShareReceived(Entry):
    """A peer's share is on this disk; see ``ShareSent``."""

    kind = "share-received"
    peer: Text
    exchange: Count
    size_bytes: Count
    sha256: Sha256


class Refused(Entry):
    """Something of a peer, or of a stranger, was refused; ``times`` counts since the service began."""

    kind = "refused"
    peer: Text
    code: Text
    reason: Text
    times: Count


class Clipped(Entry):
    """A share was let into the mean in part: ``factor`` of its difference, 0 for nothing (``gossip.robust``)."""

    kind = "clipped"
    peer: Text
    exchange: Count
    factor: Number
    where: Text


class Finished(Entry):
    """The model is there."""

    kind = "finished"
    federation: Sha256
    model: Sha256


class Torn(Entry):
    """A line that a power cut tore was set aside in ``file``."""

    kind = "torn"
    file: Text
    size_bytes: Count
    sha256: Sha256


class Checkpoint(Entry):
    """The site's signature under the head before this record: its own ``number`` and ``before``."""

    kind = "checkpoint"
    signature: Annotated[str, Field(pattern="^([0-9a-f]{2}){8,80}$")]


KINDS: dict[str, type[Entry]] = {
    each.kind: each
    for each in (
        *(Started, Approved, Renewed, Joined, ShareSent, ShareReceived),
        *(Refused, Clipped, Finished, Torn, Checkpoint),
    )
}


@dataclass(frozen=True)
class Head:
    """How far a log has come; short enough to be told to a peer, or to be written down.

    Attributes:
        count: of records.
        sha256: of the last one; the site id where there is none.
    """

    count: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.count}:{self.sha256}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read a head as it is shown.

        Raises:
            UsageError: it is none.
        """
        found = re.fullmatch(r"([0-9]{1,15}):([0-9a-f]{64})", text.strip(), re.ASCII)
        if found is None:
            raise UsageError(
                f"wanted a head such as 120:5e88…, a number and 64 digits; found {text!a:.80}; take it as "
                "'gossamer audit verify' showed it"
            )
        return cls(int(found[1]), found[2])


@dataclass(frozen=True)
class Record:
    """A line of the log."""

    number: int
    at: str
    entry: Entry
    before: str

    @cached_property
    def sha256(self) -> str:
        """Of the line without this sum itself: compact JSON, keys in the order of the line."""
        return hashlib.sha256(_compact(self._plain()).encode()).hexdigest()

    @property
    def line(self) -> bytes:
        """As it stands in the file: ASCII, one line."""
        return f"{_compact(self.plain())}\n".encode()

    def plain(self) -> dict[str, object]:
        """For JSON."""
        return self._plain() | {"sha256": self.sha256}

    def _plain(self) -> dict[str, object]:
        return {
            "number": self.number,
            "at": self.at,
            "kind": self.entry.kind,
            "fields": self.entry.model_dump(),
            "before": self.before,
        }


class Chain:
    """A log as far as it was read: each further line must follow from those before.

    Attributes:
        head: how far it has come.
        signed: how many records the last checkpoint covers.
        size_bytes: of all whole lines.
        torn: what stands behind them, without an end.
    """

    def __init__(self, certificate: x509.Certificate) -> None:
        """At the beginning of the log of the site with this identity."""
        self._certificate = certificate
        self.head = Head(0, site_id_of(certificate))
        self.signed = 0
        self.size_bytes = 0
        self.torn = b""

    def read(self, file: BinaryIO) -> Iterator[Record]:
        """Read on to the last whole line.

        Raises:
            StorageError: a line is wrong; the message says which and how.
        """
        file.seek(self.size_bytes)
        while (line := file.readline(MOST_LINE_BYTES)).endswith(b"\n"):
            yield self.add(line)
        if len(line) == MOST_LINE_BYTES:
            raise self.damage(f"a line of more than {MOST_LINE_BYTES} bytes")
        self.torn = line

    def add(self, line: bytes) -> Record:
        """Take the next line.

        Raises:
            StorageError: it is wrong.
        """
        record = self._parsed(line)
        if record.number != self.head.count:
            raise self.damage(f"record {record.number}: lines before it are missing, or stand twice or elsewhere")
        if record.before != self.head.sha256:
            raise self.damage("a record that follows on another one than stands before it, or on another site's log")
        if isinstance(record.entry, Checkpoint):
            signature = bytes.fromhex(record.entry.signature)
            if not is_signed(self._certificate, PURPOSE, str(self.head).encode(), signature):
                raise self.damage("a checkpoint that this site's identity did not sign")
            self.signed = self.head.count
        self.head = Head(record.number + 1, record.sha256)
        self.size_bytes += len(line)
        return record

    def damage(self, found: str) -> StorageError:
        """The error for the line that comes next."""
        return StorageError(
            f"wanted record {self.head.count} of the audit log, as this site wrote it; found {found}, in line "
            f"{self.head.count + 1} of {LOG}; keep the file for whoever looks into it: once it is out of the folder, a "
            "new log begins"
        )

    def _parsed(self, line: bytes) -> Record:
        """The record that is written exactly so."""
        try:
            raw = json.loads(line)
            entry = KINDS[raw["kind"]].model_validate(raw["fields"])
            record = Record(raw["number"], raw["at"], entry, raw["before"])
            said = raw["sha256"]
            whole = type(record.number) is int and bool(_UTC.fullmatch(record.at))
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise self.damage("bytes that are no record") from error
        if not whole or said != record.sha256 or line != record.line:
            raise self.damage("a record that was changed: its own SHA-256 is another")
        return record


class AuditLog:
    """A site's log, to be added to. Whoever adds holds the folder alone for that time, so several may be open."""

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
        with _alone(self._folder):
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
        if alike not in self._refusals and len(self._refusals) >= MOST_REFUSALS:
            alike = ("", "")
        self._refusals[alike] += 1
        times = self._refusals[alike]
        if times & (times - 1) == 0:
            self.note(Refused(peer=peer, code=code, reason=reason, times=times))

    def sign(self) -> Head:
        """Sign the head now, unless it is; returns it. Raises what ``note`` does."""
        with _alone(self._folder):
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


def _compact(plain: object) -> str:
    return json.dumps(plain, separators=(",", ":"))


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
