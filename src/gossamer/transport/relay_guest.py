"""A connection that a relay has let in, and how a relay speaks on a connection."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from contextlib import suppress

from gossamer.transport.relay_words import Word

LAST_WORD_S = 1.0

Place = tuple[bytes, int]
"""A token and a side of it."""


class Guest:
    """A connection that was let in."""

    def __init__(self, label: str, place: Place, reader: StreamReader, writer: StreamWriter) -> None:
        self.label = label
        self.place = place
        self.reader = reader
        self.writer = writer
        self.waiting: asyncio.Task[Word | None] | None = None
        self.is_joined = False
        self.over = asyncio.Event()

    @property
    def opposite(self) -> Place:
        """Where its peer waits."""
        token, side = self.place
        return token, 1 - side

    async def say(self, word: Word) -> None:
        """Say a word, if the guest is still there."""
        await say(self.writer, word)


async def say(writer: StreamWriter, word: Word) -> None:
    """Say a word on a connection, if there is still somebody."""
    with suppress(OSError):
        writer.write(word.value)
        await writer.drain()


async def hang_up(writer: StreamWriter) -> None:
    """What was said last may still arrive, for a moment."""
    writer.close()
    try:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(LAST_WORD_S):
                await writer.wait_closed()
    finally:
        writer.transport.abort()
