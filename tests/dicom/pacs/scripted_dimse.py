"""DIMSE peers of which every answer is written down here, and a line that stops where it should not."""

import socket
import threading
from contextlib import contextmanager, suppress

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from tests.dicom.pacs.peers import AET, DRIP_S, START_S

from gossamer.dicom.pacs.dimse import FIND
from gossamer.dicom.pacs.our_port import CallServer, served
from gossamer.dicom.pacs.receive import GET
from gossamer.dicom.pacs.settings import DimseSettings


@contextmanager
def scripted_scp(announced=(), sends=(), *, matches=None, store_status=0x0000, find_status=0xFF00):
    """A PACS that announces images, and sends whatever it likes; yields what DimsePacs is told of it.

    ``matches`` are its answers to each level of a search, in place of images.
    """

    def find(event):
        for match in (matches or {}).get(event.identifier.QueryRetrieveLevel, ()):
            yield 0xFF00, match
        for uid in announced:
            match = Dataset()
            match.QueryRetrieveLevel, match.SOPInstanceUID = "IMAGE", uid
            yield find_status, match if find_status == 0xFF00 else None

    def get(_event):
        yield len(sends)
        for file in sends:
            yield 0xFF00, file

    ae = AE(AET)
    ae.add_supported_context(FIND)
    ae.add_supported_context(GET)
    ae.add_supported_context(CTImageStorage, [ExplicitVRLittleEndian, ImplicitVRLittleEndian], True, True)
    handlers = [(evt.EVT_C_FIND, find), (evt.EVT_C_GET, get), (evt.EVT_C_STORE, lambda _event: store_status)]
    server = ae.make_server(("127.0.0.1", 0), evt_handlers=handlers, server_class=CallServer)
    server.addresses = frozenset({"127.0.0.1"})
    with served(server):
        yield DimseSettings(host="127.0.0.1", port=server.server_address[1], ae_title=AET, plain_dimse=True)


def _pass_on(source, target, most, ended):
    """So many bytes, or all until it has ended or is hung up."""
    left = most
    while not ended.is_set() and (left is None or left > 0):
        piece = source.recv(4096 if left is None else min(4096, left))
        if not piece:
            raise ConnectionError
        target.sendall(piece)
        left = None if left is None else left - len(piece)


@contextmanager
def stopping_line(settings, *, answers=None, asks=None, then=b"", drips=False):
    """A line to a PACS that passes on the first PDU of each direction, by which an association is opened, and so many
    bytes more, says ``then`` to us, and holds still, open; or with ``drips`` passes on a byte now and then.
    """
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    open_sockets = [listener]

    def pass_on(source, target, most, last):
        head = source.recv(6, socket.MSG_WAITALL)
        target.sendall(head + source.recv(int.from_bytes(head[2:]), socket.MSG_WAITALL))
        with suppress(OSError):  # it is over
            _pass_on(source, target, most, ended)
            target.sendall(last)
            while not ended.wait(DRIP_S if drips else None):
                target.sendall(source.recv(1))

    def run():
        us, _ = listener.accept()
        pacs = socket.create_connection((settings.host, settings.port))
        open_sockets.extend((us, pacs))
        for ends in ((us, pacs, asks, b""), (pacs, us, answers, then)):
            threads.append(threading.Thread(target=pass_on, args=ends))
            threads[-1].start()

    threads = [threading.Thread(target=run)]
    threads[0].start()
    try:
        yield settings.model_copy(update={"port": listener.getsockname()[1]})
    finally:
        ended.set()
        threads[0].join(START_S)
        for one in open_sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in threads:
            thread.join(START_S)
        for one in open_sockets:
            one.close()
