"""The status of a running site over HTTP, on this machine alone: JSON at ``/``, Prometheus at ``/metrics``.

No key protects it, so it listens on loopback only, and answers only to a loopback name: a web page in a browser of this
machine that has its own name resolve to 127.0.0.1 gets nothing.
"""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socket import AF_INET6

from gossamer.documents import parse_json
from gossamer.errors import ListenError, StatusError
from gossamer.runtime.status import SiteStatus, prometheus_text

ANSWER_S = 10.0
"""A site that cannot say how it gets on for so long is stuck."""

MAX_BYTES = 2**20


@contextmanager
def status_endpoint(address: str, status: Callable[[], SiteStatus]) -> Iterator[None]:
    """Answer until the block ends.

    Args:
        address: ``address:port`` on loopback.
        status: called in the running event loop.

    Raises:
        ListenError: the port is taken.
    """
    loop = asyncio.get_running_loop()

    async def say() -> SiteStatus:
        return status()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not _is_loopback(self.headers.get("Host", "")):
                self.send_error(403)
                return
            kinds = {"/": ("application/json", _json), "/metrics": ("text/plain; version=0.0.4", prometheus_text)}
            if self.path not in kinds:
                self.send_error(404)
                return
            try:
                found = asyncio.run_coroutine_threadsafe(say(), loop).result(ANSWER_S)
            except TimeoutError:
                self.send_error(503)
                return
            kind, write = kinds[self.path]
            body = write(found)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the library's
            """Say nothing: it would go to stderr."""

    server = _listening(address, Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask_status(address: str) -> SiteStatus:
    """How the site at an address gets on.

    Raises:
        StatusError: nobody answers there, or somebody else does.
    """
    try:
        # Never through a proxy: it is this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{address}/", timeout=2 * ANSWER_S) as answer:
            text = answer.read(MAX_BYTES).decode()
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise StatusError(
            f"wanted a running site's status; found nobody who tells it ({str(reason)[:80]}), at {address}; start the "
            "site with: gossamer site run"
        ) from error
    return parse_json(text, SiteStatus, f"status at {address}", StatusError)


def _json(status: SiteStatus) -> bytes:
    return json.dumps(status.model_dump(mode="json"), indent=1).encode()


def _listening(address: str, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    host, _, port = address.rpartition(":")
    bare = host.strip("[]")

    class Server(ThreadingHTTPServer):
        address_family = AF_INET6 if ":" in bare else ThreadingHTTPServer.address_family
        allow_reuse_port = False

    try:
        return Server((bare, int(port)), handler)
    except OSError as error:
        raise ListenError(
            f"wanted to tell this site's status at {address}; found the port taken ({error.strerror}); does another "
            "site run on this machine? write another 'status' into site.toml"
        ) from error


def _is_loopback(host: str) -> bool:
    name = host.rpartition(":")[0] if not host.endswith("]") else host
    try:
        return name == "localhost" or ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
