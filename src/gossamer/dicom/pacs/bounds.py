"""An association that neither waits nor swallows without end, whatever the other side does.

pynetdicom takes the timeout off a socket once it is connected, reads a PDU of the length that it claims, up to 4 GiB,
in one go, and gathers the pieces of a message, and messages that nobody has taken yet, without a bound. A PACS that
stops in the middle of a PDU, sends or takes a byte now and then, or no longer reads what we send, would hold its thread
for ever, and whoever aborts the association waits for that thread.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from pynetdicom import evt
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.transport import AssociationSocket

from gossamer.dicom.pacs.pace import Pace

MAX_PDU_READ_BYTES = 2**20
"""We ask for PDUs of an eighth of that (PS3.8 D.1); a request for an association has less, with all its contexts."""

MAX_MESSAGE_BYTES = 2**21
"""Of an answer to a search or a command; an image has a bound of its own. A match has a thousandth of it, and the names
of 16,384 images that failed have half. As empty items, which pydicom makes a thousand bytes of, it takes 0.3 GB."""

MAX_WAITING_BYTES = 2**26
"""Of messages that were read and not taken yet: 64,000 matches of a search. Of images there is one: the next may come
when that has its answer (PS3.7 D.3.3.3)."""

PIECE_BYTES = 2**16
"""Read or sent at a time."""


class CutOffError(OSError):
    """What pynetdicom sees: a line that broke."""


def bounded(
    silence_s: float,
    message_bytes: int,
    on_bytes: Callable[[int], None] = lambda _size: None,
    on_too_long: Callable[[], None] = lambda: None,
) -> list[Any]:
    """Handlers of events, as pynetdicom takes them, of one association or of all that a server accepts.

    Args:
        silence_s: how long one read or write may take once it has begun; also the window of ``Pace``.
        message_bytes: that one message of DIMSE may have.
        on_bytes: told how long a message is, before more of it is read; an OSError that it raises breaks the line.
        on_too_long: called when it has more, before the line breaks.
    """
    lines: dict[int, _Line] = {}

    def on_open(event: evt.Event) -> None:
        line = event.assoc.dul.socket
        if line is not None:
            lines[id(event.assoc)] = _Line(line, silence_s, message_bytes, on_bytes, on_too_long)

    def on_message(event: evt.Event) -> None:
        lines[id(event.assoc)].end_message()

    def on_pdu(event: evt.Event) -> None:
        if not isinstance(event.pdu, P_DATA_TF):  # of an association that begins or ends
            lines[id(event.assoc)].restart()

    return [(evt.EVT_CONN_OPEN, on_open), (evt.EVT_DIMSE_RECV, on_message), (evt.EVT_PDU_RECV, on_pdu)]


class _Line:
    """Reads and writes in place of an ``AssociationSocket``."""

    def __init__(
        self,
        line: AssociationSocket,
        silence_s: float,
        message_bytes: int,
        on_bytes: Callable[[int], None],
        on_too_long: Callable[[], None],
    ) -> None:
        self._line, self._silence_s, self._most = line, silence_s, message_bytes
        self._on_bytes, self._on_too_long = on_bytes, on_too_long
        self._pace = Pace(silence_s)
        self._waiting: deque[int] = deque()
        self._waiting_bytes = 0
        self.restart()
        line.recv, line.send = self.recv, self.send  # type: ignore[method-assign, assignment]

    def restart(self) -> None:
        """A message begins."""
        self._size = 0
        self._pace.restart()
        self._last = time.monotonic()

    def end_message(self) -> None:
        """A message is whole, and waits for somebody to take it."""
        self._waiting.append(self._size)
        self._waiting_bytes += self._size
        self.restart()

    def recv(self, size_bytes: int) -> bytearray:
        """So many bytes; fewer from a peer that hung up."""
        self._size += size_bytes
        if size_bytes > MAX_PDU_READ_BYTES or self._size > self._most:
            self._on_too_long()
            raise CutOffError
        while len(self._waiting) > self._line.assoc.dimse.msg_queue.qsize():
            self._waiting_bytes -= self._waiting.popleft()
        if self._waiting_bytes > MAX_WAITING_BYTES:
            raise CutOffError
        self._on_bytes(self._size)
        content = bytearray()
        while len(content) < size_bytes and (piece := self._read(size_bytes - len(content))):
            content += piece
        return content

    def _read(self, most_bytes: int) -> bytes:
        connection = self._connection
        connection.settimeout(self._pace.left_s)
        piece = connection.recv(min(PIECE_BYTES, most_bytes))
        now = time.monotonic()
        self._pace.note(now - self._last, len(piece))
        self._last = now
        return piece

    def send(self, content: bytes) -> None:
        """Send all of it, as pynetdicom does, to a peer that reads fast enough."""
        try:
            self._write(content)
        except OSError:
            self._line.event_queue.put("Evt17")  # the line is no more (PS3.8 9.2)
        else:
            evt.trigger(self._line.assoc, evt.EVT_DATA_SENT, {"data": content})

    def _write(self, content: bytes) -> None:
        connection, pace, left = self._connection, Pace(self._silence_s), memoryview(content)
        while left:
            connection.settimeout(pace.left_s)
            began = time.monotonic()
            sent = connection.send(left[:PIECE_BYTES])
            pace.note(time.monotonic() - began, sent)
            left = left[sent:]

    @property
    def _connection(self) -> socket.socket:
        """What it reads and writes; none where somebody aborts the association just now."""
        if self._line.socket is None:
            raise ConnectionError
        return self._line.socket
