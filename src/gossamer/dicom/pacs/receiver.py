"""What takes the images that a PACS sends (C-STORE, PS3.4 B), at our port or over the association that asked.

Law
    1. An image is taken if it is announced, of that series, and not there yet; any other is refused with a status.
    2. An image is on the disk as it comes; one that grows without end, or drips, is cut off.
    3. What goes on without getting on is given up: no image, nor any of one, in ``STALLED_S``, or too many that nobody
       asked for. What is wrong with one image ends the transfer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import chain
from typing import Any, cast

from pynetdicom import evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode_file_meta

from gossamer.dicom.files.open_file import MARK, MARK_AT, MAX_FILE_BYTES
from gossamer.dicom.pacs.base import ANSWER_S
from gossamer.dicom.pacs.bounds import CutOffError, bounded
from gossamer.dicom.pacs.incoming import Incoming
from gossamer.dicom.pacs.spool import Spooled, spooled
from gossamer.errors import GossamerError, NotFetchedError, PacsAwayError

SUCCESS, NOT_AUTHORISED, OUT_OF_RESOURCES, DOES_NOT_MATCH = 0x0000, 0x0124, 0xA700, 0xA900
"""Statuses of C-STORE (PS3.4 table B.2-1, PS3.7 C.5)."""

STALLED_S = 600.0
"""Without any of an image; a PACS fetches from tape in minutes."""

COMMAND_BYTES = 2**14
"""A message of more has some of an image in it; answers that say how far the PACS is have less."""

MOST_REFUSED = 2**10
"""Images that were not announced, or were there: some, of a series that grows; not without end."""

OnImage = Callable[[int, int], None]


class Receiver:
    """Takes images from the threads of pynetdicom; an error of ours is kept, and raised where somebody listens."""

    def __init__(self, incoming: Incoming, on_image: OnImage, clock: Callable[[], float] = time.monotonic) -> None:
        self._incoming, self._on_image, self._clock = incoming, on_image, clock
        self._taking = threading.Lock()
        self._error: GossamerError | None = None
        self._line_error: GossamerError | None = None
        self._got_on_at = clock()
        self._refused = 0

    @property
    def handlers(self) -> list[Any]:
        """As pynetdicom takes them."""
        return [
            (evt.EVT_C_STORE, self._on_store),
            *spooled(self._incoming.draft),
            *bounded(ANSWER_S, MAX_FILE_BYTES, self._on_bytes, self._on_too_long),
        ]

    def note_line(self, error: GossamerError) -> None:
        """Keep why a call to our port came to nothing; it matters where images are missing."""
        self._line_error = error

    def check(self) -> None:
        """Raise what went wrong so far, or PacsAwayError if nothing gets on."""
        if self._error is not None:
            raise self._error
        if self._clock() - self._got_on_at > STALLED_S:
            raise PacsAwayError(
                f"wanted images of the PACS; found that it says it is at work, and sent none in {STALLED_S / 60:.0f} "
                "minutes; try again, or ask its administrator"
            )

    def raise_error(self) -> None:
        """Raise what went wrong, if something did."""
        if self._error is not None:
            raise self._error
        if self._line_error is not None and self._incoming.missing:
            raise self._line_error

    def _on_store(self, event: evt.Event) -> int:
        request = cast(C_STORE, event.request)
        content = cast(Spooled, request.DataSet)
        try:
            with self._taking:
                return self._take(str(request.AffectedSOPInstanceUID), event, content)
        finally:
            content.close()

    def _take(self, uid: str, event: evt.Event, content: Spooled) -> int:
        self._got_on_at = self._clock()
        if uid not in self._incoming.missing or self._error is not None:
            self._refuse()
            return NOT_AUTHORISED
        head = bytes(MARK_AT) + MARK + encode_file_meta(event.file_meta)
        try:
            self._incoming.take(uid, chain([head], content.pieces()))
            self._on_image(self._incoming.done, self._incoming.announced)
        except NotFetchedError as error:
            self._note(error)
            return DOES_NOT_MATCH
        except GossamerError as error:
            self._note(error)
            return OUT_OF_RESOURCES
        return SUCCESS

    def _refuse(self) -> None:
        self._refused += 1
        if self._refused > MOST_REFUSED:
            self._note(
                NotFetchedError(
                    f"wanted {self._incoming.announced} images of the PACS; found more than {MOST_REFUSED:,} others, "
                    "or the same again; the PACS is mistaken: ask its administrator"
                )
            )

    def _on_bytes(self, message_bytes: int) -> None:
        if self._error is not None:
            raise CutOffError
        if message_bytes > COMMAND_BYTES:
            self._got_on_at = self._clock()

    def _on_too_long(self) -> None:
        self._note(
            NotFetchedError(
                f"wanted images of at most {MAX_FILE_BYTES // 2**30} GiB; found more; it is no CT, or the PACS is "
                "mistaken"
            )
        )

    def _note(self, error: GossamerError) -> None:
        self._error = self._error or error  # the first one brings others about
