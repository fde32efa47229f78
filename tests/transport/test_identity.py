"""A site is its key: certificates say so, renewals change nothing, and a key lies open to nobody."""

import hashlib
import stat
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from gossamer.errors import IdentityError
from gossamer.transport.identity import (
    CERTIFICATE,
    KEY,
    new_identity,
    new_tls_certificate,
    read_certificate,
    read_identity,
    site_id_of,
    site_id_of_tls_name,
    spoken,
    tls_name,
    write_identity,
)


@pytest.fixture(scope="module")
def identity():
    return new_identity("mount-sinai")


def leaf_of(tls):
    return x509.load_pem_x509_certificates(tls.chain_pem)[0]


def test_the_site_id_is_the_hash_of_the_public_key_as_openssl_computes_it(identity, tmp_path):
    (tmp_path / "identity.pem").write_text(identity.pem)
    public = subprocess.run(
        ["openssl", "x509", "-in", tmp_path / "identity.pem", "-pubkey", "-noout"], capture_output=True, check=True
    ).stdout
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, capture_output=True, check=True
    ).stdout
    assert identity.site_id == hashlib.sha256(der).hexdigest()


def test_a_renewed_certificate_has_the_same_name_another_key_and_a_later_end(identity):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    first = new_tls_certificate(identity, now)
    second = new_tls_certificate(identity, now + timedelta(days=60))
    assert first.key_pem != second.key_pem
    assert second.ends - first.ends == timedelta(days=60)
    for tls in (first, second):
        leaf = leaf_of(tls)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [tls_name(identity.site_id)]
        leaf.verify_directly_issued_by(identity.certificate)


def test_openssl_accepts_the_chain_and_no_other(identity, tmp_path):
    other = new_identity("mount-sinai")
    (tmp_path / "leaf.pem").write_bytes(leaf_of(new_tls_certificate(identity)).public_bytes(Encoding.PEM))
    for whose, expected in ((identity, 0), (other, 2)):
        (tmp_path / "root.pem").write_text(whose.pem)
        done = subprocess.run(
            ["openssl", "verify", "-purpose", "sslserver", "-CAfile", tmp_path / "root.pem", tmp_path / "leaf.pem"],
            capture_output=True,
            check=False,
        )
        assert done.returncode == expected, done.stderr


def test_names_in_tls_are_the_site_ids_and_nothing_else_is(identity):
    name = tls_name(identity.site_id)
    assert all(len(label) <= 63 for label in name.split("."))
    assert site_id_of_tls_name(name) == identity.site_id
    for other in ("", "localhost", identity.site_id, name + ".", "." + name, name[:-1], name.replace(".", "..")):
        assert site_id_of_tls_name(other) is None


def test_the_spoken_id_has_groups_of_four_and_loses_nothing(identity):
    groups = spoken(identity.site_id).split(" ")
    assert [len(group) for group in groups] == [4] * 16
    assert "".join(groups) == identity.site_id


def test_an_identity_is_found_again_with_its_key_closed_to_others(identity, tmp_path):
    write_identity(identity, tmp_path)
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600
    again = read_identity(tmp_path)
    assert again.site_id == identity.site_id
    leaf_of(new_tls_certificate(again)).verify_directly_issued_by(identity.certificate)


def test_a_key_is_never_written_over(identity, tmp_path):
    write_identity(identity, tmp_path)
    before = (tmp_path / KEY).read_bytes()
    with pytest.raises(IdentityError, match="gossamer site renew"):
        write_identity(new_identity("mount-sinai"), tmp_path)
    assert (tmp_path / KEY).read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_that_others_can_read_is_refused(identity, tmp_path, mode):
    write_identity(identity, tmp_path)
    (tmp_path / KEY).chmod(mode)
    with pytest.raises(IdentityError, match=f"found mode {mode:04o}"):
        read_identity(tmp_path)


def lose_the_key(folder):
    (folder / KEY).unlink()


def spoil_the_key(folder):
    (folder / KEY).write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def take_anothers_certificate(folder):
    (folder / CERTIFICATE).write_text(new_identity("other").pem)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lose_the_key, "gossamer site init"),
        (spoil_the_key, "wanted a private key"),
        (take_anothers_certificate, "do not belong together"),
    ],
)
def test_a_damaged_identity_is_refused_with_what_to_do(identity, tmp_path, spoil, words):
    write_identity(identity, tmp_path)
    spoil(tmp_path)
    with pytest.raises(IdentityError, match=words):
        read_identity(tmp_path)


def certificate(key, *, signer=None, ca=True, path_length=0):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=True)
    signer = signer or key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signer, algorithm).public_bytes(Encoding.PEM).decode()


P256 = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        ("not a certificate", "found something else"),
        (certificate(P256) * 2, "found something else"),
        (certificate(ec.generate_private_key(ec.SECP384R1())), "another kind of key"),
        (certificate(ed25519.Ed25519PrivateKey.generate()), "another kind of key"),
        (certificate(P256, signer=ec.generate_private_key(ec.SECP256R1())), "did not sign itself"),
        (certificate(P256, ca=None), "did not sign itself"),
        (certificate(P256, ca=False), "may not sign exactly"),
        (certificate(P256, path_length=1), "may not sign exactly"),
    ],
)
def test_only_identities_are_taken_into_a_roster(pem, words):
    with pytest.raises(IdentityError, match=words):
        read_certificate(pem, "roster, site x")


def test_what_a_site_gives_is_what_the_roster_holds(identity):
    assert site_id_of(read_certificate(identity.pem, "roster")) == identity.site_id


def test_tls_certificates_may_not_sign_others(identity):
    leaf = leaf_of(new_tls_certificate(identity))
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    with pytest.raises((ValueError, InvalidSignature)):
        leaf.verify_directly_issued_by(leaf)
