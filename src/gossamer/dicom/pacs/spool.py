"""Images of DIMSE on the disk as they come: pynetdicom gathers the pieces of a message in memory, all 2 GiB of them.

Law: of an image that is on its way only ``IN_MEMORY_BYTES`` are in memory; the rest lies where its series will, in a
file without a name, of which nothing is left when it is closed or the process ends. (pynetdicom's own way to write to
the disk, ``STORE_RECV_CHUNKED_DATASET``, leaves patients' data in the folder for temporary files after C-GET, and when
a line breaks.)
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

from pynetdicom import evt
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.pdu_primitives import P_DATA

IN_MEMORY_BYTES = 2**20
"""A slice of 512 x 512 has half of it."""

PIECE_BYTES = 2**18


class Spooled(BytesIO):
    """A data set as pynetdicom fills it; to pynetdicom it is empty, which would decode that of an answer, whole."""

    def __init__(self, folder: Path) -> None:
        """Prepare.

        Args:
            folder: a private one, where it lies if it is long.
        """
        super().__init__()
        self._file = SpooledTemporaryFile(IN_MEMORY_BYTES, dir=str(folder))  # noqa: SIM115  closed with this
        self._error: OSError | None = None

    def write(self, content: Any, /) -> int:
        """Append; whoever reads is told of an error: here it would end pynetdicom's thread."""
        if self._error is None:
            try:
                self._file.write(content)
            except OSError as error:
                self._error = error
        return len(content)

    def pieces(self) -> Iterator[bytes]:
        """What was written, once.

        Raises:
            OSError: it could not be written.
        """
        if self._error is not None:
            raise self._error
        self._file.seek(0)
        while piece := self._file.read(PIECE_BYTES):
            yield piece
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self._file.close()
        super().close()


def spooled(folder: Path) -> list[Any]:
    """Handlers of events, as pynetdicom takes them, by which the data sets of all messages are ``Spooled``."""

    def on_open(event: evt.Event) -> None:
        service = event.assoc.dimse
        receive = service.receive_primitive

        def receive_primitive(primitive: P_DATA) -> None:
            if service.message is None:
                service.message = DIMSEMessage()
                service.message.data_set = Spooled(folder)
            receive(primitive)

        service.receive_primitive = receive_primitive  # type: ignore[method-assign]

    def on_close(event: evt.Event) -> None:
        message = event.assoc.dimse.message
        if message is not None and message.data_set is not None:  # cut off within it
            message.data_set.close()

    return [(evt.EVT_CONN_OPEN, on_open), (evt.EVT_CONN_CLOSE, on_close)]
