"""A blind relay: it joins two connections that were made to it, and passes bytes on without understanding them.

Law
    1. Nobody gets in without a secret of this relay's owner, and whoever gets in reaches nobody but who waits under the
       same token, at its other side.
    2. It keeps nothing: of what passes it has less than half a megabyte a direction in its hands (``relay_passage``),
       beside what the system's sockets hold.
    3. Every wait ends: for a knock, for a peer, for a byte of a pair that is joined.
    4. What it says of itself are counts, labels of its owner, and addresses of callers that it turned away; no token,
       and no byte of what passed.
    5. Of two connections of one end the newer one counts: a site that comes back finds its old one out of the way.
"""

from __future__ import annotations

import asyncio
import os
from asyncio import StreamReader, StreamWriter
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from gossamer.errors import ListenError
from gossamer.transport.relay_guest import Guest, Place, hang_up, say
from gossamer.transport.relay_limits import DEFAULT_LIMITS, RelayLimits
from gossamer.transport.relay_passage import PIECE_BYTES, Passage
from gossamer.transport.relay_words import (
    GREETING,
    HEARTBEAT_S,
    KNOCK_BYTES,
    NONCE_BYTES,
    Knock,
    Purpose,
    Word,
    knock_from_bytes,
)

MINUTE_S = 60.0

MOST_PLACES = 4096
"""So many ends of meetings knock in a minute where somebody invents tokens."""


class Relay:
    """The service; ``start`` begins it."""

    def __init__(
        self,
        admitted: Mapping[str, bytes],
        limits: RelayLimits = DEFAULT_LIMITS,
        tell: Callable[[str], None] = lambda words: None,
    ) -> None:
        """A relay that does not listen yet.

        Args:
            admitted: secrets by label.
            limits: of what it gives.
            tell: given words for its owner.
        """
        assert admitted  # a relay that lets everyone in is not to be had
        self._admitted = admitted
        self._limits = limits
        self._tell = tell
        self._strangers = 0
        self._waiting: dict[Place, Guest] = {}
        self._passages: dict[Place, Passage] = {}
        self._knocks: dict[Place, deque[float]] = {}
        self._turned_away_s: float | None = None
        self._server: asyncio.Server | None = None
        self._receiving: set[asyncio.Task[None]] = set()
        self._count = 0

    async def start(self, host: str | None, port: int) -> int:
        """Listen; returns the port.

        Raises:
            OSError: it cannot be listened on.
        """
        self._server = await asyncio.start_server(self._receive, host, port, limit=PIECE_BYTES // 2)
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    async def close(self) -> None:
        """Part all guests."""
        if self._server is not None:
            self._server.close()
        for task in self._receiving:
            task.cancel()
        await asyncio.gather(*self._receiving, return_exceptions=True)

    @property
    def guests(self) -> tuple[int, int]:
        """How many wait, and how many pairs are joined."""
        return len(self._waiting), len(self._passages) // 2

    def _receive(self, reader: StreamReader, writer: StreamWriter) -> None:
        # A task of its own: one that asyncio makes for a connection is reported when ``close`` cancels it.
        task = asyncio.create_task(self._see_through(reader, writer))
        self._receiving.add(task)
        task.add_done_callback(self._receiving.discard)
        task.add_done_callback(lambda _: writer.transport.abort())  # of a task that is cancelled before it begins, too

    async def _see_through(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            with suppress(OSError, EOFError, TimeoutError):
                await self._meet(reader, writer)
        finally:
            await hang_up(writer)

    async def _meet(self, reader: StreamReader, writer: StreamWriter) -> None:
        if self._strangers >= self._limits.strangers:
            return
        self._strangers += 1
        try:
            async with asyncio.timeout(self._limits.knock_s):
                asked, label = await self._hear(reader, writer)
        finally:
            self._strangers -= 1
        if asked is None or label is None:
            self._note_turned_away(writer)
            await say(writer, Word.NOT_ADMITTED)
            return
        guest = Guest(label, (asked.token, asked.side), reader, writer)
        if self._knocks_often(guest.place):
            await say(writer, Word.OFTEN)
        elif asked.purpose is Purpose.ASK:
            is_there = guest.opposite in self._waiting or guest.opposite in self._passages
            await say(writer, Word.THERE if is_there else Word.ALONE)
        else:
            await self._receive_guest(guest)

    async def _hear(self, reader: StreamReader, writer: StreamWriter) -> tuple[Knock | None, str | None]:
        """What a caller asks for, and by whose secret."""
        nonce = os.urandom(NONCE_BYTES)
        writer.write(GREETING + nonce)
        await writer.drain()
        asked = knock_from_bytes(await reader.readexactly(KNOCK_BYTES))
        if asked is None:
            return None, None
        return asked, next((label for label, secret in self._admitted.items() if asked.has(secret, nonce)), None)

    def _knocks_often(self, place: Place) -> bool:
        now_s = asyncio.get_running_loop().time()
        for other, times in list(self._knocks.items()):
            if times[-1] < now_s - MINUTE_S:
                del self._knocks[other]
        if len(self._knocks) >= MOST_PLACES and place not in self._knocks:
            return True
        times = self._knocks.setdefault(place, deque(maxlen=self._limits.knocks_per_minute))
        if len(times) == times.maxlen and times[0] > now_s - MINUTE_S:
            return True
        times.append(now_s)
        return False

    async def _receive_guest(self, guest: Guest) -> None:
        self._make_room(guest.place)
        peer = self._waiting.get(guest.opposite)
        if peer is None:
            if len(self._waiting) >= self._limits.waiting:
                await guest.say(Word.FULL)
            else:
                await self._let_wait(guest)
        elif len(self._passages) // 2 >= self._limits.pairs:
            await guest.say(Word.FULL)
        elif await self._call_in(peer):
            await self._join(guest, peer)
        else:
            await self._let_wait(guest)

    def _make_room(self, place: Place) -> None:
        """The same end has called before: that connection is over."""
        if (passage := self._passages.get(place)) is not None:
            passage.ended.set()
        if (older := self._waiting.pop(place, None)) is not None and older.waiting is not None:
            older.waiting.cancel()

    async def _let_wait(self, guest: Guest) -> None:
        self._waiting[guest.place] = guest
        guest.waiting = asyncio.create_task(self._wait(guest))
        try:
            await asyncio.wait({guest.waiting})
        finally:
            guest.waiting.cancel()
            if self._waiting.get(guest.place) is guest:
                del self._waiting[guest.place]
        if guest.is_joined:
            await guest.over.wait()
            return
        word = Word.REPLACED if guest.waiting.cancelled() else guest.waiting.result()
        if word is not None:
            await guest.say(word)

    async def _wait(self, guest: Guest) -> Word | None:
        """Tell a guest now and then that it waits; ends with the word to part with, None where it hung up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.wait_s):
                while True:
                    await guest.say(Word.WAIT)
                    try:
                        async with asyncio.timeout(HEARTBEAT_S):
                            await guest.reader.read(1)
                    except TimeoutError:
                        continue
                    except OSError:
                        pass
                    return None  # it hung up, or spoke before its turn
        return Word.LATE

    async def _call_in(self, peer: Guest) -> bool:
        """Take a guest out of its waiting; False if it has just gone."""
        assert peer.waiting is not None
        del self._waiting[peer.place]
        if peer.waiting.done():
            return False
        peer.is_joined = True
        peer.waiting.cancel()
        await asyncio.wait({peer.waiting})
        return True

    async def _join(self, guest: Guest, peer: Guest) -> None:
        passage = Passage(self._limits, (guest, peer))
        for each in passage.ends:
            self._passages[each.place] = passage
        self._count += 1
        number = self._count
        self._tell(f"joined pair {number} ({guest.label}); {self._told()}")
        try:
            for each in passage.ends:
                await each.say(Word.JOINED)
            await passage.run()
        finally:
            for each in passage.ends:
                if self._passages.get(each.place) is passage:
                    del self._passages[each.place]
            peer.over.set()
            seconds = asyncio.get_running_loop().time() - passage.began_s
            self._tell(
                f"parted pair {number} ({guest.label}) after {seconds:.0f} s, {passage.bytes / 1e6:.1f} MB; "
                f"{self._told()}"
            )

    def _told(self) -> str:
        waiting, pairs = self.guests
        return f"{pairs} pairs joined, {waiting} guests waiting"

    def _note_turned_away(self, writer: StreamWriter) -> None:
        """Say so, once a minute at most: strangers knock at every open port."""
        now_s = asyncio.get_running_loop().time()
        if self._turned_away_s is not None and self._turned_away_s > now_s - MINUTE_S:
            return
        self._turned_away_s = now_s
        host = (writer.get_extra_info("peername") or ("an unknown address",))[0]
        self._tell(f"turned a caller without admission away, from {host}")


async def serve(relay: Relay, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Run a relay until it is cancelled.

    Raises:
        ListenError: it cannot listen there.
    """
    try:
        port = await relay.start(host, port)
    except OSError as error:
        raise ListenError(
            f"wanted to listen on {host}:{port}; found that it cannot be had ({error.strerror}); is the relay running "
            "already, or is that not an address of this machine?"
        ) from error
    tell(f"The relay listens on {host}, port {port}.")
    try:
        await asyncio.Event().wait()
    finally:
        await relay.close()
