"""TLS handshakes that fail, and why: gRPC refuses them before any code of ours runs, and tells its native log alone.

That log goes to file descriptor 2. While this module listens, a pipe is there instead; whatever comes through it is
passed on, letter by letter, to where it went before. Python's own ``sys.stderr`` does not go through the pipe.

One process listens once; nested calls must end in the opposite order.
"""

from __future__ import annotations

import os
import re
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from gossamer.errors import NotAcceptedError, NotTlsError, PeerCertificateError, PeerError, StrangerError

FAILED = re.compile(rb"[Hh]andshak\w* failed[^:\n]*:?(?P<said>[^\n]*)")
"""What gRPC 1.60 to 1.85 write, in ``ssl_transport_security.cc`` and ``security_handshaker.cc``."""

INSIDE = re.compile(
    "OPENSSL_internal:|error:[0-9a-f]+:|SSL routines:|SSL_ERROR_SSL:?|: OK$|: Invalid certificate verification context$"
)
"""Words of the library that tell nobody anything."""

CAUSES: tuple[tuple[re.Pattern[str], type[PeerError]], ...] = (
    (re.compile(r"\balert\b"), NotAcceptedError),  # the other end's word
    (re.compile("expired|not yet valid"), PeerCertificateError),
    (re.compile("http request|version|unsupported protocol|no shared cipher|unexpected message"), NotTlsError),
    (re.compile("certificate|signature|issuer|key usage"), StrangerError),
)
"""The first of which a reason has a word says what kind of refusal it is."""

LOOKS_EVERY_S = 0.2

MOST_BYTES = 2**16
"""Of a line that has no end yet; more is passed on unread."""


@contextmanager
def failed_handshakes(tell: Callable[[str], None]) -> Iterator[None]:
    """Listen until the block ends.

    Args:
        tell: given the reason of each, in a thread of this module's; what it raises ends nothing.
    """
    sys.stderr.flush()
    before, pythons = os.dup(2), sys.stderr
    ear, mouth = os.pipe()
    own = os.fdopen(os.dup(before), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    os.dup2(mouth, 2)
    os.close(mouth)
    if _is_descriptor_2(pythons):  # else it goes elsewhere already
        sys.stderr = own
    over = threading.Event()
    thread = threading.Thread(target=_listen, args=(ear, before, over, tell), daemon=True)
    thread.start()
    try:
        yield
    finally:
        sys.stderr = pythons
        own.close()
        os.dup2(before, 2)
        over.set()
        thread.join()
        os.close(ear)
        os.close(before)


def _is_descriptor_2(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 2
    except (OSError, ValueError, AttributeError):
        return False


def reason_of(line: bytes) -> str | None:
    """Why a handshake failed, if a line of the log says that one did."""
    found = FAILED.search(line)
    if found is None:
        return None
    said = INSIDE.sub("", found["said"].decode(errors="replace"))
    return " ".join(said.replace("_", " ").lower().split()) or "no reason given"


def refusal_for(reason: str) -> PeerError:
    """What a handshake that failed is called: as ``gossamer check`` calls what it finds at a peer."""
    kind = next((kind for words, kind in CAUSES if words.search(reason)), PeerError)
    return kind(
        f"wanted a TLS handshake with a member; found that it failed ({reason}), of a caller or at a peer's address; "
        "look at the peers with: gossamer check"
    )


def _listen(ear: int, before: int, over: threading.Event, tell: Callable[[str], None]) -> None:
    rest = b""
    while True:
        ready, _, _ = select.select([ear], [], [], LOOKS_EVERY_S)
        if not ready:
            if over.is_set():
                return
            continue
        data = os.read(ear, MOST_BYTES)
        if not data:
            return
        with suppress(OSError):
            os.write(before, data)
        *lines, rest = (rest + data)[-MOST_BYTES:].split(b"\n")
        for line in lines:
            if (reason := reason_of(line)) is not None:
                with suppress(Exception):
                    tell(reason)
