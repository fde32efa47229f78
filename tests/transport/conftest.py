"""Streams in memory, which break when they are told to."""

import asyncio

import pytest

from gossamer.transport.line import Stream


class MemoryStream(Stream):
    """One end of a pair."""

    def __init__(self, inbox, outbox, ended, breaks_after=None, spoil=lambda data: data):
        self._inbox = inbox
        self._outbox = outbox
        self._ended = ended
        self._left = breaks_after
        self._spoil = spoil
        self.written = []

    async def read(self):
        """What was written before the end is still read."""
        return await self._or_end(self._inbox.get()) if self._inbox.empty() else self._inbox.get_nowait()

    async def write(self, data):
        if self._left is not None:
            if self._left == 0:
                await self.close()
            self._left -= 1
        if not self._ended.is_set():
            await self._or_end(self._outbox.put(self._spoil(data)))
        if self._ended.is_set():
            raise ConnectionError("the stream has ended")
        self.written.append(data)

    async def close(self):
        self._ended.set()

    async def _or_end(self, waiting):
        first, end = asyncio.ensure_future(waiting), asyncio.ensure_future(self._ended.wait())
        done, late = await asyncio.wait({first, end}, return_when=asyncio.FIRST_COMPLETED)
        for task in late:
            task.cancel()
        return first.result() if first in done else None


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """No test here cuts a machine's power: what a process wrote its successor reads, flushed or not."""
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


@pytest.fixture
def pair():
    """Makes two ends of a stream; the first one breaks after so many messages."""
    return _pair


def _pair(*, breaks_after=None, spoil=lambda data: data):
    there, back, ended = asyncio.Queue(4), asyncio.Queue(4), asyncio.Event()
    return MemoryStream(back, there, ended, breaks_after, spoil), MemoryStream(there, back, ended)
