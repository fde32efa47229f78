"""A PACS that speaks DICOMweb: QIDO-RS, WADO-RS and STOW-RS (PS3.18 10.4 to 10.6).

Law: files come one a request and straight to the disk, as the PACS stored them (transfer syntax ``*``), and go as they
are. What is searched is dicomweb-client's; ``multipart`` says why the files are not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom.datadict import tag_for_keyword

from gossamer.dicom.pacs.answers import RETURNED, kept, series_of, verdict_on
from gossamer.dicom.pacs.base import (
    ANSWER_S,
    CONNECT_S,
    MAX_INSTANCES,
    MAX_SERIES,
    Pacs,
    Query,
    SeriesAtPacs,
    check_uids,
)
from gossamer.dicom.pacs.incoming import Incoming
from gossamer.dicom.pacs.multipart import PIECE_BYTES, Upload, boundary_of, single_part
from gossamer.dicom.pacs.settings import WebSettings
from gossamer.dicom.pacs.stored import Verdicts, check_files
from gossamer.dicom.pacs.web_session import mapped_errors, open_session
from gossamer.errors import NotFetchedError, PacsError

PAGE = 500
"""Series or images asked for at once; servers have limits of their own, and send less."""

FAILED, REFERENCED = "FailedSOPSequence", "ReferencedSOPSequence"
"""Of the answer to STOW-RS (PS3.18 table 10.5.3-1), with a reason for each."""

Json = Mapping[str, Any]


class WebPacs(Pacs):
    """See the top of this file."""

    def __init__(self, settings: WebSettings, home: Path) -> None:
        """Prepare; nothing is dialled before something is asked for.

        Args:
            settings: of the file.
            home: the file's folder.

        Raises:
            ConfigurationError: a secret is not to be had.
        """
        for library in ("dicomweb_client", "urllib3"):  # they would print addresses with UIDs, and servers' texts
            logging.getLogger(library).addHandler(logging.NullHandler())
        self._session = open_session(settings, home)
        self._url = settings.url.rstrip("/")
        self._client = DICOMwebClient(self._url, session=self._session, timeout=(CONNECT_S, ANSWER_S))
        self._client.set_http_retry_params(retry=False)  # who waits, and how long, is decided above

    def check(self) -> str:
        """See ``Pacs``."""
        with mapped_errors():
            self._client.search_for_series(limit=1)
        return "QIDO-RS"

    def find_series(self, query: Query) -> list[SeriesAtPacs]:
        """See ``Pacs``."""
        found = self._find_series(query, query.patient_id)
        if not found and query.patient_id and not query.patient_id.isalnum():
            found = self._find_series(query, "")  # not all servers decode what an address escapes
        return found

    def _find_series(self, query: Query, patient_id: str) -> list[SeriesAtPacs]:
        filters = {
            "PatientID": patient_id,
            "StudyInstanceUID": query.study_uid,
            "SeriesInstanceUID": query.series_uid,
            "Modality": query.modality,
            "StudyDate": query.study_dates,
        }
        wanted = {keyword: text for keyword, text in filters.items() if text}

        def page(offset: int) -> Sequence[Json]:
            answer: Sequence[Json] = self._client.search_for_series(
                search_filters=wanted, fields=RETURNED, limit=PAGE, offset=offset
            )
            return answer

        return query.chosen(map(series_of, _pages(page, "SeriesInstanceUID", RETURNED, MAX_SERIES, "series")))

    def fetch(
        self, series: SeriesAtPacs, folder: Path, on_image: Callable[[int, int], None] = lambda n, of: None
    ) -> int:
        """See ``Pacs``."""
        with Incoming(series, folder, self._images_of(series)) as incoming:
            for uid in sorted(incoming.missing):
                incoming.take(uid, self._pieces_of(series, uid))
                on_image(incoming.done, incoming.announced)
            return incoming.finish()

    def store(self, files: Sequence[Path], on_file: Callable[[int, int], None] = lambda n, of: None) -> int:
        """See ``Pacs``."""
        check_files(files)
        verdicts = Verdicts()
        for done, file in enumerate(files, start=1):
            upload = Upload(file)
            headers = {"Content-Type": upload.content_type, "Accept": "application/dicom+json"}
            with mapped_errors():
                answer = self._session.post(
                    f"{self._url}/studies", data=upload, headers=headers, timeout=(CONNECT_S, ANSWER_S)
                )
                verdicts.add(*_verdict(answer))
            on_file(done, len(files))
        return verdicts.end()

    def close(self) -> None:
        """See ``Pacs``."""
        self._session.close()

    def _images_of(self, series: SeriesAtPacs) -> set[str]:
        """See ``Pacs``."""
        check_uids(series.study_uid, series.series_uid)

        def page(offset: int) -> Sequence[Json]:
            answer: Sequence[Json] = self._client.search_for_instances(
                series.study_uid, series.series_uid, limit=PAGE, offset=offset
            )
            return answer

        images = _pages(page, "SOPInstanceUID", ("SOPInstanceUID",), MAX_INSTANCES, "images")
        return {image["SOPInstanceUID"] for image in images}

    def _pieces_of(self, series: SeriesAtPacs, uid: str) -> Iterator[bytes]:
        address = f"{self._url}/studies/{series.study_uid}/series/{series.series_uid}/instances/{uid}"
        headers = {
            "Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*',
            "Accept-Encoding": "identity",  # nobody gains by packing what goes from one room to the next
        }
        with (
            mapped_errors(),
            self._session.get(address, headers=headers, stream=True, timeout=(CONNECT_S, ANSWER_S)) as answer,
        ):
            if answer.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.NOT_ACCEPTABLE):
                raise NotFetchedError(
                    f"wanted an image of series {series.key} that the PACS announced; found HTTP status "
                    f"{answer.status_code}; nothing was kept; try again, or ask its administrator"
                )
            answer.raise_for_status()
            boundary = boundary_of(answer.headers.get("Content-Type", ""))
            pieces: Iterator[bytes] = answer.iter_content(PIECE_BYTES)
            yield from single_part(pieces, boundary) if boundary is not None else pieces


def _pages(
    page: Callable[[int], Sequence[Json]], key: str, keywords: Sequence[str], most: int, what: str
) -> list[dict[str, str]]:
    """All answers of a search, first values by keyword.

    A server that knows no offset sends the first ones again, which ends it.
    """
    found: dict[str, dict[str, str]] = {}
    while True:
        with mapped_errors():
            items = page(len(found))
        new = {
            uid: {keyword: _text(item, keyword) for keyword in keywords}
            for item in items
            if isinstance(item, dict) and (uid := _text(item, key)) not in found
        }
        if not new:
            return list(found.values())
        found |= new
        if len(found) > most:
            raise PacsError(f"wanted at most {most:,} {what}; found that the PACS has more; narrow the search")


def _text(item: Json, keyword: str) -> str:
    """The first value of an element in DICOM JSON (PS3.18 F.2); "" if there is none or something else."""
    element = item.get(f"{tag_for_keyword(keyword):08X}")
    values = element.get("Value") if isinstance(element, dict) else None
    first = values[0] if isinstance(values, list) and values else ""
    return kept(first) if isinstance(first, str | int) else ""


def _verdict(answer: requests.Response) -> tuple[bool, str]:
    """Whether a file was taken, and what is to be said of it."""
    body = _json(answer)
    reasons = {
        name: _number(body, name, reason) for name, reason in ((FAILED, "FailureReason"), (REFERENCED, "WarningReason"))
    }
    if (failed := reasons[FAILED]) is not None:
        return verdict_on(failed)
    if answer.status_code == HTTPStatus.CONFLICT or answer.status_code in (
        *(HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        *(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.INSUFFICIENT_STORAGE),
    ):
        return False, f"HTTP status {answer.status_code}"
    answer.raise_for_status()
    return True, verdict_on(reasons[REFERENCED] or 0)[1]


def _json(answer: requests.Response) -> Json:
    try:
        body = answer.json() if answer.content else {}
    except requests.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _number(body: Json, sequence: str, keyword: str) -> int | None:
    """A number in the first item of a sequence; 0 if the item is there without it, None if there is no item."""
    element = body.get(f"{tag_for_keyword(sequence):08X}")
    items = element.get("Value") if isinstance(element, dict) else None
    if not isinstance(items, list) or not items or not isinstance(items[0], dict):
        return None
    text = _text(items[0], keyword)
    default = 0x0110 if sequence == FAILED else 0
    return int(text) if text.isdecimal() else default
