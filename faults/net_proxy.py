"""A proxy on loopback that does to one edge what networks do: cut it, swallow what is sent, or record it.

TCP hides loss and disorder from whoever is on it; what a broken way does to a TCP connection is to end it, or to let
it hang half-open. Single frames are lost, repeated and reordered one floor above (``net_lines``).
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Literal, Self

Mode = Literal["pass", "cut", "swallow", "swallow answers"]
"""``cut``: connections end and new ones are refused. ``swallow``: they stay, and nothing arrives, as through a firewall
that forgot them. ``swallow answers``: only what the listening side says is lost: the way is open in one direction."""

CHUNK = 2**16


class FaultProxy:
    """Listens in the place of a site, and passes on to it what its mode lets through."""

    def __init__(self, target: str, at: str = "127.0.0.1", *, records: bool = False) -> None:
        """Listen; a thread a direction does the rest.

        Args:
            target: ``address:port`` of the site.
            at: the address to listen on.
            records: keep every byte, of both directions.
        """
        self.mode: Mode = "pass"
        self.recorded = bytearray()
        self._target, self._records = target, records
        self._door = socket.create_server((at, 0))
        self.address = f"{at}:{self._door.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.mode = "cut"
        self._door.close()
        self.drop()

    def set(self, mode: Mode) -> None:
        """Be so from now on; ``cut`` ends what is connected, and so does the end of swallowing: bytes are missing."""
        before, self.mode = self.mode, mode
        if mode == "cut" or (before.startswith("swallow") and mode != before):
            self.drop()

    def drop(self) -> None:
        """End all connections now, each in the middle of whatever is sent."""
        with self._guard:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._door.accept()
                if self.mode == "cut":
                    caller.close()
                    continue
                threading.Thread(target=self._connect, args=(caller,), daemon=True).start()

    def _connect(self, caller: socket.socket) -> None:
        host, _, port = self._target.rpartition(":")
        try:
            callee = socket.create_connection((host, int(port)))
        except OSError:
            caller.close()
            return
        with self._guard:
            self._open |= {caller, callee}
        back = threading.Thread(target=self._pump, args=(callee, caller, True), daemon=True)
        back.start()
        self._pump(caller, callee, False)
        back.join()
        with self._guard:
            self._open -= {caller, callee}
        caller.close()
        callee.close()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                if self._records:
                    self.recorded += data
                if self.mode == "pass" or (self.mode == "swallow answers" and not is_answer):
                    sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
