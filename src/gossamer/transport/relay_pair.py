"""What two sites that meet at a relay have in common, without having spoken: where they meet, and a key.

    secret = ECDH(own identity key, the peer's), the same at both ends and known to nobody else
    token ‖ key = HKDF-SHA256(secret, info = purpose ‖ lower site id ‖ higher site id ‖ SHA-256 of the federation file)

Law: from a token follow neither key nor names; other sites, or other federation files, have other tokens. So whoever
waits under a token has the peer's key and has approved this very file, as far as the relay does not lie.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gossamer.transport.identity import Identity, site_id_of
from gossamer.transport.relay_words import TOKEN_BYTES

KEY_BYTES = 32
_PAIR = b"gossamer relay, pair, 1: "


@dataclass(frozen=True)
class Pair:
    """This end of a pair.

    Attributes:
        token: where the two meet.
        side: 0 at the site whose id comes first, which answers in the TLS handshake; 1 at the other, which begins it.
        key: of their envelopes (``relay_envelope``).
    """

    token: bytes
    side: int
    key: bytes


def pair_of(me: Identity, peer: x509.Certificate, federation: str) -> Pair:
    """What this site has in common with a peer.

    Args:
        me: this site.
        peer: the other's identity.
        federation: SHA-256 (hex) of the federation file.
    """
    theirs = peer.public_key()
    assert isinstance(theirs, ec.EllipticCurvePublicKey)  # ``read_certificate`` lets nothing else in
    ids = sorted((me.site_id, site_id_of(peer)))
    info = _PAIR + b"".join(bytes.fromhex(each) for each in (*ids, federation))
    both = HKDF(hashes.SHA256(), TOKEN_BYTES + KEY_BYTES, None, info).derive(me.key.exchange(ec.ECDH(), theirs))
    return Pair(both[:TOKEN_BYTES], ids.index(me.site_id), both[TOKEN_BYTES:])
