"""Ports that belong to one campaign or test from the moment at which they are chosen.

Law: a port that was given is never free for anybody else before this process ends. It is bound here with SO_REUSEADDR
and never listened on: so Linux gives it to no other socket that asks for any port, nor to one that connects, and calls
to it are refused; whoever is meant to listen there may, again and again, for gRPC, asyncio and HTTP servers set
SO_REUSEADDR too.

A port that is found free, let go and bound later is somebody else's now and then.
"""

from __future__ import annotations

import atexit
import socket

_held: list[socket.socket] = []


def own_port(host: str = "127.0.0.1") -> int:
    """A port on an address of this machine."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((host, 0))
    _held.append(held)
    port: int = held.getsockname()[1]
    return port


def own_address(host: str = "127.0.0.1") -> str:
    """The same as ``host:port``."""
    return f"{host}:{own_port(host)}"


@atexit.register
def _let_go() -> None:
    for held in _held:
        held.close()
