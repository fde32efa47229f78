"""The way to a peer, step by step: its name, its port, TLS, and whether it takes this site's certificate.

gRPC says of most of these that the peer is unavailable. Here each is told apart, since each has another remedy and
another person who can apply it. Nothing that answers is trusted with anything: the connection carries no byte of ours
beyond the handshake.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from gossamer.errors import (
    IdentityError,
    NoAnswerError,
    NotAcceptedError,
    NotTlsError,
    PeerError,
    PeerNameError,
    PortClosedError,
)
from gossamer.transport.grpc_lines import Peer
from gossamer.transport.identity import tls_name

REFUSALS = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED", "DECRYPT_ERROR")
"""Words in the alerts by which a TLS server says that it does not take a certificate (RFC 8446, section 6.2)."""


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of ``host:port``; an IPv6 address may stand in brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def reach(address: str, patience_s: float) -> socket.socket:
    """A connection to ``host:port``.

    Raises:
        PeerNameError: the name is not known.
        PortClosedError: nothing listens there.
        NoAnswerError: nothing comes back.
    """
    host, port = host_and_port(address)
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        said = error.strerror if isinstance(error, socket.gaierror) else "it is no host name"
        raise PeerNameError(
            f"wanted the address of host {host}; found none ({said}); correct the name in the federation file, or have "
            "your name server (DNS) or hosts file know it"
        ) from error
    errors: list[OSError] = []
    for family, kind, protocol, _, place in places:
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(patience_s / len(places))
        try:
            connection.connect(place)
        except OSError as error:
            connection.close()
            errors.append(error)
        else:
            return connection
    raise _unreached(host, port, errors)


def _unreached(host: str, port: int, errors: list[OSError]) -> PeerError:
    """What most tells of several addresses: a refusal says that the machine is there."""
    if any(isinstance(error, ConnectionRefusedError) for error in errors):
        return PortClosedError(
            f"wanted an open port {port} at {host}; found it closed; ask that site whether its service runs and "
            "listens there, and whether a firewall in between rejects"
        )
    silent = all(isinstance(error, TimeoutError) for error in errors)
    said = "nothing" if silent else next(e.strerror or "no way" for e in errors if not isinstance(e, TimeoutError))
    return NoAnswerError(
        f"wanted an answer from port {port} at {host}; found {said}; a firewall here or there drops it: have the way "
        "out to this address and port opened, and the way in at that site"
    )


def shake_hands(connection: socket.socket, tls_file: Path, peer: Peer, patience_s: float) -> ssl.SSLSocket:
    """TLS over a connection, as a line would begin it, with whoever is there.

    Args:
        connection: to the peer's address.
        tls_file: this site's key and certificates.
        peer: whose name is asked for.
        patience_s: for each of the handshake's steps.

    Raises:
        IdentityError: this site has nothing to show.
        NotTlsError: what answers does not speak TLS 1.3.
        NotAcceptedError: it does, and refuses this site's certificate at once.
        NoAnswerError: it accepts connections and says nothing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_NONE  # whose certificate it is, is what shall be found out
    context.set_alpn_protocols(["h2"])
    connection.settimeout(patience_s)
    try:
        context.load_cert_chain(tls_file)
    except OSError as error:
        connection.close()
        raise IdentityError(
            f"wanted this site's certificate; found none that TLS can use, at {tls_file.name}; make one with: gossamer "
            "site renew"
        ) from error
    try:
        return context.wrap_socket(connection, server_hostname=tls_name(peer.site_id))
    except TimeoutError as error:
        connection.close()
        raise NoAnswerError(
            "wanted TLS; found that the port takes connections and says nothing; ask that site whether its service "
            "hangs, or whether something else listens there"
        ) from error
    except OSError as error:
        connection.close()
        raise _no_handshake(error) from error


def _no_handshake(error: OSError) -> PeerError:
    reason = (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or "the connection was closed"
    if "ALERT" in reason and any(word in reason for word in REFUSALS):
        return _not_accepted(reason)
    words = reason.lower().replace("_", " ")
    return NotTlsError(
        f"wanted TLS 1.3; found something else ({words}); another program listens there, or a proxy stands between: "
        "compare address and port with that site"
    )


def require_accepted(tls: ssl.SSLSocket) -> None:
    """Wait for the first word after the handshake: a refusal, or HTTP/2 settings.

    TLS 1.3 ends the caller's handshake before the other end has looked at its certificate.

    Raises:
        NotAcceptedError: the other end does not take this site's certificate.
        NoAnswerError: it says nothing.
    """
    try:
        said = tls.recv(9)  # the head of an HTTP/2 frame
    except TimeoutError as error:
        raise NoAnswerError(
            "wanted a first word after TLS; found none; ask that site whether its service hangs"
        ) from error
    except OSError as error:
        raise _not_accepted((error.reason if isinstance(error, ssl.SSLError) else None) or "hung up") from error
    if not said:
        raise _not_accepted("hung up")


def _not_accepted(reason: str) -> NotAcceptedError:
    words = reason.lower().replace("_", " ").rpartition("alert ")[2]
    return NotAcceptedError(
        f"wanted to be taken for a member; found that this site's certificate is refused ({words}); if it is valid, "
        "that site's roster lacks this one, or has an older key: let it approve the same federation file, and start "
        "its service again"
    )
