"""PACS for the tests: a real one (Orthanc), one that lies in a folder, and scripted ones that misbehave."""

import gc
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from faults.ports import own_port

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.pacs.answers import series_of
from gossamer.dicom.pacs.base import Pacs
from gossamer.dicom.pacs.settings import DimseSettings, PacsSettings, WebSettings
from gossamer.errors import PacsAwayError

ORTHANC = shutil.which("Orthanc")
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
AET = "ORTHANC"
START_S = 60.0
PATIENCE_S = 0.2  # its threads sleep for seconds, and what it holds is thrown away


lets_sockets_lie = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
"""For tests in which pynetdicom finds nobody: it lets its socket lie. They end with ``pick_sockets_up``."""


def pick_sockets_up():
    """Have them closed now, rather than within another test."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(START_S)
    gc.collect()


def needs_orthanc():
    """Skip a test where it is not installed."""
    if ORTHANC is None or not DICOMWEB.exists():
        pytest.skip(
            "needs Orthanc with its DICOMweb plugin (Debian: orthanc, orthanc-dicomweb), which is not installed"
        )


@dataclass(frozen=True)
class Orthanc:
    """One that runs."""

    http: int
    dicom: int
    ours: int

    def settings(self, kind, **changes):
        """The PACS as a file would describe it: by ``web``, ``move`` or ``get``."""
        if kind == "web":
            return PacsSettings(web=WebSettings(**{"url": f"http://127.0.0.1:{self.http}/dicom-web"} | changes))
        own = {"own_port": self.ours, "listen": "127.0.0.1"} if kind == "move" else {}
        return PacsSettings(
            dimse=DimseSettings(
                **{"host": "127.0.0.1", "port": self.dicom, "ae_title": AET, "plain_dimse": True} | own | changes
            )
        )


@contextmanager
def running_orthanc(folder, **changes):
    """Orthanc on loopback, with DICOMweb, until the block ends."""
    orthanc = Orthanc(own_port(), own_port(), own_port())
    configuration = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "HttpPort": orthanc.http,
        "DicomPort": orthanc.dicom,
        "DicomAet": AET,
        "DicomCheckCalledAet": True,
        "DicomModalities": {"ours": ["GOSSAMER", "127.0.0.1", orthanc.ours]},
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(DICOMWEB)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    } | changes
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for(orthanc.http, process)
        yield orthanc
    finally:
        process.terminate()
        try:
            process.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port, process):
    until = time.monotonic() + START_S
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/system", timeout=1).close()
        except urllib.error.HTTPError:
            return  # wants a password: it is there
        except OSError:
            assert process.poll() is None, "Orthanc ended"
            assert time.monotonic() < until, "Orthanc did not start"
            time.sleep(0.02)
        else:
            return


class FolderPacs(Pacs):
    """A PACS that is a folder; ``away`` makes it one that cannot be reached, ``refuses`` one that takes nothing."""

    def __init__(self, folder):
        self.folder = folder
        self.away = False
        self.refusal = None
        self.fetched = []

    def _headers(self):
        if self.away:
            raise PacsAwayError("wanted to reach the PACS; found nobody; does it run?")
        return read_headers(self.folder).headers

    def check(self):
        self._headers()
        return "a folder"

    def find_series(self, query):
        headers = self._headers()
        counts = {}
        for header in headers:
            key = (header.study_uid, header.series_uid, header.modality)
            counts[key] = counts.get(key, 0) + 1
        found = [
            series_of({
                "StudyInstanceUID": study, "SeriesInstanceUID": series, "Modality": modality,
                "NumberOfSeriesRelatedInstances": str(count), "SeriesDescription": "Thorax",
            })
            for (study, series, modality), count in sorted(counts.items())
        ]  # fmt: skip
        return [series for series in found if query.fits(series)]

    def _images_of(self, series):
        return {header.sop_instance_uid for header in self._headers() if header.series_uid == series.series_uid}

    def fetch(self, series, folder, on_image=lambda n, of: None):
        self.fetched.append(series.key)
        folder.mkdir()
        for number, header in enumerate(self._headers()):
            if header.series_uid == series.series_uid:
                shutil.copy(header.path, folder / f"{number}.dcm")
        return len(list(folder.iterdir()))

    def store(self, files, on_file=lambda n, of: None):
        self._headers()
        if self.refusal is not None:
            raise self.refusal
        for path in files:
            shutil.copy(path, self.folder / f"stored-{path.name}")  # the same file again is the same instance
        return 0


@contextmanager
def scripted_http(answer: Callable[[str, str], tuple], tls=None):
    """An HTTP server that gives to (method, path) a status, a type of content and a body; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._say(*answer("GET", self.path))

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self._say(*answer("POST", self.path))

        def _say(self, status, content_type, body, length=None):
            self.send_response(status)
            self.send_header("Content-Type" if status != 302 else "Location", content_type)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


DRIP_S = 0.005


@contextmanager
def dripping_http(begins):
    """An HTTP server whose only answer begins so, and goes on with a byte now and then; yields its port."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(START_S)

    def drip():
        with listener.accept()[0] as caller:
            caller.recv(2**16)
            caller.sendall(begins)
            while not ended.wait(DRIP_S):
                try:
                    caller.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        thread.join(START_S)
        listener.close()
