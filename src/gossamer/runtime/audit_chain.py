"""The chain of an audit log: each record names the one before by its SHA-256, the first one the site id.

See ``audit`` for what that finds, and what it does not.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

from cryptography import x509

from gossamer.errors import StorageError, UsageError
from gossamer.runtime.audit_entries import KINDS, Checkpoint, Entry
from gossamer.transport.identity import is_signed, site_id_of

LOG = "audit.jsonl"

PURPOSE = "audit log"
"""Of the signatures: none of another purpose fits."""

MOST_LINE_BYTES = 16_384
"""Above the longest line there can be: four texts, each letter written as two escaped UTF-16 units."""

_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


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


def _compact(plain: object) -> str:
    return json.dumps(plain, separators=(",", ":"))
