"""Two connections that a relay has joined: bytes go through as they come, and nobody here knows what they mean.

Law: a side that does not take makes the other wait, so less than half a megabyte a direction is in hand
(``PIECE_BYTES``, and what asyncio reads at once). Where nothing moves, the two are parted.
"""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from gossamer.transport.relay_guest import Guest
from gossamer.transport.relay_limits import RelayLimits

PIECE_BYTES = 2**16


class Passage:
    """Two guests that are joined."""

    def __init__(self, limits: RelayLimits, ends: tuple[Guest, Guest]) -> None:
        self._limits = limits
        # What is passed on at once is paced as a whole: no more than a second's worth, or a slow pair seems idle.
        self._piece_bytes = min(PIECE_BYTES, max(1, int(limits.bytes_per_s or PIECE_BYTES)))
        self.ends = ends
        self.bytes = 0
        self._moved_s = self._free_s = self.began_s = asyncio.get_running_loop().time()
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Pass bytes on, both ways, until an end hangs up, or nothing moves."""
        one, other = self.ends
        await _until_one_ends(
            self._pass_on(one.reader, other.writer),
            self._pass_on(other.reader, one.writer),
            self._watch(),
            self.ended.wait(),
        )

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(self._piece_bytes):
                writer.write(piece)
                await writer.drain()
                self._moved_s = asyncio.get_running_loop().time()
                self.bytes += len(piece)
                await self._pace(len(piece))

    async def _pace(self, size_bytes: int) -> None:
        if self._limits.bytes_per_s is None:
            return
        now_s = asyncio.get_running_loop().time()
        self._free_s = max(self._free_s, now_s) + size_bytes / self._limits.bytes_per_s
        await asyncio.sleep(self._free_s - now_s)

    async def _watch(self) -> None:
        while (left_s := self._moved_s + self._limits.idle_s - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left_s)


async def _until_one_ends(*parts: Coroutine[Any, Any, object]) -> None:
    """Run all until the first of them ends, then end the others."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
