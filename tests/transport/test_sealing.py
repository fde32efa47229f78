"""Seals: only the receiver opens them, they prove who made them, and anything else is a WireError."""

import hashlib
import hmac
import random
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gossamer.errors import WireError
from gossamer.transport import sealing
from gossamer.transport.identity import new_identity, sign
from gossamer.transport.sealing import (
    HEAD_BYTES,
    LETTER_OVERHEAD_BYTES,
    PART_BYTES,
    TAG_BYTES,
    BodySeal,
    Route,
    open_letter,
    seal_letter,
)

A, B, C = (new_identity(name) for name in ("north", "south", "west"))
TEXT = b"what north has to say to south"
ROUTE = Route("ab" * 32, A.site_id, B.site_id)
SECRET, SHA256 = bytes(range(32)), hashlib.sha256(b"a body").digest()


def hkdf(secret, salt, info):
    """RFC 5869 for one block, from its text."""
    extracted = hmac.new(salt or bytes(32), secret, "sha256").digest()
    return hmac.new(extracted, info + b"\x01", "sha256").digest()


def gcm_opened(key, nonce, sealed, associated):
    cipher = Cipher(algorithms.AES(key), modes.GCM(nonce, sealed[-16:])).decryptor()
    cipher.authenticate_additional_data(associated)
    return cipher.update(sealed[:-16]) + cipher.finalize()


def test_a_letter_is_what_its_table_says(tmp_path):
    letter = seal_letter(TEXT, 7, A, B.certificate)
    version, number, point, sealed, signature = (
        letter[:4], letter[4:12], letter[12:77], letter[77:-64], letter[-64:]
    )  # fmt: skip
    assert (version, number) == (b"GSL1", bytes(7) + b"\x07")
    context = b"gossamer mailbox, letter, 1: " + bytes.fromhex(A.site_id + B.site_id) + letter[:77]
    shared = B.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
    assert gcm_opened(hkdf(shared, None, context), bytes(12), sealed, context) == TEXT
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    (tmp_path / "signature").write_bytes(encode_dss_signature(r, s))
    (tmp_path / "signed").write_bytes(b"gossamer letter in a mailbox, 1\n" + context + sealed)
    (tmp_path / "key").write_bytes(A.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", "key", "-signature", "signature", "signed"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_a_part_is_what_the_docstring_says():
    size = PART_BYTES + 3
    seal = BodySeal(ROUTE, SECRET, SHA256, size)
    info = b"gossamer mailbox, key of a body, 1: " + bytes.fromhex("ab" * 32 + A.site_id + B.site_id)
    key = hkdf(SECRET, SHA256, info + size.to_bytes(8, "big"))
    assert gcm_opened(key, bytes(12), seal.seal(0, bytes(PART_BYTES)), b"") == bytes(PART_BYTES)
    assert gcm_opened(key, bytes(10) + b"\x01\x01", seal.seal(1, b"end"), b"") == b"end"


@given(content=st.binary(max_size=300), number=st.integers(0, 2**64 - 1))
def test_what_was_sealed_is_opened(content, number):
    assert open_letter(seal_letter(content, number, A, B.certificate), B, A.certificate) == (number, content)


def test_a_letter_that_is_not_to_the_letter_is_refused():
    letter = seal_letter(TEXT, 7, A, B.certificate)
    for at in range(len(letter)):
        for flip in (1, 128):
            spoilt = letter[:at] + bytes([letter[at] ^ flip]) + letter[at + 1 :]
            with pytest.raises(WireError):
                open_letter(spoilt, B, A.certificate)
    for length in range(len(letter)):
        with pytest.raises(WireError):
            open_letter(letter[:length], B, A.certificate)
    with pytest.raises(WireError):
        open_letter(letter + b"\0", B, A.certificate)


@given(st.binary(max_size=400))
def test_any_bytes_are_opened_or_a_wire_error(data):
    for start in (data, b"GSL1" + data):
        with pytest.raises(WireError):
            open_letter(start, B, A.certificate)


@pytest.mark.parametrize(
    ("receiver", "sender"), [(C, A), (B, C), (A, B), (A, A), (B, B)],
    ids=["another receiver", "another sender", "sent back", "its own writer", "its own reader"],
)  # fmt: skip
def test_a_letter_is_opened_by_nobody_else_and_as_nobody_elses(receiver, sender):
    letter = seal_letter(TEXT, 7, A, B.certificate)
    with pytest.raises(WireError, match="signature"):
        open_letter(letter, receiver, sender.certificate)


def test_another_member_cannot_sign_for_a_letter_that_it_found():
    """Encrypted, then signed: the ids are in the key, so a new signature does not make it another's."""
    letter = seal_letter(TEXT, 7, A, B.certificate)
    context = b"gossamer mailbox, letter, 1: " + bytes.fromhex(C.site_id + B.site_id) + letter[:HEAD_BYTES]
    with pytest.raises(WireError, match="opens"):
        open_letter(letter[:-64] + signed_by(C, context, letter[HEAD_BYTES:-64]), B, C.certificate)


@pytest.mark.parametrize("point", [b"\x04" + bytes(64), b"\x00" * 65, b"\x02" + b"\x01" * 64], ids=repr)
def test_a_point_that_is_not_on_the_curve_is_refused_though_its_sender_signed_it(point):
    head = b"GSL1" + bytes(8) + point
    context = b"gossamer mailbox, letter, 1: " + bytes.fromhex(A.site_id + B.site_id) + head
    with pytest.raises(WireError, match="opens"):
        open_letter(head + bytes(16) + signed_by(A, context, bytes(16)), B, A.certificate)


def signed_by(identity, context, sealed):
    r, s = decode_dss_signature(sign(identity, "letter in a mailbox, 1", context + sealed))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_a_newer_format_says_who_must_update():
    letter = seal_letter(TEXT, 7, A, B.certificate)
    with pytest.raises(WireError, match="update the older site"):
        open_letter(b"GSL2" + letter[4:], B, A.certificate)


def test_two_letters_with_the_same_words_have_nothing_in_common():
    one, two = (seal_letter(bytes(64), 7, A, B.certificate) for _ in range(2))
    assert one[12:77] != two[12:77]
    assert one[77:-64] != two[77:-64]
    assert len(one) == 64 + LETTER_OVERHEAD_BYTES


def test_a_letter_shows_no_name_and_no_word():
    letter = seal_letter(TEXT, 7, A, B.certificate)
    for token in (TEXT, b"north", b"south", bytes.fromhex(A.site_id), bytes.fromhex(B.site_id), A.site_id.encode()):
        assert token not in letter


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(sealing, "PART_BYTES", 100)


def parts_of(seal, body):
    return [seal.seal(index, body[index * 100 : (index + 1) * 100]) for index in range(seal.parts)]


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 300])
def test_a_body_comes_out_of_its_parts(small_parts, size):
    body = random.Random(size).randbytes(size)
    seal = BodySeal(ROUTE, SECRET, hashlib.sha256(body).digest(), size)
    parts = parts_of(seal, body)
    assert len(parts) == -(-size // 100)
    assert [len(part) for part in parts] == [seal.sealed_bytes(index) for index in range(seal.parts)]
    assert b"".join(seal.open(index, part) for index, part in enumerate(parts)) == body


def test_a_part_is_opened_in_its_place_alone(small_parts):
    """Swapped, repeated, cut short, lengthened, flipped, or the last one taken for one that is not."""
    body = bytes(300)
    seal = BodySeal(ROUTE, SECRET, SHA256, 300)
    parts = parts_of(seal, body)
    for index in range(3):
        others = [part for at, part in enumerate(parts) if at != index]
        spoilt = [parts[index][:at] + bytes([parts[index][at] ^ 1]) + parts[index][at + 1 :] for at in range(116)]
        for wrong in (*others, *spoilt, parts[index][:-1], parts[index] + b"\0", b""):
            with pytest.raises(WireError, match="part"):
                seal.open(index, wrong)


@pytest.mark.parametrize(
    "other",
    [
        BodySeal(ROUTE, bytes(32), SHA256, 400),
        BodySeal(ROUTE, SECRET, hashlib.sha256(b"another body").digest(), 400),
        BodySeal(ROUTE, SECRET, SHA256, 500),
        BodySeal(Route("cd" * 32, A.site_id, B.site_id), SECRET, SHA256, 400),
        BodySeal(Route("ab" * 32, B.site_id, A.site_id), SECRET, SHA256, 400),
        BodySeal(Route("ab" * 32, A.site_id, C.site_id), SECRET, SHA256, 400),
    ],
    ids=["secret", "body", "length", "federation", "sent back", "receiver"],
)  # fmt: skip
def test_a_part_of_anything_else_is_refused(small_parts, other):
    seal = BodySeal(ROUTE, SECRET, SHA256, 400)
    assert other.name != seal.name
    with pytest.raises(WireError, match="part"):
        seal.open(0, other.seal(0, bytes(100)))


def test_the_same_body_under_the_same_secret_gives_the_same_parts(small_parts):
    """So a restarted sender goes on; and no key meets a nonce with two contents, since it depends on the body."""
    seals = [BodySeal(ROUTE, SECRET, SHA256, 100) for _ in range(2)]
    assert seals[0].name == seals[1].name
    assert seals[0].seal(0, bytes(100)) == seals[1].seal(0, bytes(100))


def test_a_sealed_part_is_longer_by_its_tag():
    assert BodySeal(ROUTE, SECRET, SHA256, 3 * PART_BYTES).sealed_bytes(0) == PART_BYTES + TAG_BYTES
