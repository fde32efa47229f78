"""Relays on loopback, honest and not; sites that meet there; and a tap on the wire between."""

import asyncio
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import pytest
import torch

from gossamer.transport.identity import new_identity, new_tls_certificate
from gossamer.transport.line_messages import Hello
from gossamer.transport.relay_limits import RelayLimits
from gossamer.transport.relay_lines import RelayTransport
from gossamer.transport.relay_meeting import RelayPlace
from gossamer.transport.relay_service import Relay
from gossamer.transport.relay_words import GREETING, NONCE_BYTES, Purpose, Word, knock
from gossamer.wire.frame import build_frame
from gossamer.wire.limits import Limits

SECRET = b"a secret of the relay's owner, drawn at random"
NUMBERS = 2_000_000
FRAME = build_frame({}, {"weight": torch.arange(NUMBERS, dtype=torch.float32)})
LIMITS = Limits({"weight": (torch.float32, (NUMBERS,))}, {})
HELLO = Hello(protocols=(1,), release="0.1.0", federation="ab" * 32)
GUESTS = []
IDENTITIES = {name: new_identity(f"Klinikum-{name}") for name in "abc"}


@asynccontextmanager
async def relay_at_work(port=0, admitted=None, kind=Relay, **limits):
    """A relay, with what it said and where it is."""
    said = []
    relay = kind(admitted or {"group": SECRET}, RelayLimits(**limits), said.append)
    relay.said, relay.port = said, await relay.start("127.0.0.1", port)
    try:
        yield relay
    finally:
        await relay.close()
        while GUESTS:
            GUESTS.pop().close()
        await asyncio.sleep(0)  # sockets close in the loop's next turn


class Site:
    """A transport to some peers through a relay."""

    def __init__(self, name, folder, port, *, peers="ab", secret=SECRET, hello=HELLO, tls=None):
        self.refused = []
        tls = tls or new_tls_certificate(IDENTITIES[name])
        folder = folder / name
        folder.mkdir(exist_ok=True)
        (folder / "tls.pem").write_bytes(tls.key_pem + tls.chain_pem)
        self.transport = RelayTransport(
            IDENTITIES[name],
            {peer: IDENTITIES[peer].certificate for peer in peers if peer != name},
            relay=RelayPlace(f"127.0.0.1:{port}", secret),
            tls_file=folder / "tls.pem",
            hello=hello,
            limits=LIMITS,
            folder=folder / "incoming",
            on_refusal=lambda who, error: self.refused.append((who, str(error))),
        )
        self.states = self.transport.states

    async def one(self):
        sender, frame = await anext(self.transport.receive())
        return sender, bytes(frame)


@asynccontextmanager
async def sites_at_work(*sites):
    for site in sites:
        await site.transport.start()
    try:
        yield
    finally:
        for site in sites:
            await site.transport.close()


class Tap:
    """A wire to a relay on which all bytes are seen, and may be changed on their way."""

    def __init__(self, port, change=lambda piece: [piece]):
        self._to, self._change, self._tasks = port, change, set()
        self.seen = bytearray()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        try:
            with suppress(OSError, asyncio.CancelledError):
                out, into = await asyncio.open_connection("127.0.0.1", self._to)
                try:
                    await asyncio.gather(self._way(reader, into, writer), self._way(out, writer, into))
                finally:
                    into.transport.abort()
        finally:
            writer.transport.abort()

    async def _way(self, reader, writer, back):
        with suppress(OSError):
            while piece := await reader.read(2**16):
                self.seen += piece
                for changed in self._change(piece):
                    writer.write(changed)
                await writer.drain()
        writer.close()
        back.close()


class Guest:
    """A raw connection to a relay, by hand."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        GUESTS.append(self)

    async def word(self, seconds=60.0):
        """The next word but ``WAIT``; None where the relay hung up."""
        async with asyncio.timeout(seconds):
            while said := await self.reader.read(1):
                if said != Word.WAIT.value:
                    return Word(said)
        return None

    async def next_word(self):
        async with asyncio.timeout(60):
            return Word(await self.reader.readexactly(1))

    def close(self):
        self.writer.transport.abort()


async def call(port):
    guest = Guest(*await asyncio.open_connection("127.0.0.1", port))
    greeting = await guest.reader.readexactly(len(GREETING) + NONCE_BYTES)
    assert greeting.startswith(GREETING)
    return guest, greeting[len(GREETING) :]


async def enter(port, side, token=b"t" * 32, *, secret=SECRET, purpose=Purpose.MEET):
    guest, nonce = await call(port)
    guest.writer.write(knock(secret, nonce, purpose, side, token).to_bytes())
    return guest


async def wait_until(condition, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """A site comes back soon."""
    monkeypatch.setattr("gossamer.transport.relay_lines.REDIAL_S", (0.05, 0.2))


@pytest.fixture(scope="session")
def world():
    """All of it in one hand."""
    return SimpleNamespace(
        relay=relay_at_work,
        site=Site,
        working=sites_at_work,
        tap=Tap,
        call=call,
        enter=enter,
        until=wait_until,
        frame=FRAME,
        identities=IDENTITIES,
        secret=SECRET,
        hello=HELLO,
    )
