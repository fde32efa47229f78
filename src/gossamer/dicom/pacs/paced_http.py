"""Answers of HTTP that come fast enough: ``Pace`` beneath requests, for lines of a head as for what follows it.

urllib3 bounds each read of a socket, and asks it again until it has what it wants. Only beneath it is seen that a
server drips.
"""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from gossamer.dicom.files.open_file import MAX_FILE_BYTES
from gossamer.dicom.pacs.base import ANSWER_S
from gossamer.dicom.pacs.pace import FEWEST_BYTES_S, Pace, TooSlowError
from gossamer.errors import PacsAwayError, PacsError

MAX_BYTES = MAX_FILE_BYTES + 2**20
"""Of any answer, with its head; one that is read at once has less."""


class PacedAdapter(HTTPAdapter):
    """For a session of requests."""

    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        """See ``HTTPAdapter``."""
        super().init_poolmanager(*arguments, **keywords)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}


class _Paced(io.RawIOBase):
    """What comes on a line, for one answer."""

    def __init__(self, raw: io.RawIOBase, line: socket.socket) -> None:
        self._raw, self._line = raw, line
        self._silence_s = line.gettimeout() or ANSWER_S
        self._pace = Pace(self._silence_s)
        self._room_bytes = MAX_BYTES

    def readable(self) -> bool:
        """See ``io``."""
        return True

    def fileno(self) -> int:
        """See ``io``."""
        return self._raw.fileno()

    def readinto(self, buffer: Any, /) -> int:
        """See ``io``.

        Raises:
            PacsAwayError: too little comes.
            PacsError: too much has come.
            TimeoutError: nothing has, as of any socket.
        """
        began = time.monotonic()
        self._line.settimeout(self._pace.left_s)
        try:
            size = self._raw.readinto(buffer) or 0
            self._pace.note(time.monotonic() - began, size)
        except (TimeoutError, TooSlowError) as error:
            if not self._pace.begun:
                raise
            raise PacsAwayError(
                f"wanted an answer of the PACS at {FEWEST_BYTES_S // 2**10} KiB/s or faster; found one that drips, or "
                "stops; try again, or ask its administrator"
            ) from error
        finally:
            self._line.settimeout(self._silence_s)
        self._room_bytes -= size
        if self._room_bytes < 0:
            raise PacsError(
                f"wanted an answer of at most {MAX_BYTES / 2**30:.0f} GiB; found more; is the address in pacs.toml "
                "that of DICOMweb?"
            )
        return size

    def close(self) -> None:
        """See ``io``."""
        self._raw.close()
        super().close()


class _PacedResponse(HTTPResponse):
    """Reads so."""

    def __init__(self, sock: socket.socket, *arguments: Any, **keywords: Any) -> None:
        super().__init__(sock, *arguments, **keywords)
        self.fp = io.BufferedReader(_Paced(self.fp.detach(), sock))


class _PlainConnection(HTTPConnection):
    response_class = _PacedResponse


class _TlsConnection(HTTPSConnection):
    response_class = _PacedResponse


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
