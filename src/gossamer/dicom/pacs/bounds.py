"""An association that neither waits nor swallows without end, whatever the other side does.

pynetdicom takes the timeout off a socket once it is connected, reads a PDU of the length that it claims, up to 4 GiB,
in one go, and gathers the pieces of a message without a bound. A PACS that stops in the middle of a PDU, or no longer
reads what we send, would hold its thread for ever, and whoever aborts the association waits for that thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pynetdicom import evt

MAX_PDU_READ_BYTES = 2**20
"""We ask for PDUs of an eighth of that (PS3.8 D.1); a request for an association has less, with all its contexts."""

MAX_MESSAGE_BYTES = 2**26
"""Of an answer to a search or a command; an image has a bound of its own."""


class TooLongError(OSError):
    """What pynetdicom sees: a line that broke."""


def bounded(silence_s: float, message_bytes: int, on_too_long: Callable[[], None] = lambda: None) -> list[Any]:
    """Handlers of events, as pynetdicom takes them, of one association or of all that a server accepts.

    Args:
        silence_s: how long one read or write may take once it has begun.
        message_bytes: that one message of DIMSE may have.
        on_too_long: called when it has more, before the line breaks.
    """
    sizes: dict[int, int] = {}

    def on_open(event: evt.Event) -> None:
        line, association = event.assoc.dul.socket, id(event.assoc)
        sizes[association] = 0
        if line is None or line.socket is None:
            return
        line.socket.settimeout(silence_s)
        read = line.recv

        def recv(size_bytes: int) -> bytearray:
            sizes[association] += size_bytes
            if size_bytes > MAX_PDU_READ_BYTES or sizes[association] > message_bytes:
                on_too_long()
                raise TooLongError
            return read(size_bytes)

        line.recv = recv  # type: ignore[method-assign, assignment]

    def on_message(event: evt.Event) -> None:
        sizes[id(event.assoc)] = 0

    return [(evt.EVT_CONN_OPEN, on_open), (evt.EVT_DIMSE_RECV, on_message)]
