"""What keeps two sites from speaking is told apart, by real sockets on loopback, each with its code."""

import asyncio
import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from faults.ports import own_address

from gossamer import __version__
from gossamer.runtime.card import Member
from gossamer.runtime.preflight.peers import Patience, check_peer, why_down
from gossamer.runtime.site_folder import MailboxSettings
from gossamer.transport import identity as identities
from gossamer.transport.grpc_lines import Peer
from gossamer.transport.identity import Identity, new_identity, new_tls_certificate
from gossamer.transport.line_messages import PROTOCOLS, Hello

NOW = datetime.now(UTC)
PATIENT = Patience(30.0, 30.0, 30.0)
SHORT = Patience(0.5, 0.5, 0.5)


@pytest.fixture
def looked(pair):
    """What a finds of b."""

    def look(patience=PATIENT, now=NOW, **changed):
        b = pair.federation.member(pair.b.identity.site_id).model_copy(update=changed)
        return check_peer(b, pair.a, pair.federation, now, patience)

    return look


def code_of(findings):
    [finding] = findings
    assert (finding.check, finding.subject, finding.state) == ("peer", "b", "fault")
    assert finding.found
    assert finding.remedy
    return finding.code


def test_a_peer_that_speaks_with_this_site_is_well_and_notices_nothing(pair, service, looked):
    with service(pair.b) as b:
        [finding] = looked()
        assert finding.state == "ok"
        assert f"release {__version__}" in finding.found
        assert b.streams() == {"a": 0}
        assert b.refused == []


def test_a_certificate_that_will_end_soon_is_a_warning(pair, service, looked):
    with service(pair.b):
        [finding] = looked(now=NOW + timedelta(days=75))
    assert (finding.state, finding.code) == ("warning", "GOS-516")


# The way


def test_a_name_that_is_not_known(looked, monkeypatch):
    def unknown(*_args, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    [finding] = looked(address="gossamer.hospital.example:7443")
    assert "gossamer.hospital.example" in finding.found
    assert code_of([finding]) == "GOS-510"


def test_a_name_that_cannot_be(looked):
    assert code_of(looked(address="gossamer..example:7443")) == "GOS-510"


def test_a_closed_port(looked):
    assert code_of(looked()) == "GOS-511"


def test_a_port_from_which_nothing_comes_back(looked):
    """A full queue of callers drops the next, as a firewall does."""
    with socket.socket() as door, socket.socket() as first, socket.socket() as second:
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        for caller in (first, second):
            caller.setblocking(False)
            caller.connect_ex(door.getsockname())
        assert code_of(looked(SHORT, address=f"127.0.0.1:{door.getsockname()[1]}")) == "GOS-512"


def test_a_port_that_takes_connections_and_says_nothing(pair, somebody, looked):
    with somebody(pair.b.settings.address, lambda connection: connection.recv(10**6) and connection.recv(1)):
        assert code_of(looked(SHORT)) == "GOS-512"


# TLS


@pytest.mark.parametrize(
    "says", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\x06\x04\0\0\0\0\0", b""]
)
def test_a_peer_that_speaks_plain_text(pair, somebody, looked, says):
    """SSH, HTTP, HTTP/2 without TLS, and one that hangs up."""

    def behave(connection):
        connection.recv(10**4)
        connection.sendall(says)

    with somebody(pair.b.settings.address, behave):
        assert code_of(looked()) == "GOS-513"


def inspecting(folder, newest=ssl.TLSVersion.TLSv1_3):
    """TLS as a firewall that opens it shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gossamer.example")])
    issuer = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "Inspection CA [bold]\n"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Hospital Firewall"),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    pem += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "proxy.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = newest
    context.load_cert_chain(folder / "proxy.pem")

    def behave(connection):
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)

    return SimpleNamespace(sha256=certificate.fingerprint(hashes.SHA256()).hex(), behave=behave)


def test_intercepted_tls_shows_whose_certificate_it_is(pair, somebody, looked, tmp_path):
    proxy = inspecting(tmp_path)
    with somebody(pair.b.settings.address, proxy.behave):
        [finding] = looked()
    assert code_of([finding]) == "GOS-514"
    for words in ("'gossamer.example'", "'Inspection CA [bold]?, Hospital Firewall'", proxy.sha256):
        assert words in finding.found


def test_a_proxy_that_speaks_no_tls_as_new_as_sites_do(pair, somebody, looked, tmp_path):
    with somebody(pair.b.settings.address, inspecting(tmp_path, ssl.TLSVersion.TLSv1_2).behave):
        [finding] = looked()
    assert code_of([finding]) == "GOS-513"
    assert "protocol version" in finding.found


def test_a_site_at_work_finds_what_a_check_finds(pair, somebody, service, tmp_path):
    b = pair.federation.member(pair.b.identity.site_id)

    def why():
        return asyncio.run(why_down(Peer(b.name, b.identity, b.address), pair.a, pair.federation))

    assert why().code == "GOS-511"
    with somebody(b.address, lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")):
        assert why().code == "GOS-513"
    with somebody(b.address, inspecting(tmp_path).behave):
        assert why().code == "GOS-514"
    with service(pair.b):
        assert why() is None


# Whose certificate


def test_another_member_at_the_peer_s_address(pair, service, looked):
    with service(pair.b, tls=pair.a.tls):
        [finding] = looked()
    assert code_of([finding]) == "GOS-515"
    assert "found site a" in finding.found


def test_a_site_with_a_new_key_at_the_peer_s_address(pair, service, looked):
    with service(pair.b, tls=new_tls_certificate(new_identity("b"))):
        [finding] = looked()
    assert code_of([finding]) == "GOS-515"
    assert "a site with the id" in finding.found


def test_a_peer_s_name_without_its_key(pair, service, looked, monkeypatch):
    name = identities.tls_name(pair.b.identity.site_id)
    liar = new_identity("b")
    with monkeypatch.context() as patch:
        patch.setattr(identities, "tls_name", lambda _site_id: name)
        tls = new_tls_certificate(Identity(liar.key, liar.certificate))
    with service(pair.b, tls=tls):
        [finding] = looked()
    assert code_of([finding]) == "GOS-515"
    assert "without its key" in finding.found


@pytest.mark.parametrize(("days", "words"), [(-100, "expired on"), (5, "set the clock")])
def test_a_peer_s_certificate_that_is_not_valid_now(pair, service, looked, days, words):
    with service(pair.b, tls=new_tls_certificate(pair.b.identity, NOW + timedelta(days=days))):
        [finding] = looked()
    assert code_of([finding]) == "GOS-516"
    assert words in finding.found + finding.remedy


# What the peer thinks of this site


def test_a_peer_whose_roster_lacks_this_site(pair, service, looked):
    other = Member(name="c", certificate=new_identity("c").pem)
    with service(pair.b, roster=[other]):
        assert code_of(looked()) == "GOS-517"


def test_a_peer_that_has_this_site_under_an_older_key(pair, service, looked):
    older = Member(name="a", certificate=new_identity("a").pem)
    with service(pair.b, roster=[older]):
        assert code_of(looked()) == "GOS-517"


def test_a_peer_refuses_this_site_s_expired_certificate(pair, service, looked):
    pair.a.renew(NOW - timedelta(days=100))
    with service(pair.b):
        [finding] = looked()
    assert code_of([finding]) == "GOS-517"
    assert "if it is valid" in finding.remedy


def test_a_peer_with_another_federation_file(pair, service, looked):
    with service(pair.b, hello=Hello(protocols=PROTOCOLS, release="9.9", federation="cd" * 32)) as b:
        [finding] = looked()
        until_s = time.monotonic() + 60.0
        while not b.refused and time.monotonic() < until_s:  # it notes the refusal when it has said it
            time.sleep(0.01)
    assert code_of([finding]) == "GOS-518"
    assert "cdcdcdcdcdcd there" in finding.found
    assert [(who, error.code) for who, error in b.refused] == [("a", "GOS-518")]


def test_a_peer_of_a_release_without_a_common_protocol(pair, service, looked):
    with service(pair.b, hello=Hello(protocols=(7,), release="9.9", federation=pair.federation.sha256)):
        [finding] = looked()
    assert code_of([finding]) == "GOS-519"
    assert "release 9.9" in finding.found


# Sites that only dial


def test_a_peer_that_dials_out_calls_a_site_that_listens(looked):
    [finding] = looked(address=None)
    assert (finding.state, "will dial this site" in finding.found) == ("ok", True)


def test_two_sites_that_only_dial_out_cannot_meet(pair, looked):
    pair.a.settings = pair.a.settings.model_copy(update={"listen": None, "address": None})
    assert code_of(looked(address=None)) == "GOS-608"


@pytest.mark.parametrize(("address", "state"), [("file:///srv/exchange", "ok"), ("ftp://host/exchange", "fault")])
def test_two_sites_that_only_dial_out_meet_in_a_mailbox_if_its_address_is_one(pair, looked, address, state):
    mailbox = MailboxSettings(address=address)
    pair.a.settings = pair.a.settings.model_copy(update={"listen": None, "address": None, "mailbox": mailbox})
    [finding] = looked(address=None)
    assert (finding.state, "mailbox" in finding.found) == (state, True)


# An HTTP proxy


def pass_through(connection):
    """A proxy that opens tunnels (RFC 9110, CONNECT), and knows where the hospital's name leads."""
    head = b""
    while b"\r\n\r\n" not in head:
        if not (byte := connection.recv(1)):
            return  # it hung up
        head += byte
    port = head.split()[1].decode().rpartition(":")[2]
    with socket.create_connection(("127.0.0.1", int(port))) as there:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        def back():
            with suppress(OSError):
                while data := there.recv(10**5):
                    connection.sendall(data)
                connection.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=back, daemon=True).start()
        while data := connection.recv(10**5):
            there.sendall(data)


@pytest.fixture
def proxy(monkeypatch):
    """An address for a proxy that stands in the environment."""
    address = own_address()
    monkeypatch.setenv("https_proxy", f"http://user:secret@{address}")
    return address


@pytest.fixture
def through(pair, service, somebody, proxy):
    """The same, at work, with b behind it."""
    with service(pair.b), somebody(proxy, pass_through):
        yield proxy


def test_a_proxy_in_the_environment_is_a_warning(looked, through):
    [warning, well] = looked()
    assert (warning.check, warning.state, warning.code) == ("proxy", "warning", "GOS-609")
    assert through in warning.found
    assert "secret" not in warning.found + warning.remedy
    assert well.state == "ok"


@pytest.mark.usefixtures("through")
def test_a_proxy_that_is_the_only_way_out_is_taken(pair, looked, monkeypatch):
    known = socket.getaddrinfo

    def lookup(host, *args, **options):
        if host == "gossamer.hospital.example":
            raise socket.gaierror(socket.EAI_NONAME, "only the proxy knows names")
        return known(host, *args, **options)

    monkeypatch.setattr("socket.getaddrinfo", lookup)
    port = pair.b.settings.address.rpartition(":")[2]
    *_, well = looked(address=f"gossamer.hospital.example:{port}")
    assert (well.state, "through the proxy" in well.found) == ("ok", True)


@pytest.mark.usefixtures("proxy")
def test_a_proxy_that_is_away_is_found(pair, service, looked):
    with service(pair.b):
        warning, failed = looked(Patience(30.0, 30.0, 3.0))
    assert warning.code == "GOS-609"
    assert failed.code == "GOS-512"
