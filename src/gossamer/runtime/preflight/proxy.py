"""An HTTP proxy in the environment: gRPC sends lines through it, and nobody thinks of it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

VARIABLES = ("grpc", "https", "http")
"""In gRPC's order: ``grpc_proxy``, ``https_proxy``, ``http_proxy`` (its documentation, "environment variables")."""


def proxy_for(host: str, environment: Mapping[str, str] | None = None) -> str | None:
    """The proxy that a line to ``host`` would go through, without any password; None where it goes straight.

    Args:
        host: of a peer's address.
        environment: proxies by kind, as ``urllib`` gives them; by default those of this process.
    """
    # Looked at to be told, not obeyed: Gossamer's own settings stand in files, but gRPC looks here all the same.
    said = getproxies_environment() if environment is None else environment
    kind = next((kind for kind in VARIABLES if said.get(kind)), None)
    exempt = said.get("no_grpc") or said.get("no") or ""
    if kind is None or any(_covers(entry.strip(), host) for entry in exempt.split(",")):
        return None
    return f"{_place(said[kind])} ({kind}_proxy)"


def _covers(entry: str, host: str) -> bool:
    """Whether an entry of ``no_proxy`` (the end of a name, an address, a network) is about a host."""
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return bool(entry) and (entry in ("*", host) or host.endswith(f".{entry.lstrip('.')}"))


def _place(url: str) -> str:
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError:
        return "at an address that cannot be read"
