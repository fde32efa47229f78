"""This site's own door: whether it can listen where its peers are told to find it."""

from __future__ import annotations

import errno
import socket
from contextlib import closing
from datetime import UTC, datetime

from gossamer.errors import IdentityError, ListenError, PeerError
from gossamer.gossip.topology import SiteId
from gossamer.runtime.preflight.finding import Finding, fault, ok, warning
from gossamer.runtime.preflight.shown import require_identity, shown_certificate
from gossamer.runtime.preflight.way import host_and_port, reach, shake_hands
from gossamer.runtime.site_folder import TLS, SiteFolder
from gossamer.transport.grpc_lines import Peer

PATIENCE_S = 5.0
"""For a service on this very machine."""

ANY = ("0.0.0.0", "::", "")  # noqa: S104  # compared with, not bound
"""Addresses that mean all of this machine."""


def check_listening(site: SiteFolder) -> list[Finding]:
    """Take the port that the site listens on, for a moment; one that is taken may be this site's service at work."""
    listen = site.settings.listen
    if listen is None:
        return [ok("port", "this site only dials out, and needs no open port")]
    try:
        _take(listen)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _is_own_service(site, listen):
            return [ok("port", f"this site's service listens on {listen}")]
        found = f"cannot listen on {listen}: {error.strerror}"
        remedy = "end the other program, or set another port as listen and address (the others need the new card)"
        return [fault("port", ListenError, found, remedy)]
    if site.settings.address is None:
        found = f"listens on {listen}, but has no address that the others could dial"
        return [warning("port", ListenError, found, "set address in site.toml, or take listen out")]
    return [ok("port", f"{listen} is free to listen on; whether it can be reached, the others' check tells")]


def _take(listen: str) -> None:
    """Bind and let go.

    Raises:
        OSError: it cannot be bound.
    """
    host, port = host_and_port(listen)
    family, kind, protocol, _, place = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with closing(socket.socket(family, kind, protocol)) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just left waits for stragglers
        taken.bind(place)
        taken.listen()


def _is_own_service(site: SiteFolder, listen: str) -> bool:
    host, port = host_and_port(listen)
    me = Peer(SiteId(site.settings.name), site.identity.certificate, None)
    try:
        connection = reach(f"localhost:{port}" if host in ANY else listen, PATIENCE_S)
        with closing(shake_hands(connection, site.path / TLS, me, PATIENCE_S)) as tls:
            require_identity(shown_certificate(tls), me, {}, datetime.now(UTC))
    except (PeerError, IdentityError):
        return False
    return True
