"""Two small hospitals on loopback: their data, their folders, a federation file, and services that answer."""

import asyncio
import math
import socket
import threading
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import numpy as np
import pytest
from faults.ports import own_address

from gossamer import __version__
from gossamer.data.dataset import DatasetWriter
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.runtime.card import read_card
from gossamer.runtime.federation_file import add_site, new_federation, read_federation
from gossamer.runtime.preflight import bounded
from gossamer.runtime.site_folder import CARD, SiteSettings, init_site
from gossamer.transport.grpc_lines import GrpcTransport, Peer
from gossamer.transport.line_messages import PROTOCOLS, Hello
from gossamer.wire.limits import Limits

SHAPE = (6, 8, 10)
STRUCTURES = ("Parotid_L", "Parotid_R")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """Flushing takes most of the time of these tests, and no test cuts the power."""
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    """What this machine's environment says is not under test."""
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def draw_patient(seed):
    """An image, and two parotids where they belong: x runs to the patient's left."""
    voxels = np.random.default_rng(seed).integers(-1000, 1000, SHAPE).astype(np.int16)
    masks = {name: np.zeros(SHAPE, dtype=bool) for name in STRUCTURES}
    masks["Parotid_L"][2:4, 3:5, 7:9] = True
    masks["Parotid_R"][2:4, 3:5, 1:3] = True
    return Image(voxels, Frame.canonical(SHAPE, (3.0, 2.0, 2.0), (-6.0, 10.0, 20.0))), masks


def write_data(folder, site, patients=None):
    """A dataset of three patients, or those given: by id, split and (image, masks)."""
    writer = DatasetWriter(folder, site)
    first = sum(map(ord, site))
    usual = {f"HN-{n}": (split, *draw_patient(first + n)) for n, split in enumerate(("train", "train", "val", "test"))}
    for case_id, (split, image, masks) in (usual if patients is None else patients).items():
        writer.add(case_id, split, image, masks)
    return writer.finish()


@pytest.fixture
def patient():
    return draw_patient


@pytest.fixture
def dataset(tmp_path):
    """Makes a dataset."""
    return lambda patients=None, site="A": write_data(tmp_path / "data" / site, site, patients)


@pytest.fixture
def pair(tmp_path):
    """Two sites, a and b, who have approved one file."""
    sites = {}
    file = tmp_path / "fed.toml"
    new_federation(file, "Two", STRUCTURES, rounds=2, local_steps=2)
    with file.open("a") as text:
        text.write("[plan]\nchannels = [4, 8]\npatch_size = [8, 8, 8]\n")
    for name in ("a", "b"):
        write_data(tmp_path / name / "data", name)
        address = own_address()
        settings = SiteSettings(name=name, data="data", listen=address, address=address)
        (tmp_path / name).chmod(0o700)
        sites[name] = init_site(tmp_path / name, settings)
        add_site(file, read_card(sites[name].path / CARD))
    federation = read_federation(file)
    for site in sites.values():
        site.approve(federation)
    return SimpleNamespace(**sites, file=file, federation=federation)


class Hanging:
    """A question that hangs until the test is over; time is up for it when all others have answered, and not before.

    So a slow machine makes nothing else late, and nobody waits in real time.
    """

    behind = 0
    """So many other questions wait for its thread."""
    answer = ()
    """What it says at last; nobody listens any more."""

    def __init__(self, monkeypatch):
        self._hangs, self._over, self._asking = threading.Event(), threading.Event(), threading.local()
        monkeypatch.setattr(bounded, "time", SimpleNamespace(monotonic=self._now))

    def __call__(self, *_):
        self._hangs.set()
        self._over.wait()
        return self.answer

    def ask(self, questions, seconds, threads=None, on_answer=lambda: None):
        """As ``bounded.ask``, for whoever asks the question that hangs."""
        self._asking.left = len(questions)

        def note():
            self._asking.left -= 1
            on_answer()

        return bounded.ask(questions, seconds, threads, note)

    def _now(self):
        is_alone = getattr(self._asking, "left", None) == 1 + self.behind
        return math.inf if is_alone and self._hangs.wait(0.2) else 0.0

    def end(self):
        self._over.set()


@pytest.fixture
def hanging(monkeypatch):
    question = Hanging(monkeypatch)
    yield question
    question.end()


class Service:
    """A site that answers, in a thread of its own.

    What it says, shows and believes can be other than it should.
    """

    def __init__(self, site, federation, folder, *, tls=None, hello=None, roster=None):
        self.refused = []
        self._folder = folder
        self._site = site
        self._tls = tls or site.tls
        self._hello = hello or Hello(protocols=PROTOCOLS, release=__version__, federation=federation.sha256)
        members = federation.settings.sites if roster is None else roster
        self._peers = {m.name: Peer(m.name, m.identity, None) for m in members if m.name != site.settings.name}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)

    def streams(self):
        return {name: line.state.streams for name, line in self.transport.lines.items()}

    async def _live(self):
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self.transport = GrpcTransport(
            Peer(self._site.settings.name, self._site.identity.certificate, None),
            self._peers,
            certificate=lambda: self._tls,
            hello=self._hello,
            limits=Limits({}, {}),
            folder=self._folder,
            listen=self._site.settings.listen,
            on_refusal=lambda who, error: self.refused.append((who, error)),
        )
        await self.transport.start()
        self._ready.set()
        await self._over.wait()
        await self.transport.close()


@pytest.fixture
def service(tmp_path, pair):
    """Starts a site's service."""
    return lambda site, **other: Service(site, pair.federation, tmp_path / "lines", **other)


@contextmanager
def answering(address, behave):
    """Something at an address that does ``behave(connection)`` with whoever calls."""
    host, _, port = address.rpartition(":")
    with socket.create_server((host, int(port))) as door:

        def serve():
            with suppress(OSError):
                while True:
                    connection, _ = door.accept()
                    threading.Thread(target=meet, args=(connection,), daemon=True).start()

        def meet(connection):
            with suppress(OSError), connection:
                behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        door.shutdown(socket.SHUT_RDWR)
    thread.join(60)


@pytest.fixture
def somebody():
    return answering
