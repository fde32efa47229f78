"""Images that a PACS sends when it is asked to: C-MOVE to a port of ours, or C-GET (PS3.4 C.4.2, C.4.3).

Law
    1. The port is open while one series comes, to the PACS's address and AE title alone.
    2. An image is taken if it is announced, of that series, and not there yet; any other is refused with a status.
    3. An image that grows without end is cut off.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from socketserver import BaseServer
from typing import Any, Protocol, cast

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    LegacyConvertedEnhancedCTImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    RLELossless,
    RTDoseStorage,
    RTPlanStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext, build_context, build_role
from pynetdicom.transport import ThreadedAssociationServer

from gossamer.dicom.files.open_file import MAX_FILE_BYTES
from gossamer.dicom.pacs.answers import meaning_of
from gossamer.dicom.pacs.base import ANSWER_S, CONNECT_S, SeriesAtPacs
from gossamer.dicom.pacs.incoming import Incoming
from gossamer.dicom.pacs.promptness import prompt_handlers
from gossamer.dicom.pacs.settings import DimseSettings
from gossamer.errors import GossamerError, ListenError, NotFetchedError, PacsAwayError, PacsRefusedError

MOVE, GET = UID("1.2.840.10008.5.1.4.1.2.2.2"), UID("1.2.840.10008.5.1.4.1.2.2.3")
"""Of C-MOVE and C-GET (PS3.4 C.6.2.3)."""

TRANSFER_S = 600.0
"""Of silence on the association that asked: a PACS need not say how it gets on (PS3.4 C.4.2.3.1)."""

POLL_S = 0.05
"""How long our server takes to end."""

CLASSES = (
    *(CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage, MRImageStorage),
    *(PositronEmissionTomographyImageStorage, RTStructureSetStorage, RTDoseStorage, RTPlanStorage, SegmentationStorage),
)
"""Those of radiotherapy; fewer than an association may have."""

SYNTAXES = (
    *(ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, JPEGLossless, JPEGLosslessSV1),
    *(JPEGLSLossless, JPEG2000Lossless, RLELossless),
)
"""Without loss, and not deflated."""

SUCCESS, NOT_AUTHORISED, OUT_OF_RESOURCES, DOES_NOT_MATCH = 0x0000, 0x0124, 0xA700, 0xA900
PENDING, SOME_FAILED = 0xFF00, 0xB000
"""Statuses of C-MOVE and C-GET (PS3.4 tables C.4-2 and C.4-3); B000 means something else of C-STORE."""

OnImage = Callable[[int, int], None]


class Opener(Protocol):
    """Opens an association with the PACS."""

    def __call__(
        self,
        contexts: Sequence[PresentationContext],
        *,
        silence_s: float = ANSWER_S,
        roles: Sequence[Any] = (),
        handlers: Sequence[Any] = (),
    ) -> AbstractContextManager[Association]:
        """Roles and handlers are those of ``AE.associate``."""


def fetch_by_move(
    settings: DimseSettings, associate: Opener, series: SeriesAtPacs, incoming: Incoming, on_image: OnImage
) -> str:
    """Let the PACS send a series to our port; returns what it says of images that it did not send.

    Raises:
        ListenError: our port is taken.
        PacsRefusedError: it does not offer C-MOVE to us.
        NotFetchedError: what came is something else.
    """
    receiver = _Receiver(incoming, on_image)
    with (
        _listening(settings, receiver),
        associate([build_context(MOVE)], silence_s=TRANSFER_S) as association,
    ):
        _check_offered(association, "C-MOVE", MOVE)
        answers = association.send_c_move(_wanted(series), settings.own_ae_title, MOVE)
        said = _end_of(answers)
    receiver.raise_error()
    return said


def fetch_by_get(
    settings: DimseSettings, associate: Opener, series: SeriesAtPacs, incoming: Incoming, on_image: OnImage
) -> str:
    """Let the PACS send a series over the association that asks for it; see ``fetch_by_move``."""
    receiver = _Receiver(incoming, on_image)
    contexts = [build_context(GET)]
    contexts += [build_context(sop_class, list(SYNTAXES)) for sop_class in CLASSES]
    roles = [build_role(sop_class, scp_role=True) for sop_class in CLASSES]
    with associate(contexts, silence_s=TRANSFER_S, roles=roles, handlers=receiver.handlers) as association:
        _check_offered(association, "C-GET", GET)
        said = _end_of(association.send_c_get(_wanted(series), GET))
    receiver.raise_error()
    return said


class _Receiver:
    """Takes images from the threads of pynetdicom; an error of ours is kept, and raised where somebody listens."""

    def __init__(self, incoming: Incoming, on_image: OnImage) -> None:
        self._incoming, self._on_image = incoming, on_image
        self._taking = threading.Lock()
        self._error: GossamerError | None = None
        self._bytes: dict[int, int] = {}

    @property
    def handlers(self) -> list[Any]:
        """As pynetdicom takes them."""
        return [(evt.EVT_C_STORE, self._on_store), (evt.EVT_DATA_RECV, self._on_data)]

    def raise_error(self) -> None:
        """Raise what went wrong, if something did."""
        if self._error is not None:
            raise self._error

    def _on_store(self, event: evt.Event) -> int:
        uid = str(cast(C_STORE, event.request).AffectedSOPInstanceUID)
        with self._taking:
            self._bytes.pop(id(event.assoc), None)
            if uid not in self._incoming.missing or self._error is not None:
                return NOT_AUTHORISED
            try:
                self._incoming.take(uid, [event.encoded_dataset()])
                self._on_image(self._incoming.done, self._incoming.announced)
            except NotFetchedError as error:
                self._error = error
                return DOES_NOT_MATCH
            except GossamerError as error:
                self._error = error
                return OUT_OF_RESOURCES
        return SUCCESS

    def _on_data(self, event: evt.Event) -> None:
        """Count what comes between two images."""
        count = self._bytes[id(event.assoc)] = self._bytes.get(id(event.assoc), 0) + len(event.data)
        if count > MAX_FILE_BYTES:
            self._error = NotFetchedError(
                f"wanted images of at most {MAX_FILE_BYTES // 2**30} GiB; found more; it is no CT, or it is mistaken"
            )
            if event.assoc.dul.socket is not None:
                event.assoc.dul.socket.close()


class _OnlyFrom(ThreadedAssociationServer):
    """A server that hangs up on everybody but the PACS."""

    addresses: frozenset[str] = frozenset()

    def verify_request(self, request: object, client_address: Any) -> bool:
        """See ``socketserver``."""
        return str(client_address[0]).removeprefix("::ffff:") in self.addresses


@contextmanager
def _listening(settings: DimseSettings, receiver: _Receiver) -> Iterator[None]:
    ae = AE(settings.own_ae_title)
    ae.require_calling_aet = [settings.ae_title]
    ae.require_called_aet = True
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ANSWER_S
    for sop_class in CLASSES:
        ae.add_supported_context(sop_class, list(SYNTAXES))
    try:
        addresses = {str(found[4][0]) for found in socket.getaddrinfo(settings.host, None)}
    except OSError as error:
        raise PacsAwayError(
            "wanted to reach the PACS; found no host of that name; correct host in pacs.toml"
        ) from error
    handlers = [*prompt_handlers(), *receiver.handlers]
    try:
        made = ae.make_server((settings.listen, settings.own_port or 0), evt_handlers=handlers, server_class=_OnlyFrom)
    except OSError as error:
        raise ListenError(
            f"wanted to listen on port {settings.own_port} for the PACS; found: {error.strerror}; end what else "
            "listens there, or correct own_port and listen in pacs.toml"
        ) from error
    server = cast(_OnlyFrom, made)
    server.addresses = frozenset(addresses)
    with _served(server):
        yield


@contextmanager
def _served(server: _OnlyFrom) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        for association in server.active_associations:
            association.abort()
            association.join(CONNECT_S)
        BaseServer.shutdown(server)  # pynetdicom's own looks for it among those that the AE started
        server.server_close()
        thread.join()


def _wanted(series: SeriesAtPacs) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "SERIES"
    identifier.StudyInstanceUID, identifier.SeriesInstanceUID = series.study_uid, series.series_uid
    return identifier


def _check_offered(association: Association, what: str, model: str) -> None:
    if model not in [context.abstract_syntax for context in association.accepted_contexts]:
        other = "without own_port, C-GET is used" if what == "C-MOVE" else "with own_port, C-MOVE is used"
        raise PacsRefusedError(
            f"wanted to fetch by {what}; found that the PACS does not offer that to us; have it allowed there ({other})"
        )


def _end_of(answers: Iterator[tuple[Dataset, Dataset | None]]) -> str:
    """What the last answer says went wrong; "" if nothing did."""
    parts: list[str] = []
    for answer, _ in answers:
        if "Status" not in answer:
            raise PacsAwayError("wanted a series of the PACS; found that it fell silent or hung up; try again")
        status, failed = int(answer.Status), int(answer.get("NumberOfFailedSuboperations", 0) or 0)
        parts = [f"{failed} images failed"] if failed else []
        if status not in (SUCCESS, PENDING, SOME_FAILED):
            parts.append(meaning_of(status))
    return ", ".join(parts)
