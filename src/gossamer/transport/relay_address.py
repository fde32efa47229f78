"""Where a relay is: ``host:port``."""

from __future__ import annotations


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of ``host:port``; an IPv6 address may stand in brackets.

    Raises:
        ValueError: it is none.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) >= 2**16:
        raise ValueError("is host:port, such as relay.example:7490")
    return host.strip("[]"), int(port)
