"""What two sites tell each other in the letters of a mailbox; ``sealing`` makes them secret and signed.

A letter is the whole of what its writer has to say now: who it is, what it has heard and taken, what it offers. A later
letter takes the place of all before, so that none needs to be read in its turn, or at all.

    length of the JSON (4, little-endian), JSON, header of the offered frame
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gossamer.transport.line_messages import MAX_TEXT_BYTES, Hello
from gossamer.wire.frame import wire_error

LENGTH_BYTES = 4
MOST_WANTED = 64
"""So many parts are asked for in one letter; the rest in the next."""

_DIGITS_32 = "^[0-9a-f]{32}$"
_DIGITS_64 = "^[0-9a-f]{64}$"


class Offer(BaseModel):
    """A frame whose body lies in the writer's box.

    Attributes:
        token: drawn for each hand-over; the same body offered again has another.
        secret: 32 bytes (hex) from which the body's key comes.
        sha256: of the body (hex).
        body_bytes: its length.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)  # a newer site may say more, here and below

    token: str = Field(pattern=_DIGITS_32)
    secret: str = Field(pattern=_DIGITS_64)
    sha256: str = Field(pattern=_DIGITS_64)
    body_bytes: int = Field(ge=0, lt=2**63)


class Taken(BaseModel):
    """The last offer that was taken.

    Attributes:
        token: of the offer.
        life: of the process that took it; if that has stopped since, what it had in memory may be lost.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    token: str = Field(pattern=_DIGITS_32)
    life: str = Field(max_length=64)


class Wanted(BaseModel):
    """What of an offer is not there, or is not what was offered.

    Attributes:
        token: of the offer.
        parts: to be put there again.
        reason: why the offer will not be taken at all; None if it will.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    token: str = Field(pattern=_DIGITS_32)
    parts: tuple[int, ...] = Field(default=(), max_length=MOST_WANTED)
    reason: str | None = Field(default=None, max_length=1000)


class Letter(BaseModel):
    """All that a site has to say.

    Attributes:
        hello: as on a line.
        heard: number of the newest letter that it has from the other.
        taken: what it took last; None at the very beginning.
        wanted: what it lacks to take what the other offers.
        offer: what it offers; the frame's header follows the letter.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    hello: Hello
    heard: int = Field(default=0, ge=0, lt=2**63)
    taken: Taken | None = None
    wanted: Wanted | None = None
    offer: Offer | None = None


def to_bytes(letter: Letter, header: bytes) -> bytes:
    """Write a letter and the header of the frame that it offers."""
    text = letter.model_dump_json().encode()
    return b"".join((len(text).to_bytes(LENGTH_BYTES, "little"), text, header))


def from_bytes(data: bytes) -> tuple[Letter, bytes]:
    """Read a letter and the header behind it; of any other bytes nothing but a ``WireError`` is made.

    Raises:
        WireError: the bytes are no letter.
    """
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    text, header = data[LENGTH_BYTES : LENGTH_BYTES + length], data[LENGTH_BYTES + length :]
    if length > MAX_TEXT_BYTES or len(text) < length:
        raise wire_error("letter", f"text of at most {MAX_TEXT_BYTES} bytes", f"{length} bytes")
    try:
        return Letter.model_validate_json(text), header
    except ValidationError as error:
        raise wire_error("letter", "what letters say", text[:60]) from error
