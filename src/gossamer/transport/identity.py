"""Who a site is: a key of its own, and certificates that say so. No authority stands above the sites.

A site makes one identity certificate for ten years: self-signed, an authority for nobody but itself. It goes into the
roster, and its public key gives the site its id. It signs the short-lived certificates that TLS shows, whose name is
that id; so a certificate is renewed without asking anyone, and a new key is a new site.

Law
    1. The site id is the SHA-256 of the identity's public key (SubjectPublicKeyInfo, DER), in hexadecimal digits.
    2. Whoever trusts an identity certificate, and nothing else, lets in exactly the holder of its key.
    3. A private key is written with mode 0600 and never overwritten.

ECDSA on P-256 throughout: gRPC's TLS fails every handshake with Ed25519 certificates.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gossamer.atomic import flush_folder, storage_error, write_atomically
from gossamer.errors import IdentityError

KEY = "identity.key"
CERTIFICATE = "identity.pem"

IDENTITY_LASTS = timedelta(days=3652)
TLS_LASTS = timedelta(days=90)
CLOCKS_DIFFER = timedelta(hours=24)
"""Certificates begin this much earlier: hospitals' clocks are set by hand."""

ID_DIGITS = 64


@dataclass(frozen=True)
class Identity:
    """A site's own key and identity certificate.

    Attributes:
        key: the private key; it never leaves the site.
        certificate: what the other sites have in their roster.
    """

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def site_id(self) -> str:
        """64 hexadecimal digits; see the law."""
        return site_id_of(self.certificate)

    @property
    def pem(self) -> str:
        """The certificate as text, for the roster."""
        return self.certificate.public_bytes(Encoding.PEM).decode()


@dataclass(frozen=True)
class TlsCertificate:
    """What a site shows when it connects.

    Attributes:
        key_pem: private key of this certificate.
        chain_pem: the certificate, then the identity that signed it.
        ends: when it expires (UTC).
    """

    key_pem: bytes
    chain_pem: bytes
    ends: datetime


def new_identity(name: str, now: datetime | None = None) -> Identity:
    """Make a key and its identity certificate.

    Args:
        name: of the site, for people who look at the certificate; nothing trusts it.
        now: when it begins (UTC).
    """
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _certificate(subject, subject, key.public_key(), now, IDENTITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Identity(key, certificate)


def new_tls_certificate(
    identity: Identity, now: datetime | None = None, lasts: timedelta = TLS_LASTS
) -> TlsCertificate:
    """Make a key and a certificate for connections, signed by the site's identity."""
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = tls_name(identity.site_id)
    certificate = (
        _certificate(x509.Name([]), identity.certificate.subject, key.public_key(), now, lasts)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .sign(identity.key, hashes.SHA256())
    )
    chain = certificate.public_bytes(Encoding.PEM) + identity.pem.encode()
    return TlsCertificate(_key_pem(key), chain, certificate.not_valid_after_utc)


def site_id_of(certificate: x509.Certificate) -> str:
    """The site id; see the law."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()


def tls_name(site_id: str) -> str:
    """The name in a site's TLS certificates: its id in two labels, since one of 64 letters is too long for DNS."""
    return f"{site_id[:32]}.{site_id[32:]}"


def site_id_of_tls_name(name: str) -> str | None:
    """The site id in a TLS certificate's name; None where the name is none of ours."""
    site_id = name.replace(".", "")
    return site_id if len(site_id) == ID_DIGITS and tls_name(site_id) == name else None


def sign(identity: Identity, purpose: str, content: bytes) -> bytes:
    """A site's signature (ECDSA, SHA-256, DER) of a content for one purpose, and for no other."""
    return identity.key.sign(_signed(purpose, content), ec.ECDSA(hashes.SHA256()))


def is_signed(certificate: x509.Certificate, purpose: str, content: bytes, signature: bytes) -> bool:
    """Whether the holder of an identity signed a content for this purpose."""
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        key.verify(signature, _signed(purpose, content), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _signed(purpose: str, content: bytes) -> bytes:
    return f"gossamer {purpose}\n".encode() + content


def spoken(site_id: str) -> str:
    """The site id in groups of four, to be read over the phone."""
    return " ".join(site_id[at : at + 4] for at in range(0, len(site_id), 4))


def read_certificate(pem: str, what: str) -> x509.Certificate:
    """Read an identity certificate that another site gave.

    Args:
        pem: its text.
        what: how messages call it.

    Raises:
        IdentityError: it is none, or not one that sites make.
    """
    try:
        [certificate] = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise _refusal(what, "something else") from error
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _refusal(what, "one with another kind of key than ECDSA P-256")
    try:
        certificate.verify_directly_issued_by(certificate)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise _refusal(what, "one that did not sign itself") from error
    if not constraints.ca or constraints.path_length != 0:
        raise _refusal(what, "one that may not sign exactly its own site's certificates")
    return certificate


def write_identity(identity: Identity, folder: Path) -> None:
    """Keep a new identity; the key is readable for its owner alone, from the first byte on.

    Raises:
        IdentityError: there is one already.
        StorageError: it cannot be written.
    """
    try:
        descriptor = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise IdentityError(
            f"wanted to write a new key; found one at {KEY}; a new key is a new site that all others must approve: "
            "move the old one away if you mean it, or renew its certificate with: gossamer site renew"
        ) from error
    except OSError as error:
        raise storage_error(error, f"wanted to write {KEY}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_key_pem(identity.key))
            file.flush()
            os.fsync(file.fileno())
        flush_folder(folder)
    except OSError as error:
        raise storage_error(error, f"wanted to write {KEY}") from error
    write_atomically(folder / CERTIFICATE, identity.pem)


def read_identity(folder: Path) -> Identity:
    """The identity kept in a folder.

    Raises:
        IdentityError: there is none, others may read its key, or key and certificate do not belong together.
    """
    try:
        mode = (folder / KEY).stat().st_mode & 0o777
        key_pem, pem = (folder / KEY).read_bytes(), (folder / CERTIFICATE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise IdentityError(
            f"wanted this site's {KEY} and {CERTIFICATE}; found them missing or unreadable, in its folder; make them "
            "with: gossamer site init"
        ) from error
    if mode & 0o077:
        raise IdentityError(
            f"wanted {KEY} readable for its owner alone; found mode {mode:04o}, in the site's folder; whoever could "
            "read it can pose as this site: chmod 600 it, or make a new identity if strangers had access"
        )
    try:
        key = load_pem_private_key(key_pem, None)
    except (ValueError, TypeError) as error:
        raise IdentityError(f"wanted a private key; found something else, at {KEY}; take it from the backup") from error
    certificate = read_certificate(pem, CERTIFICATE)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise IdentityError(
            f"wanted a certificate of this site's key; found that {KEY} and {CERTIFICATE} do not belong together; take "
            "both from the same backup"
        )
    return Identity(key, certificate)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + lasts)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _refusal(what: str, found: str) -> IdentityError:
    return IdentityError(
        f"{what}: wanted the identity certificate of a site, as 'gossamer site init' makes it; found {found}; ask that "
        "site for the file again, and compare its id over the phone"
    )
