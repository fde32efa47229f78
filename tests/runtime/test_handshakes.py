"""Handshakes that fail are heard of, and nothing else that is said on stderr is lost."""

import os
import subprocess
import sys
import time

import pytest

from gossamer.runtime.handshakes import failed_handshakes, reason_of, refusal_for


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            b"I1126 03:08:48.189821 12786 ssl_transport_security.cc:2563] Handshake failed with error SSL_ERROR_SSL: "
            b"error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: certificate has expired",
            "certificate verify failed: certificate has expired",
        ),
        (
            b"I1126 03:08:48.174132 12785 ssl_transport_security.cc:2563] Handshake failed with error SSL_ERROR_SSL: "
            b"error:100000c0:SSL routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE: Invalid certificate "
            b"verification context",
            "peer did not return a certificate",
        ),
        (b"E0000 00:00 ssl_transport_security.cc] Handshake failed", "no reason given"),
        (b"E1126 03:08:48.276439 12785 ssl_transport_security.cc:1569] Invalid private key.", None),
    ],
)
def test_the_reason_is_what_a_person_can_read(line, reason):
    assert reason_of(line) == reason


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("peer did not return a certificate", "GOS-506"),
        ("certificate verify failed: self signed certificate in certificate chain", "GOS-506"),
        ("certificate verify failed: unsuitable certificate purpose", "GOS-506"),
        ("certificate verify failed: certificate has expired", "GOS-516"),
        ("certificate verify failed: certificate is not yet valid", "GOS-516"),
        ("sslv3 alert certificate expired", "GOS-517"),
        ("tlsv1 alert unknown ca", "GOS-517"),
        ("http request", "GOS-513"),
        ("wrong version number", "GOS-513"),
        ("no shared cipher", "GOS-513"),
        ("no reason given", "GOS-500"),
    ],
)
def test_a_failed_handshake_has_the_code_of_its_cause(reason, code):
    refusal = refusal_for(reason)
    assert refusal.code == code
    assert reason in str(refusal)


def test_lines_are_told_and_everything_is_passed_on(capfd):
    told = []
    with failed_handshakes(told.append):
        os.write(2, b"x] Handshake failed with error SSL_ERROR_SSL: error:0:SSL routines:OPENSSL_internal:HTTP_RE")
        os.write(2, b"QUEST\nhalf a line")
        sys.stderr.write("of Python\n")
        until = time.monotonic() + 60
        while not told and time.monotonic() < until:
            time.sleep(0.01)
    assert told == ["http request"]
    said = capfd.readouterr().err
    assert said.count("of Python\n") == 1  # anywhere: it does not wait for the pipe
    native = said.replace("of Python\n", "")
    assert native.startswith("x] Handshake failed")
    assert native.endswith("OPENSSL_internal:HTTP_REQUEST\nhalf a line")
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"


def test_a_listener_that_fails_ends_nothing(capfd):
    def fail(reason):
        raise OSError(reason)

    with failed_handshakes(fail):
        os.write(2, b"Handshake failed\nHandshake failed\n")
    assert capfd.readouterr().err.count("Handshake failed") == 2


GRPC = """
import socket, ssl, sys, time
from contextlib import suppress
from gossamer.runtime.handshakes import failed_handshakes
from gossamer.transport.identity import new_identity, new_tls_certificate
import grpc  # after gossamer.transport, which says to it what TLS it speaks
identity = new_identity("a")
tls = new_tls_certificate(identity)
told = []
with failed_handshakes(told.append):
    server = grpc.server(__import__("concurrent.futures").futures.ThreadPoolExecutor(1))
    shown = [(tls.key_pem, tls.chain_pem)]
    credentials = grpc.ssl_server_credentials(shown, identity.pem.encode(), require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    with socket.create_connection(("127.0.0.1", port)) as caller:
        caller.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
        caller.settimeout(60)
        caller.recv(10)
    open(sys.argv[1], "wb").write(tls.key_pem + tls.chain_pem)
    for newest in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode, context.maximum_version = False, ssl.CERT_NONE, newest
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(sys.argv[1])
        caller = socket.create_connection(("127.0.0.1", port), 60)
        with caller, suppress(OSError), context.wrap_socket(caller) as speaking:
            print(speaking.version(), bool(speaking.recv(9)))
    until = time.monotonic() + 60
    while len(told) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    server.stop(0).wait()
print(told)
"""


def test_the_grpc_that_is_installed_says_what_this_listens_for_and_takes_a_member_with_tls_1_3_alone(tmp_path):
    command = [sys.executable, "-c", GRPC, str(tmp_path / "tls.pem")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines() == ["TLSv1.3 True", "['http request', 'no shared cipher']"]
