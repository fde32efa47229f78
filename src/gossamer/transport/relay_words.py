"""What a site and a relay say to each other before the relay passes bytes on, and nothing else ever.

    relay → site   ``GOSSAMER RELAY 1`` and a line feed, nonce (32)
    site → relay   purpose (1), side (1), token (32), proof (32)
    relay → site   words of one letter: that it waits (again and again), that it is joined, or why not

The token names a meeting, the side which of its two ends this is. Both sites derive the token from their keys
(``relay_pair``), so it tells the relay no name, and nobody else can say it. The proof shows that the site has the
secret by which the relay's owner lets sites in: HMAC-SHA256(secret, purpose of this proof ‖ nonce ‖ purpose ‖ side ‖
token). The secret itself is not said, and a proof that was overheard is worth nothing at another nonce.

After ``JOINED`` the connection is the two sites' own.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import Enum

GREETING = b"GOSSAMER RELAY 1\n"
NONCE_BYTES = TOKEN_BYTES = PROOF_BYTES = 32
HEAD_BYTES = 2
KNOCK_BYTES = HEAD_BYTES + TOKEN_BYTES + PROOF_BYTES

HEARTBEAT_S = 20.0
"""How often a site that waits is told so: firewalls forget connections that are silent for some minutes."""

_PROOF = b"gossamer relay, admission, 1: "


class Purpose(Enum):
    """Why a site calls."""

    MEET = b"M"
    ASK = b"A"
    """Whether the peer is there, without being joined with it."""


class Word(Enum):
    """What a relay says."""

    WAIT = b"W"
    JOINED = b"J"
    THERE = b"T"
    ALONE = b"A"
    NOT_ADMITTED = b"N"
    FULL = b"F"
    OFTEN = b"O"
    LATE = b"L"
    """Nobody came in time; who still wants to wait calls again, which shows that it is alive."""
    REPLACED = b"R"
    """The same end called again: this connection is the older one."""


@dataclass(frozen=True)
class Knock:
    """How a site asks to be let in.

    Attributes:
        purpose: why it calls.
        side: 0 or 1; a meeting has one guest of each.
        token: of the meeting.
        proof: that the site has the secret.
    """

    purpose: Purpose
    side: int
    token: bytes
    proof: bytes

    def to_bytes(self) -> bytes:
        """``KNOCK_BYTES`` of them."""
        return b"".join((self.purpose.value, bytes([self.side]), self.token, self.proof))

    def has(self, secret: bytes, nonce: bytes) -> bool:
        """Whether the proof shows a secret, at this nonce."""
        return hmac.compare_digest(self.proof, _proof(secret, nonce, self.purpose, self.side, self.token))


def knock(secret: bytes, nonce: bytes, purpose: Purpose, side: int, token: bytes) -> Knock:
    """Ask to be let in."""
    return Knock(purpose, side, token, _proof(secret, nonce, purpose, side, token))


def knock_from_bytes(data: bytes) -> Knock | None:
    """Read a knock of ``KNOCK_BYTES``; None where the bytes are none."""
    try:
        purpose, side = Purpose(data[:1]), (b"\0", b"\1").index(data[1:HEAD_BYTES])
    except ValueError:
        return None
    return Knock(purpose, side, data[HEAD_BYTES : HEAD_BYTES + TOKEN_BYTES], data[HEAD_BYTES + TOKEN_BYTES :])


def _proof(secret: bytes, nonce: bytes, purpose: Purpose, side: int, token: bytes) -> bytes:
    return hmac.digest(secret, b"".join((_PROOF, nonce, purpose.value, bytes([side]), token)), "sha256")
