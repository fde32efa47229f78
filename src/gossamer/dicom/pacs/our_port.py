"""Our port, to which a PACS sends what it was asked to move (C-MOVE, PS3.4 C.4.2).

Law
    1. It is open while one series comes, to the PACS's address and AE title alone; with TLS, unless the settings say
       plain, to one that shows a certificate.
    2. A caller that says nothing holds up nobody else, and nothing is left of it at the end.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseServer
from typing import Any, cast

from pydicom.uid import (
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
from pynetdicom import AE
from pynetdicom.transport import ThreadedAssociationServer

from gossamer.dicom.pacs.base import ANSWER_S, CONNECT_S
from gossamer.dicom.pacs.line import Line
from gossamer.dicom.pacs.promptness import prompt_handlers
from gossamer.dicom.pacs.receiver import Receiver
from gossamer.dicom.pacs.tls import failure_of
from gossamer.errors import ListenError, PacsAwayError

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


class CallServer(ThreadedAssociationServer):
    """Hangs up on everybody but the PACS; greets by TLS in the caller's own thread."""

    addresses: frozenset[str] = frozenset()
    tls: ssl.SSLContext | None = None
    on_failure: Callable[[OSError], None] = staticmethod(lambda _error: None)

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.greeted: set[ssl.SSLSocket] = set()

    def verify_request(self, request: object, client_address: Any) -> bool:
        """See ``socketserver``."""
        return str(client_address[0]).removeprefix("::ffff:") in self.addresses

    def finish_request(self, request: Any, client_address: Any) -> None:
        """See ``socketserver``; pynetdicom's own would greet in the thread that listens, and wait there for ever."""
        if self.tls is not None:
            request.settimeout(CONNECT_S)
            try:
                request = self._greet(request, self.tls)
            except OSError as error:
                self.on_failure(error)
                return
        super().finish_request(request, client_address)

    def _greet(self, request: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        caller = tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        self.greeted.add(caller)
        try:
            caller.do_handshake()
        except OSError:
            caller.close()
            raise
        finally:
            self.greeted.discard(caller)
        return caller


@contextmanager
def listening(line: Line, receiver: Receiver) -> Iterator[None]:
    """Our port, open until the block ends.

    Raises:
        ListenError: it is taken.
        PacsAwayError: the PACS's host has no address.
    """
    settings = line.settings
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
        made = ae.make_server((settings.listen, settings.own_port or 0), evt_handlers=handlers, server_class=CallServer)
    except OSError as error:
        raise ListenError(
            f"wanted to listen on port {settings.own_port} for the PACS; found: {error.strerror}; end what else "
            "listens there, or correct own_port and listen in pacs.toml"
        ) from error
    server = cast(CallServer, made)
    server.addresses = frozenset(addresses)
    if line.tls is not None:
        server.tls, server.on_failure = line.tls.inward, _noted_by(receiver)
    with served(server):
        yield


@contextmanager
def served(server: CallServer) -> Iterator[None]:
    """A server that answers until the block ends; then nothing of it is left."""
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        BaseServer.shutdown(server)  # pynetdicom's own looks for it among those that the AE started
        for caller in list(server.greeted):
            with suppress(OSError):  # it has just gone
                caller.shutdown(socket.SHUT_RDWR)
        server.server_close()  # from here on nobody is greeted any more
        for association in server.active_associations:
            association.abort()
            association.join(CONNECT_S)
        thread.join()


def _noted_by(receiver: Receiver) -> Callable[[OSError], None]:
    def note(error: OSError) -> None:
        if (failure := failure_of(error, "own_port")) is not None:
            receiver.note_line(failure)

    return note
