"""The line to one peer: one duplex stream at a time, whoever dialled, and hand-overs that outlive it.

Law
    1. A frame is handed over whole or not at all, and its bytes are those that were offered (SHA-256).
    2. A hand-over that broke goes on at the byte where it broke, on the next stream, also after a restart.
    3. Nothing is taken into memory that the limits do not allow: header and body are measured on the offer.
    4. Only what this line's peer sends comes out of it; who that is, the stream's maker has checked.
    5. ``send`` waits for a peer who is away; it is cancelled, never refused.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gossamer.errors import LineRefusedError, OtherFederationError, OtherProtocolError, PeerError, StorageError
from gossamer.gossip.topology import SiteId
from gossamer.transport.base import PeerState
from gossamer.transport.incoming import Incoming
from gossamer.transport.line_messages import (
    CHUNK_BYTES,
    Chunk,
    Done,
    Hello,
    LineMessage,
    No,
    Offer,
    Want,
    chunk_bytes,
    from_bytes,
    to_bytes,
)
from gossamer.wire.frame import Buffer, Frame, wire_error
from gossamer.wire.limits import Limits

MAX_UNSOUND = 3
"""A frame whose bytes come wrong so often on one stream is not the disk's fault; the stream is ended."""

MAX_REPLIES = 64
"""So many replies that the other end does not read are not waited for."""

MOST_IN_MEMORY = 8
"""Chunks that wait while those before are written and hashed; on a slow line none does, on a fast one they are taken
together."""

REFUSALS_TOLD = {kind.code: kind for kind in (OtherFederationError, OtherProtocolError)}


class Stream(ABC):
    """Two directions of whole messages; in order and unaltered, until it ends."""

    @abstractmethod
    async def read(self) -> bytes | None:
        """The next message; None when the stream has ended."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Hand over a message; waits while the other end is slow.

        Raises:
            ConnectionError: the stream has ended.
        """

    @abstractmethod
    async def close(self) -> None:
        """End it."""


@dataclass
class LineState(PeerState):
    """What a line is like, for people.

    Attributes:
        streams: how many there have been.
    """

    streams: int = 0


class Line:
    """Hands frames over to one peer and takes its own."""

    def __init__(
        self,
        peer: SiteId,
        hello: Hello,
        *,
        limits: Limits,
        folder: Path,
        deliver: Callable[[SiteId, Buffer], Awaitable[None]],
        on_peer_started: Callable[[SiteId], None] = lambda peer: None,
    ) -> None:
        """A line without a stream.

        Args:
            peer: who is at the other end.
            hello: what this end says first.
            limits: of frames.
            folder: for what is coming in; this line's own, it exists.
            deliver: given each whole frame; the line waits for it.
            on_peer_started: told when the peer's process is another than before.
        """
        self.peer = peer
        self.state = LineState(since_s=time.time())
        self._hello = hello
        self.limits = limits
        self._folder = folder
        self._deliver = deliver
        self._on_peer_started = on_peer_started
        self._peers_life: str | None = None
        self._stream: Stream | None = None
        self._came_up = asyncio.Condition()
        self._one_at_a_time = asyncio.Lock()
        self._replies: asyncio.Queue[Want | Done | None] = asyncio.Queue()
        self._own_replies: asyncio.Queue[Want | Done] = asyncio.Queue(MAX_REPLIES)
        self._incoming: Incoming | None = None
        self._came: list[memoryview] = []
        self._taking: asyncio.Task[None] | None = None
        self._unsound = 0

    def expect(self, limits: Limits) -> None:
        """From now on frames are as these limits have them."""
        self.limits = limits

    async def send(self, frame: Frame) -> None:
        """Hand a frame over, however many streams it takes."""
        header, sha256 = frame.header, await asyncio.to_thread(lambda: frame.body_sha256)
        async with self._one_at_a_time:
            broken = None
            while True:
                stream = await self._up(broken)
                try:
                    await self._hand_over(stream, Offer(sha256, frame.body_bytes, header), frame)
                except ConnectionError:
                    broken = stream
                else:
                    return

    async def speak(self, stream: Stream) -> None:
        """Be this line's stream until it ends.

        Raises:
            LineRefusedError: one end does not speak with the other.
            WireError: the other end says what cannot be meant.
        """
        replying = None
        try:
            await stream.write(to_bytes(self._hello))
            peer = await self._greet(stream)
            if peer.probe:
                return  # another process than the peer's site: the stream and the life of that one stay as they are
            if self._stream is not None:
                await self._stream.close()  # the peer came back before its last stream was found dead
            await self._change(stream)
            if self._peers_life not in (None, peer.life):
                self._on_peer_started(self.peer)
            self._peers_life = peer.life
            replying = asyncio.create_task(self._reply(stream, self._own_replies))
            while (data := await stream.read()) is not None:
                await self._take(from_bytes(data))
        except PeerError as error:
            self.state.refusal = error
            raise
        finally:
            if replying is not None:
                replying.cancel()
            if self._stream is stream:
                await self._change(None)
            await stream.close()

    async def _reply(self, stream: Stream, replies: asyncio.Queue[Want | Done]) -> None:
        """Write replies beside the reading: two ends that both wait to write would wait for ever."""
        with suppress(ConnectionError):
            while True:
                await stream.write(to_bytes(await replies.get()))

    async def _greet(self, stream: Stream) -> Hello:
        """Hear the peer's greeting, and refuse it if the two cannot speak."""
        data = await stream.read()
        if data is None:
            raise ConnectionError("the other end hung up")
        said = from_bytes(data)
        if isinstance(said, No):
            raise refusal_told(said, self.peer)
        if not isinstance(said, Hello):
            raise wire_error("line", "a greeting first", type(said).__name__)
        if (refusal := misfit(self._hello, said)) is not None:
            with suppress(ConnectionError):
                await stream.write(to_bytes(No(code=refusal.code, reason=str(refusal))))
            raise type(refusal)(f"site {self.peer}: {refusal}")
        self.state.refusal = None
        return said

    async def _up(self, broken: Stream | None) -> Stream:
        """A stream, but not one that is known to be broken and whose reader has not noticed yet."""
        async with self._came_up:
            await self._came_up.wait_for(lambda: self._stream is not None and self._stream is not broken)
            assert self._stream is not None
            return self._stream

    async def _change(self, stream: Stream | None) -> None:
        async with self._came_up:
            self._stream = stream
            self.state.is_up, self.state.since_s = stream is not None, time.time()
            self.state.streams += stream is not None
            self._replies.put_nowait(None)  # wakes a hand-over on the stream before
            self._replies, self._own_replies = asyncio.Queue(), asyncio.Queue(MAX_REPLIES)
            self._unsound = 0
            if stream is None:
                self._replies.put_nowait(None)
                await self._let_go()
            self._came_up.notify_all()

    async def _hand_over(self, stream: Stream, offer: Offer, frame: Frame) -> None:
        replies = self._replies
        await stream.write(to_bytes(offer))
        while True:
            reply = await replies.get()
            if reply is None:
                raise ConnectionError("the stream ended")
            if reply.sha256 != offer.sha256:
                continue  # about a frame that was given up
            if isinstance(reply, Done):
                return
            for offset, content in _chunks(frame, reply.offset):
                await stream.write(chunk_bytes(offer.sha256, offset, content))
                self.state.bytes_sent += sum(map(len, content))

    async def _take(self, message: LineMessage) -> None:
        match message:
            case Want() | Done():
                self._replies.put_nowait(message)
            case Offer():
                await self._consider(message)
            case Chunk():
                await self._add(message)
            case No():
                raise refusal_told(message, self.peer)
            case Hello():
                raise wire_error("line", "one greeting", "another")

    async def _consider(self, offer: Offer) -> None:
        header_bytes, frame_bytes = len(offer.header), len(offer.header) + offer.body_bytes
        if header_bytes > self.limits.header_bytes or frame_bytes > self.limits.frame_bytes:
            raise wire_error("length", f"a frame of at most {self.limits.frame_bytes} bytes", frame_bytes)
        await self._let_go()
        path, room = self._place_for(offer), self.limits.header_bytes
        self._incoming = await asyncio.to_thread(  # what is here already is hashed
            Incoming, path, offer.header, offer.body_bytes, offer.sha256, room
        )
        await self._ask_or_deliver(self._incoming, ask=True)

    async def _let_go(self) -> None:
        """Of what is coming in; what has come goes to the disk and stays there."""
        incoming, self._incoming = self._incoming, None
        if incoming is None:
            return
        try:
            await self._take_in(incoming)
        except StorageError:
            pass  # so it will with the next chunk, when somebody listens
        finally:
            self._came, self._taking = [], None
            incoming.close()

    async def _take_in(self, incoming: Incoming) -> None:
        """All that has come, and is not yet on the disk."""
        await asyncio.shield(await self._begin_taking(incoming))

    async def _begin_taking(self, incoming: Incoming) -> asyncio.Task[None]:
        """What has come since the last time, after that is done."""
        if self._taking is not None:
            await asyncio.shield(self._taking)
        self._taking = asyncio.create_task(asyncio.to_thread(incoming.take, self._came))
        self._came = []
        return self._taking

    def _place_for(self, offer: Offer) -> Path:
        """The offer's file; its like, of a frame that the peer gave up, is removed.

        A large frame that has half come must outlive the small ones between.
        """
        kind = ".part" if offer.body_bytes > CHUNK_BYTES else ".small"
        path = self._folder / f"{offer.sha256.hex()[:32]}{kind}"
        for other in self._folder.glob(f"*{kind}"):
            if other != path:
                other.unlink()
        return path

    async def _add(self, chunk: Chunk) -> None:
        incoming = self._incoming
        if incoming is None or incoming.sha256 != chunk.sha256:
            return  # of a frame that was given up
        if not incoming.fits(chunk.offset, chunk.content):
            raise wire_error("line", f"a chunk from byte {incoming.expected} on", chunk.offset)
        self.state.bytes_received += len(chunk.content)
        self._came.append(chunk.content)
        if incoming.has_all:
            await self._take_in(incoming)
            await self._ask_or_deliver(incoming, ask=False)
        elif self._taking is None or self._taking.done() or len(self._came) == MOST_IN_MEMORY:
            await self._begin_taking(incoming)

    async def _ask_or_deliver(self, incoming: Incoming, *, ask: bool) -> None:
        if incoming.is_complete and incoming.is_sound:
            self._incoming = None
            await self._deliver(self.peer, incoming.frame())
            self._say(Done(incoming.sha256))
            return
        if incoming.is_complete:
            self._unsound += 1
            if self._unsound == MAX_UNSOUND:
                raise wire_error("sha256", "a body that is what was offered", f"{MAX_UNSOUND} others")
            incoming.begin_anew()
            ask = True
        if ask:
            self._say(Want(incoming.sha256, incoming.received))

    def _say(self, reply: Want | Done) -> None:
        try:
            self._own_replies.put_nowait(reply)
        except asyncio.QueueFull as error:
            raise wire_error("line", f"fewer than {MAX_REPLIES} offers at a time", "more") from error


def refusal_told(no: No, peer: str) -> LineRefusedError:
    """What a peer's refusal is here: of the same kind, where it names one."""
    return REFUSALS_TOLD.get(no.code, LineRefusedError)(f"site {peer}: {no.reason}")


def misfit(own: Hello, other: Hello) -> LineRefusedError | None:
    """Why the two cannot speak; None if they can."""
    if not set(own.protocols) & set(other.protocols):
        return OtherProtocolError(
            f"wanted a common protocol; found {_listed(own.protocols)} (release {own.release}) here and "
            f"{_listed(other.protocols)} (release {other.release}) there; update the older site"
        )
    if own.federation != other.federation:
        return OtherFederationError(
            f"wanted the same federation file at both sites; found {own.federation[:12]} here and "
            f"{other.federation[:12]} there; compare the files, and approve the newer one at both"
        )
    return None


def _listed(protocols: tuple[int, ...]) -> str:
    return ", ".join(map(str, protocols)) or "none"


def _body(frame: Frame) -> Iterator[memoryview]:
    pieces = frame.pieces()
    next(pieces)  # the header
    return (memoryview(piece).cast("B") for piece in pieces)


def _chunks(frame: Frame, offset: int) -> Iterator[tuple[int, list[memoryview]]]:
    """The body from ``offset`` on, in chunks that may run over several tensors."""
    chunk: list[memoryview] = []
    room = CHUNK_BYTES
    at = 0
    for piece in _body(frame):
        rest = piece[max(offset - at, 0) :]
        at += len(piece)
        while rest:
            chunk.append(rest[:room])
            rest, room = rest[room:], room - len(chunk[-1])
            if room == 0:
                yield at - len(rest) - CHUNK_BYTES, chunk
                chunk, room = [], CHUNK_BYTES
    if chunk:
        yield at - (CHUNK_BYTES - room), chunk
