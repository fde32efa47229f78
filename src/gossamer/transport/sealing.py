"""Seals for what lies where strangers can reach it: only the receiver opens it, and it proves who made it.

Letters are short. A letter is encrypted to the receiver's identity key, then signed with the sender's:

    =========  ======  ==================================================================================
    field      bytes   what
    =========  ======  ==================================================================================
    version    4       ``GSL1``
    number     8       of this letter, big-endian; the receiver takes none twice
    E          65      public point of a fresh P-256 key pair (e, E), uncompressed
    C          n + 16  AES-256-GCM(k, nonce 0, content), k = HKDF-SHA256(ECDH(e, receiver), info = context)
    signature  64      ECDSA-SHA256(sender, context ‖ C) as r ‖ s; see ``identity.sign``
    =========  ======  ==================================================================================

    context = purpose ‖ sender's id ‖ receiver's id ‖ version ‖ number ‖ E; it is associated data of C as well.

Bodies are long and cut in parts, so that a transfer that broke goes on at a part. Their key comes from a secret that
stands in a letter: K = HKDF-SHA256(secret, salt = SHA-256 of the body, info = purpose ‖ federation ‖ sender's id ‖
receiver's id ‖ length). Part i is AES-256-GCM(K, nonce = i ‖ is it the last).

Law
    1. Of bytes that are not exactly what this sender sealed for this receiver, under this number, or at this place of
       this body, opening makes nothing but a ``WireError``.
    2. The carrier learns lengths and numbers; nothing of the content, no name, and no federation.
    3. The same body under the same secret is sealed to the same bytes; another body has another key. So a sender
       that was stopped goes on with what it has uploaded, and no key ever meets a nonce with two contents.
    4. Memory is taken for one letter or part, whose lengths are known beforehand.

Which federation a letter is of stands in its content, under the signature: sites with different federation files must
be able to tell each other so.

Source: ECIES of SEC 1 version 2.0, section 5.1, with RFC 5869 (HKDF) as its key derivation and the public values bound
in as in RFC 9180, section 4.1; a key used once may take nonce 0. Parts: STREAM of Hoang, Reyhanitabar, Rogaway and
Vizár, "Online authenticated-encryption and its nonce-reuse misuse-resistance", CRYPTO 2015; with a key for each body
its nonce prefix is empty. One key pair signs and agrees on keys: that ECIES and ECDSA stay secure so is shown in
Degabriele, Lehmann, Paterson, Smart and Strefler, "On the joint security of encryption and signature in EMV", CT-RSA
2012. Not promised: who steals a site's identity key can read what was sealed for that site before.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gossamer.transport.identity import Identity, is_signed, sign, site_id_of
from gossamer.wire.frame import Buffer, wire_error

PART_BYTES = 4 * 2**20
"""What a broken transfer loses at most: half a minute at 1 Mbit/s. A network of 100 MB is 25 files."""

VERSION = b"GSL1"
NUMBER_BYTES, POINT_BYTES, TAG_BYTES, SCALAR_BYTES = 8, 65, 16, 32
HEAD_BYTES = len(VERSION) + NUMBER_BYTES + POINT_BYTES
SIGNATURE_BYTES = 2 * SCALAR_BYTES
LETTER_OVERHEAD_BYTES = HEAD_BYTES + TAG_BYTES + SIGNATURE_BYTES

_SIGNED = "letter in a mailbox, 1"
_LETTER = b"gossamer mailbox, letter, 1: "
_BODY_KEY = b"gossamer mailbox, key of a body, 1: "
_BODY_NAME = b"gossamer mailbox, name of a body, 1: "
_ONCE = bytes(12)


def seal_letter(content: bytes, number: int, sender: Identity, receiver: x509.Certificate) -> bytes:
    """Seal a letter.

    Args:
        content: what it says.
        number: of this letter; no other from this sender to this receiver has it.
        sender: this site.
        receiver: the identity certificate of the site that may open it.
    """
    mine = ec.generate_private_key(ec.SECP256R1())
    point = mine.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    head = VERSION + number.to_bytes(NUMBER_BYTES, "big") + point
    context = _letter_context(sender.site_id, site_id_of(receiver), head)
    key = _derived(mine.exchange(ec.ECDH(), _public_key(receiver)), None, context)
    sealed = AESGCM(key).encrypt(_ONCE, content, context)
    r, s = decode_dss_signature(sign(sender, _SIGNED, context + sealed))
    return b"".join((head, sealed, r.to_bytes(SCALAR_BYTES, "big"), s.to_bytes(SCALAR_BYTES, "big")))


def open_letter(data: Buffer, receiver: Identity, sender: x509.Certificate) -> tuple[int, bytes]:
    """Open a letter; returns its number and what it says.

    Args:
        data: all of it; the caller has limited its length.
        receiver: this site.
        sender: the identity certificate of the site it must be from.

    Raises:
        WireError: it is no letter, or not from that sender to this receiver; no other error is raised.
    """
    if len(data) < LETTER_OVERHEAD_BYTES:
        raise wire_error("letter", f"at least {LETTER_OVERHEAD_BYTES} bytes", f"{len(data)} bytes")
    head, sealed, signature = _cut(bytes(data), HEAD_BYTES, len(data) - SIGNATURE_BYTES)
    version, number, point = _cut(head, len(VERSION), len(VERSION) + NUMBER_BYTES)
    if version != VERSION:
        raise wire_error("letter", f"the format {VERSION.decode()} (update the older site)", version)
    context = _letter_context(site_id_of(sender), receiver.site_id, head)
    r, s = (int.from_bytes(half, "big") for half in (signature[:SCALAR_BYTES], signature[SCALAR_BYTES:]))
    if not is_signed(sender, _SIGNED, context + sealed, encode_dss_signature(r, s)):
        raise wire_error("letter", "the signature of its sender, to this site", "another")
    try:
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        key = _derived(receiver.key.exchange(ec.ECDH(), theirs), None, context)
        return int.from_bytes(number, "big"), AESGCM(key).decrypt(_ONCE, sealed, context)
    except (ValueError, InvalidTag) as error:
        raise wire_error("letter", "content that this site's key opens", "another") from error


@dataclass(frozen=True)
class Route:
    """Whose bodies these are.

    Attributes:
        federation: SHA-256 (hex) of the federation file.
        sender: site id.
        receiver: site id.
    """

    federation: str
    sender: str
    receiver: str


class BodySeal:
    """Seals the parts of one body, and opens them."""

    def __init__(self, route: Route, secret: bytes, sha256: bytes, size_bytes: int) -> None:
        """The seal of a body, the same for both ends.

        Args:
            route: from whom to whom.
            secret: 32 bytes that the sender draws.
            sha256: of the body.
            size_bytes: its length, within the limits.
        """
        self._size_bytes = size_bytes
        about = b"".join(bytes.fromhex(each) for each in (route.federation, route.sender, route.receiver))
        about += size_bytes.to_bytes(NUMBER_BYTES, "big")
        self._cipher = AESGCM(_derived(secret, sha256, _BODY_KEY + about))
        self.name = _derived(secret, sha256, _BODY_NAME + about)[:16].hex()
        """What files may be named after: it tells nobody else what is in them."""

    @property
    def parts(self) -> int:
        """How many there are; an empty body has none."""
        return -(-self._size_bytes // PART_BYTES)

    def sealed_bytes(self, index: int) -> int:
        """Length of a sealed part."""
        return min(PART_BYTES, self._size_bytes - index * PART_BYTES) + TAG_BYTES

    def seal(self, index: int, content: bytes) -> bytes:
        """Seal a part: ``PART_BYTES`` of the body, the rest in the last one."""
        return self._cipher.encrypt(self._nonce(index), content, None)

    def open(self, index: int, sealed: Buffer) -> bytes:
        """Open a part.

        Raises:
            WireError: it is not this part of this body; no other error is raised.
        """
        if len(sealed) != self.sealed_bytes(index):
            raise wire_error("part", f"{self.sealed_bytes(index)} bytes", f"{len(sealed)} bytes")
        try:
            return self._cipher.decrypt(self._nonce(index), sealed, None)
        except InvalidTag as error:
            raise wire_error("part", f"part {index} of what the letter offers", "other bytes") from error

    def _nonce(self, index: int) -> bytes:
        return index.to_bytes(11, "big") + bytes([index == self.parts - 1])


def _letter_context(sender: str, receiver: str, head: bytes) -> bytes:
    return _LETTER + bytes.fromhex(sender) + bytes.fromhex(receiver) + head


def _derived(secret: bytes, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(secret)


def _public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)  # ``read_certificate`` lets nothing else in
    return key


def _cut(data: bytes, *at: int) -> list[bytes]:
    """Pieces of ``data`` between the given places."""
    return [data[begin:end] for begin, end in pairwise((0, *at, len(data)))]
