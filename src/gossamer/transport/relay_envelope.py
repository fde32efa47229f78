"""The envelope around all that two sites say through a relay, their TLS handshake included.

TLS alone keeps what is exchanged from the relay; but whoever stands between can begin a handshake of its own, and a
certificate tells the site's name to everyone who asks. Inside the envelope the relay sees neither names nor that it is
TLS, and a site that finds anything else than its peer's bytes can say what is wrong.

    nonce (32), each end's own, once;  then records: length of what follows (4, big-endian), AES-256-GCM(k, n, content)

    k of each direction = HKDF-SHA256(the pair's key, salt = nonce of side 0 ‖ nonce of side 1, info = purpose ‖ sender)
    n = the record's number in its direction, from 0; the first record is empty

Law
    1. Of bytes that are not what the other end sealed next, on this connection, opening makes nothing but an error.
    2. Content is empty or at most ``CONTENT_BYTES`` long, whatever the length field says.

It is no stand-in for TLS: the pair's key lasts as long as the identities, so who steals one later opens envelopes that
were copied, and finds TLS in them. Source: RFC 5116 (AEAD, counters as nonces), RFC 5869 (HKDF).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gossamer.errors import RelayMeddledError
from gossamer.transport.relay_pair import Pair

NONCE_BYTES = 32
LENGTH_BYTES = 4
TAG_BYTES = 16
CONTENT_BYTES = 2**16
_KEY = b"gossamer relay, envelope, 1: "


class Envelope:
    """Both directions of one connection."""

    def __init__(self, pair: Pair, own_nonce: bytes, peers_nonce: bytes, peer: str) -> None:
        """Begin.

        Args:
            pair: this end.
            own_nonce: drawn for this connection.
            peers_nonce: what came in its place from the other end.
            peer: what messages call the other end.
        """
        nonces = own_nonce + peers_nonce if pair.side == 0 else peers_nonce + own_nonce
        keys = [HKDF(hashes.SHA256(), 32, nonces, _KEY + bytes([side])).derive(pair.key) for side in (0, 1)]
        self._sealing, self._opening = AESGCM(keys[pair.side]), AESGCM(keys[1 - pair.side])
        self._sealed = self._opened = 0
        self._peer = peer

    def seal(self, content: bytes) -> bytes:
        """The next record."""
        sealed = self._sealing.encrypt(_nonce(self._sealed), content, None)
        self._sealed += 1
        return len(sealed).to_bytes(LENGTH_BYTES, "big") + sealed

    def length(self, field: bytes) -> int:
        """How long a record is whose first ``LENGTH_BYTES`` these are.

        Raises:
            RelayMeddledError: the other end makes none that are so long.
        """
        length = int.from_bytes(field, "big")
        if not TAG_BYTES <= length <= TAG_BYTES + CONTENT_BYTES:
            raise self._meddled()
        return length

    def open(self, sealed: bytes) -> bytes:
        """What the other end sealed.

        Raises:
            RelayMeddledError: it did not, or not as its next record.
        """
        try:
            content = self._opening.decrypt(_nonce(self._opened), sealed, None)
        except InvalidTag as error:
            raise self._meddled() from error
        self._opened += 1
        return content

    def _meddled(self) -> RelayMeddledError:
        if self._opened == 0:
            return RelayMeddledError(
                f"wanted site {self._peer} at the other end; found somebody without its key, or its words changed, at "
                "the relay; nothing was said to them: tell who runs the relay"
            )
        return RelayMeddledError(
            f"wanted what site {self._peer} sent, in its order; found other bytes, at the relay; none of them was "
            "taken: if it happens again tell who runs the relay, or take another"
        )


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
