"""What takes the images that a PACS sends (C-STORE, PS3.4 B), at our port or over the association that asked.

Law
    1. An image is taken if it is announced, of that series, and not there yet; any other is refused with a status.
    2. An image that grows without end is cut off.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

from pynetdicom import evt
from pynetdicom.dimse_primitives import C_STORE

from gossamer.dicom.files.open_file import MAX_FILE_BYTES
from gossamer.dicom.pacs.base import ANSWER_S
from gossamer.dicom.pacs.bounds import bounded
from gossamer.dicom.pacs.incoming import Incoming
from gossamer.errors import GossamerError, NotFetchedError

SUCCESS, NOT_AUTHORISED, OUT_OF_RESOURCES, DOES_NOT_MATCH = 0x0000, 0x0124, 0xA700, 0xA900
"""Statuses of C-STORE (PS3.4 table B.2-1, PS3.7 C.5)."""

OnImage = Callable[[int, int], None]


class Receiver:
    """Takes images from the threads of pynetdicom; an error of ours is kept, and raised where somebody listens."""

    def __init__(self, incoming: Incoming, on_image: OnImage) -> None:
        self._incoming, self._on_image = incoming, on_image
        self._taking = threading.Lock()
        self._error: GossamerError | None = None
        self._line_error: GossamerError | None = None

    @property
    def handlers(self) -> list[Any]:
        """As pynetdicom takes them."""
        return [(evt.EVT_C_STORE, self._on_store), *bounded(ANSWER_S, MAX_FILE_BYTES, self._too_long)]

    def note_line(self, error: GossamerError) -> None:
        """Keep why a call to our port came to nothing; it matters where images are missing."""
        self._line_error = error

    def raise_error(self) -> None:
        """Raise what went wrong, if something did."""
        if self._error is not None:
            raise self._error
        if self._line_error is not None and self._incoming.missing:
            raise self._line_error

    def _on_store(self, event: evt.Event) -> int:
        uid = str(cast(C_STORE, event.request).AffectedSOPInstanceUID)
        with self._taking:
            if uid not in self._incoming.missing or self._error is not None:
                return NOT_AUTHORISED
            try:
                self._incoming.take(uid, [event.encoded_dataset()])
                self._on_image(self._incoming.done, self._incoming.announced)
            except NotFetchedError as error:
                self._note(error)
                return DOES_NOT_MATCH
            except GossamerError as error:
                self._note(error)
                return OUT_OF_RESOURCES
        return SUCCESS

    def _too_long(self) -> None:
        self._note(
            NotFetchedError(
                f"wanted images of at most {MAX_FILE_BYTES // 2**30} GiB; found more; it is no CT, or the PACS is "
                "mistaken"
            )
        )

    def _note(self, error: GossamerError) -> None:
        self._error = self._error or error  # the first one brings others about
