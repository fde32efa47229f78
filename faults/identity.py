"""Callers and peers who are not who they must be, at a real ``gossamer site run``: refused, and the log says why.

Who hangs up of his own accord in the middle of a handshake is not refused, and not noted.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from faults.campaign import Campaign, Result
from faults.net_hospitals import Hospitals, ended, wait_until
from gossamer.errors import PeerError
from gossamer.runtime.audit import records_of
from gossamer.runtime.audit_entries import Refused
from gossamer.transport import identity as identities
from gossamer.transport.grpc_lines import METHOD
from gossamer.transport.identity import Identity, TlsCertificate, new_identity, new_tls_certificate, tls_name
from gossamer.transport.line_messages import Hello, Offer, Want, from_bytes, to_bytes

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=100)
STARTS_WITHIN_S = 120.0
ANSWERS_WITHIN_S = 60.0
AN_OFFER = Offer(bytes(32), 8, bytes(8))
"""What a member is asked to send; a greeting alone comes before it is known who calls."""
CROWD, CALLS_OF_EACH = 8, 50
"""Strangers who call at the same time, again and again."""
NOTED_WITHIN_S = 60.0


@dataclass(frozen=True)
class Place:
    """Whom the callers call, and what they know.

    Attributes:
        address: where it listens.
        site: its identity.
        member: another member's identity, as if its key were at hand.
        other: a third one's.
        federation: SHA-256 of the federation file.
        folder: for files.
    """

    address: str
    site: x509.Certificate
    site_id: str
    member: Identity
    other: Identity
    federation: str
    folder: Path


Knock = Callable[[Place], bool]
"""Returns whether it was answered as a member is."""


def by_grpc(make: Callable[[Place], TlsCertificate | None], **greeting: Any) -> Knock:
    """A call with this certificate; the greeting can say something else than it should."""

    def knock(place: Place) -> bool:
        said = Hello(protocols=(1,), release="0", federation=place.federation).model_copy(update=greeting)
        return asyncio.run(_call(place, make(place), to_bytes(said)))

    return knock


def by_words(words: bytes) -> Knock:
    """A member's call that begins with something else than a greeting.

    Another member's than those with a wrong greeting: of a peer's refusals alike the 1st, 2nd and 4th are noted.
    """
    return lambda place: asyncio.run(_call(place, new_tls_certificate(place.other), words))


async def _call(place: Place, shown: TlsCertificate | None, first: bytes) -> bool:
    root = place.site.public_bytes(Encoding.PEM)
    own = (shown.key_pem, shown.chain_pem) if shown else (None, None)
    options = [("grpc.ssl_target_name_override", tls_name(place.site_id))]
    credentials = grpc.ssl_channel_credentials(root, *own)
    async with grpc.aio.secure_channel(place.address, credentials, options) as channel:
        call: Any = channel.stream_stream(METHOD)()
        with suppress(grpc.aio.AioRpcError, TimeoutError, asyncio.InvalidStateError):
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                await call.write(first)
                await call.write(to_bytes(AN_OFFER))
                while isinstance(data := await call.read(), bytes):
                    if isinstance(from_bytes(data), Want):
                        return True
    return False  # it may have greeted, said no, and hung up


def by_bytes(data: bytes) -> Knock:
    """Whatever this is, it is no TLS."""

    def knock(place: Place) -> bool:
        host, _, port = place.address.rpartition(":")
        with socket.create_connection((host, int(port)), ANSWERS_WITHIN_S) as caller, suppress(OSError):
            caller.sendall(data)
            return bool(caller.recv(10))
        return False

    return knock


def by_tls(make: Callable[[Place], tuple[bytes, bytes] | None], newest: ssl.TLSVersion | None = None) -> Knock:
    """TLS of Python's, with a key and certificates that gRPC would not show."""

    def knock(place: Place) -> bool:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        if newest is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
            context.set_ciphers("ALL:@SECLEVEL=0")
        if (shown := make(place)) is not None:
            file = place.folder / "shown.pem"
            file.write_bytes(b"".join(shown))
            context.load_cert_chain(file)
        host, _, port = place.address.rpartition(":")
        caller = socket.create_connection((host, int(port)), ANSWERS_WITHIN_S)
        with caller, suppress(OSError), context.wrap_socket(caller) as tls:
            return bool(tls.recv(9))
        return False

    return knock


def borrowed(place: Place) -> TlsCertificate:
    """A member signs for another member's name."""
    real = identities.tls_name(place.other.site_id)
    with patch.object(identities, "tls_name", lambda _: real):
        return new_tls_certificate(place.member)


def own_name(place: Place) -> TlsCertificate:
    """A member signs for the name of the site that it calls."""
    real = identities.tls_name(place.site_id)
    with patch.object(identities, "tls_name", lambda _: real):
        return new_tls_certificate(place.member)


def posing(place: Place) -> TlsCertificate:
    """A stranger whose certificate bears a member's name."""
    [name] = place.member.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return new_tls_certificate(new_identity(str(name.value)))


def itself(place: Place) -> TlsCertificate:
    """The identity in the place of what it should have signed."""
    return TlsCertificate(_pem(place.member.key), place.member.pem.encode(), NOW)


def made(
    place: Place, *, names: tuple[str, ...], usage: Any = None, is_ca: bool = False, issuer: Identity | None = None
) -> TlsCertificate:
    """A certificate that a member signed, unlike those that sites make."""
    signer, key = issuer or place.member, ec.generate_private_key(ec.SECP256R1())
    builder = _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]), signer.certificate.subject, key)
    builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    certificate = builder.sign(signer.key, hashes.SHA256())
    return TlsCertificate(_pem(key), certificate.public_bytes(Encoding.PEM) + signer.pem.encode(), NOW)


def two_names(place: Place) -> TlsCertificate:
    """Its own name and another member's."""
    return made(place, names=(tls_name(place.member.site_id), tls_name(place.other.site_id)))


def no_id(place: Place) -> TlsCertificate:
    """A host's name where the site id belongs."""
    return made(place, names=("gossamer.example",))


def of_a_server(place: Place) -> TlsCertificate:
    """For servers alone."""
    return made(place, names=(tls_name(place.member.site_id),), usage=ExtendedKeyUsageOID.SERVER_AUTH)


def of_mail(place: Place) -> TlsCertificate:
    """For signing mail."""
    return made(place, names=(tls_name(place.member.site_id),), usage=ExtendedKeyUsageOID.EMAIL_PROTECTION)


def deputy(place: Place) -> TlsCertificate:
    """A member made an authority of its own, which signed."""
    between = made(place, names=("deputy.example",), is_ca=True)
    pems = x509.load_pem_x509_certificates(between.chain_pem)
    key: Any = load_pem_private_key(between.key_pem, None)
    last = made(place, names=(tls_name(place.member.site_id),), issuer=Identity(key, pems[0]))
    return TlsCertificate(last.key_pem, last.chain_pem + between.chain_pem, NOW)


def self_signed(kind: str) -> Callable[[Place], tuple[bytes, bytes]]:
    """A stranger with another kind of key, under a member's name."""

    def make(place: Place) -> tuple[bytes, bytes]:
        key: Any = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ed25519.Ed25519PrivateKey.generate()
        subject = place.member.certificate.subject
        signed = _builder(subject, subject, key).sign(key, hashes.SHA256() if kind == "RSA" else None)
        return _pem(key), signed.public_bytes(Encoding.PEM)

    return make


def _builder(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=9))
    )


def _pem(key: Any) -> bytes:
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text


def in_full(place: Place) -> tuple[bytes, bytes]:
    """All that a member shows."""
    shown = new_tls_certificate(place.member)
    return shown.key_pem, shown.chain_pem


SELF_SIGNED = "self signed certificate"
NOT_SIGNED = "not signed by the identity of the site it names"

CALLERS: dict[str, tuple[Knock, str]] = {
    "no certificate": (by_grpc(lambda place: None), "did not return a certificate"),
    "an unknown key": (by_grpc(lambda place: new_tls_certificate(new_identity("stranger"))), SELF_SIGNED),
    "a member of an older roster": (by_grpc(lambda place: new_tls_certificate(new_identity("former"))), SELF_SIGNED),
    "a stranger under a member's name": (by_grpc(posing), "signature|" + SELF_SIGNED),
    "an expired certificate": (by_grpc(lambda place: new_tls_certificate(place.member, LONG_AGO)), "expired"),
    "one not valid yet": (by_grpc(lambda p: new_tls_certificate(p.member, NOW + timedelta(9))), "not yet valid"),
    "another member's name": (by_grpc(borrowed), NOT_SIGNED),
    "the called site's own name": (by_grpc(own_name), NOT_SIGNED),
    "two names": (by_grpc(two_names), NOT_SIGNED),
    "a host's name": (by_grpc(no_id), NOT_SIGNED),
    "the identity itself": (by_grpc(itself), NOT_SIGNED),
    "a server's certificate": (by_grpc(of_a_server), "purpose|usage"),
    "a mail certificate": (by_grpc(of_mail), "purpose|usage"),
    "a member's deputy": (by_grpc(deputy), "path length|invalid ca|" + NOT_SIGNED),
    "an RSA key": (by_tls(self_signed("RSA")), SELF_SIGNED),
    "an Ed25519 key": (by_tls(self_signed("Ed25519")), "signature|algorithm|" + SELF_SIGNED),
    "TLS 1.2": (by_tls(in_full, ssl.TLSVersion.TLSv1_2), "no shared cipher"),
    "TLS 1.1": (by_tls(lambda place: None, ssl.TLSVersion.TLSv1_1), "unsupported protocol"),
    "HTTP": (by_bytes(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "http request"),
    "HTTP/2 in plain text": (by_bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)), "wrong version number"),
    "SSH": (by_bytes(b"SSH-2.0-OpenSSH_9.6\r\n"), "wrong version number"),
    "garbage": (by_bytes(bytes(range(255, 0, -1))), "wrong version number"),
    "another federation file": (
        by_grpc(lambda place: new_tls_certificate(place.member), federation="cd" * 32), "same federation file",
    ),
    "another protocol": (
        by_grpc(lambda place: new_tls_certificate(place.member), protocols=(99,)), "a common protocol",
    ),
    "no greeting": (by_words(b"D" + bytes(32)), "a greeting first"),
    "no message": (by_words(b"\x00garbage"), "one of its messages"),
}  # fmt: skip

PEERS = {"a proxy that opens TLS": SELF_SIGNED, "another member": SELF_SIGNED}
"""What the site finds at a peer's address that it dials itself."""


def identity(size: int, seed: int, folder: Path) -> Result:
    """Each kind ``size`` times, at one running site."""
    hospitals = Hospitals(folder / "fed", "ABC")
    by_id = sorted(hospitals.names, key=lambda name: hospitals.site(name).identity.site_id)
    me, member, other = by_id  # the first one dials the others
    site = hospitals.site(me)
    place = Place(
        hospitals.listens[me],
        site.identity.certificate,
        site.identity.site_id,
        hospitals.site(member).identity,
        hospitals.site(other).identity,
        hospitals.federation.sha256,
        folder,
    )
    answered, unnoted = [], []
    shown = {"a proxy that opens TLS": _of_a_proxy(), "another member": new_tls_certificate(place.other)}
    running = hospitals.start(me)
    with ended(running):
        if not wait_until(lambda: _is_open(place.address), STARTS_WITHIN_S):
            return Result(f"the site did not start: {running.err[-300:]}", False, {})
        answered += [f"{me}'s line to its peer"] * (not by_grpc(lambda p: new_tls_certificate(p.member))(place))
        for _ in range(size):
            for what, (knock, reason) in CALLERS.items():
                before = _noted(site.path, reason)
                answered += [what] * knock(place)
                if not before and not wait_until(lambda reason=reason: _noted(site.path, reason), NOTED_WITHIN_S):
                    unnoted.append(what)
        _crowd(place, size)
        answered += ["nobody after a crowd"] * (not by_grpc(lambda p: new_tls_certificate(p.member))(place))
        for what, reason in PEERS.items():
            seen = running.err.count("verify failed")
            with _listening(hospitals.listens[member], shown[what], folder):
                if not wait_until(lambda seen=seen: running.err.count("verify failed") > seen, STARTS_WITHIN_S):
                    answered.append(what)
            if not wait_until(lambda reason=reason: _noted(site.path, reason), NOTED_WITHIN_S):
                unnoted.append(what)
    unnoted += [f"{entry.peer}: no code of its own" for entry in _refused(site.path) if entry.code == PeerError.code]
    kinds = len(CALLERS) + len(PEERS)
    figure = f"{kinds} kinds, {size * len(CALLERS) + len(PEERS)} handshakes: {len(answered)} answered, "
    figure += f"{len(unnoted)} without their reason in the audit log; then "
    figure += f"{size * CROWD * CALLS_OF_EACH:,} calls of strangers, {CROWD} at a time"
    if answered or unnoted:
        figure += f" ({', '.join([*answered, *unnoted][:6])})"
    return Result(figure, not answered and not unnoted, {"kinds": kinds, "answered": len(answered)})


def _refused(folder: Path) -> list[Refused]:
    return [each.entry for each in records_of(folder) if isinstance(each.entry, Refused)]


def _noted(folder: Path, reason: str) -> int:
    """How many refusals of the log give this reason."""
    return sum(bool(re.search(reason, entry.reason)) for entry in _refused(folder))


def _is_open(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with suppress(OSError), socket.create_connection((host, int(port)), 1.0):
        return True
    return False


def _of_a_proxy() -> TlsCertificate:
    """As a firewall that opens TLS shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Inspection CA")])
    signed = _builder(name, name, key).sign(key, hashes.SHA256())
    return TlsCertificate(_pem(key), signed.public_bytes(Encoding.PEM), NOW)


def _crowd(place: Place, size: int) -> None:
    """Handshakes side by side: what is done for one must not touch another's."""
    knock = by_tls(lambda _: None)

    def call() -> None:
        for _ in range(size * CALLS_OF_EACH):
            with suppress(OSError):
                knock(place)

    callers = [threading.Thread(target=call) for _ in range(CROWD)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()


@contextmanager
def _listening(address: str, shown: TlsCertificate, folder: Path) -> Iterator[None]:
    """TLS at an address with a certificate that does not belong there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    file = folder / f"{os.getpid()}-{time.monotonic_ns()}.pem"
    file.write_bytes(shown.key_pem + shown.chain_pem)
    context.load_cert_chain(file)
    host, _, port = address.rpartition(":")
    with socket.create_server((host, int(port))) as door:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = door.accept()
                    with caller, suppress(OSError):
                        caller.settimeout(ANSWERS_WITHIN_S)
                        with context.wrap_socket(caller, server_side=True) as tls:
                            tls.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            door.shutdown(socket.SHUT_RDWR)


CAMPAIGNS = (
    Campaign(
        name="identity",
        promise="identity",
        what="a running ``gossamer site run`` is called by whoever is no member or says what no member says, and finds "
        "others than its peers at their addresses: certificates, keys, names, dates, usages, TLS versions, plain text, "
        "greetings, and strangers eight at a time. None may be answered, the reason of each must stand in the audit "
        "log, and a member is answered afterwards",
        run=identity,
        small=1,
        full=20,
    ),
)
