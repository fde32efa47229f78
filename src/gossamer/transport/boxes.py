"""What lies where in a mailbox's folder, and how a site gets at it.

::

    <box of A and B>/letter-0                  what A has to say to B: the letters with even numbers
                    /letter-1                  those with odd ones
                    /<name of a body>-00000    the parts of the body that A offers, PART_BYTES each
                    /<name of a body>-00001
    <box of B and A>/...                       what B has to say to A

Law
    1. One writer a box: a site writes and removes files in the boxes from itself, and reads those to itself. So nobody
       needs to be allowed more, and no file is written from two sides.
    2. Names are hashes: of the two site ids for a box, of a secret for a body. They tell who already knows the
       certificates of both which pair it is, and others nothing.
    3. The newest letter takes turns with the one before, which so stays whole while it is written. A letter offers
       only what was written before it. Where a network or a synchronising program shows files late, in another order,
       or half of them, seals and lengths tell, and they are looked for again.
    4. What a store's driver raises comes out as ``ConnectionError``; the connection is made anew the next time.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from gossamer.transport.stores import Store

T = TypeVar("T")

MAX_TROUBLE = 300
"""So many characters of a driver's error are shown."""


def box_of(sender: str, receiver: str) -> str:
    """The box from one site to another, by their ids."""
    return hashlib.sha256(b"gossamer mailbox, box, 1: " + bytes.fromhex(sender + receiver)).hexdigest()[:32]


def letter_path(box: str, number: int) -> str:
    """Where a letter lies."""
    return f"{box}/letter-{number % 2}"


def part_path(box: str, body: str, index: int) -> str:
    """Where a part lies."""
    return f"{box}/{body}-{index:05d}"


class Folder:
    """A store in a thread of its own, since its calls block; a call that nobody waits for any more still ends."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        """A folder that is opened when it is needed."""
        self._open_store = open_store
        self._store: Store | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mailbox")

    async def read(self, path: str, most_bytes: int) -> bytes | None:
        """The beginning of a file; None where there is none.

        Raises:
            ConnectionError: the folder does not answer, here and below.
        """
        return await self._do(lambda store: store.read(path, most_bytes))

    async def write(self, path: str, content: bytes) -> None:
        """Put a file in its box."""
        await self._do(lambda store: store.write(path, content))

    async def size_bytes(self, path: str) -> int | None:
        """Length of a file; None where there is none."""
        return await self._do(lambda store: store.size_bytes(path))

    async def remove(self, path: str) -> None:
        """Remove a file, where there is one."""
        await self._do(lambda store: store.remove(path))

    def close(self) -> None:
        """Let go of it, when the call that is under way has ended."""
        self._thread.submit(self._let_go)
        self._thread.shutdown(wait=False)

    async def _do(self, act: Callable[[Store], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._act, act)

    def _act(self, act: Callable[[Store], T]) -> T:
        try:
            if self._store is None:
                self._store = self._open_store()
            return act(self._store)
        except Exception as error:  # the drivers' errors have no common base
            self._let_go()
            raise ConnectionError(f"{type(error).__name__}: {error}"[:MAX_TROUBLE]) from error

    def _let_go(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(Exception):  # it is given up, whatever it says to that
                store.close()
