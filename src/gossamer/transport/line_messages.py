"""What two ends of a line say to each other, below the messages of their nodes.

A frame is offered with its header and the hash of its body; the other end says from which byte on it wants the body,
and says when it has all of it. So a hand-over that broke goes on where it broke, also after a restart: what is kept is
kept under the hash, and a share that is sent again has the same body under another header.

    H hello    JSON
    N no       JSON: why this end does not speak with the other
    O offer    sha256 (32), length of the body (8), header of the frame
    W want     sha256 (32), offset (8)
    C chunk    sha256 (32), offset (8), bytes
    D done     sha256 (32)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gossamer.wire.frame import wire_error

HASH_BYTES = 32
NUMBER_BYTES = 8
CHUNK_BYTES = 2**20
MAX_TEXT_BYTES = 4096

PROTOCOLS = (1,)
"""What this release speaks on lines; a newer one goes on speaking the one before."""


class Hello(BaseModel):
    """How each end begins.

    Attributes:
        protocols: versions of this protocol that it speaks.
        release: of Gossamer, for people.
        federation: SHA-256 (hex) of the federation file.
        life: drawn at random at each start of the process; another one tells that it was stopped in between.
        probe: whether this end only asks if the other would speak with it, and hangs up when it has been told.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)  # a newer end may say more

    protocols: tuple[int, ...] = Field(max_length=16)
    release: str = Field(max_length=40)
    federation: str = Field(pattern="^[0-9a-f]{64}$")
    life: str = Field(default_factory=lambda: uuid4().hex, max_length=64)
    probe: bool = False


class No(BaseModel):
    """Why an end does not speak with the other; ``code`` is that of an error."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    code: str = Field(max_length=10)
    reason: str = Field(max_length=1000)


@dataclass(frozen=True)
class Offer:
    """A frame that could be sent."""

    sha256: bytes
    body_bytes: int
    header: bytes


@dataclass(frozen=True)
class Want:
    """Send the body from ``offset`` on."""

    sha256: bytes
    offset: int


@dataclass(frozen=True)
class Chunk:
    """A piece of a body."""

    sha256: bytes
    offset: int
    content: memoryview


@dataclass(frozen=True)
class Done:
    """All of it is here."""

    sha256: bytes


LineMessage = Hello | No | Offer | Want | Chunk | Done


def to_bytes(message: LineMessage) -> bytes:
    """Write a message."""
    match message:
        case Hello():
            return b"H" + message.model_dump_json().encode()
        case No():
            return b"N" + message.model_dump_json().encode()
        case Offer(sha256, body_bytes, header):
            return b"".join((b"O", sha256, _number(body_bytes), header))
        case Want(sha256, offset):
            return b"".join((b"W", sha256, _number(offset)))
        case Chunk(sha256, offset, content):
            return chunk_bytes(sha256, offset, [content])
        case Done(sha256):
            return b"D" + sha256


def chunk_bytes(sha256: bytes, offset: int, content: Sequence[bytes | memoryview]) -> bytes:
    """Write a chunk that lies in several places: what it holds is copied once."""
    return b"".join((b"C", sha256, _number(offset), *content))


def from_bytes(data: bytes) -> LineMessage:
    """Read a message; of any other bytes nothing but a ``WireError`` is made.

    Raises:
        WireError: the bytes are no message.
    """
    kind, rest = data[:1], memoryview(data)[1:]
    try:
        if kind == b"H":
            return Hello.model_validate_json(_text(rest))
        if kind == b"N":
            return No.model_validate_json(_text(rest))
    except ValidationError as error:
        raise wire_error("line", "a greeting", bytes(rest[:60])) from error
    sha256, rest = bytes(rest[:HASH_BYTES]), rest[HASH_BYTES:]
    if len(sha256) == HASH_BYTES:
        if kind == b"D" and not rest:
            return Done(sha256)
        number, rest = rest[:NUMBER_BYTES], rest[NUMBER_BYTES:]
        if len(number) == NUMBER_BYTES:
            value = int.from_bytes(number, "little")
            if kind == b"O":
                return Offer(sha256, value, bytes(rest))
            if kind == b"W" and not rest:
                return Want(sha256, value)
            if kind == b"C" and 0 < len(rest) <= CHUNK_BYTES:
                return Chunk(sha256, value, rest)
    raise wire_error("line", "one of its messages", data[:60])


def _text(content: memoryview) -> bytes:
    if len(content) > MAX_TEXT_BYTES:
        raise wire_error("line", f"a greeting of at most {MAX_TEXT_BYTES} bytes", len(content))
    return bytes(content)


def _number(value: int) -> bytes:
    return value.to_bytes(NUMBER_BYTES, "little")
