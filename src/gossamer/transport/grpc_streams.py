"""The two ends of a gRPC call, as streams of a line.

Law: who waits for an operation of a call may be cancelled; the operation never is. It ends with its call.

gRPC's core writes what it receives into memory that belongs to the operation's coroutine. Where that is cancelled
Python frees the memory and tells the core nothing (``ReceiveMessageOperation`` and ``execute_batch`` of grpc.aio), so
that a message which comes a moment later damages whatever lies there by then, at worst the process.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import grpc

from gossamer.transport.line import Stream

ENDED = (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError)
"""What gRPC raises where a stream has ended, by which end, and how far it had noticed (``UsageError`` among them)."""

END_S = 5.0
"""For operations whose calls are over."""

Result = TypeVar("Result")


class Call(Protocol):
    """What both ends of a gRPC call have."""

    def read(self) -> Awaitable[Any]:
        """The next message; ``grpc.aio.EOF`` after the last."""

    def write(self, message: bytes) -> Awaitable[None]:
        """Hand a message over."""


class Operations:
    """What is under way on the calls of one transport."""

    def __init__(self) -> None:
        """None yet."""
        self._under_way: set[asyncio.Task[Any]] = set()

    async def see_through(self, operation: Coroutine[Any, Any, Result]) -> Result:
        """Wait for an operation; it goes on where the waiting is cancelled.

        Raises:
            ConnectionError: its stream has ended.
        """
        task = asyncio.create_task(_or_end(operation))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        result = await asyncio.shield(task)
        if isinstance(result, Ended):
            raise ConnectionError(str(result.error)) from result.error
        return result

    async def end(self) -> None:
        """Wait for all, whose calls are over."""
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=END_S)


@dataclass(frozen=True)
class Ended:
    """An operation whose stream has ended.

    Not raised: an exception of a task that nobody waits for any more is written to the console by asyncio.
    """

    error: Exception


async def _or_end(operation: Awaitable[Result]) -> Result | Ended:
    try:
        return await operation
    except ENDED as error:
        return Ended(error)


class CallStream(Stream):
    """Either end."""

    def __init__(self, call: Call, operations: Operations) -> None:
        """A stream of ``call``, whose operations are seen through by ``operations``."""
        self._call = call
        self._operations = operations
        self._one = asyncio.Lock()

    async def read(self) -> bytes | None:
        """See ``Stream``."""
        data = await self._operations.see_through(self._read())
        return data if isinstance(data, bytes) else None  # else grpc.aio.EOF

    async def write(self, data: bytes) -> None:
        """See ``Stream``."""
        await self._operations.see_through(self._write(data))

    @abstractmethod
    async def close(self) -> None:
        """See ``Stream``."""

    async def _read(self) -> object:
        return await self._call.read()

    async def _write(self, data: bytes) -> None:
        async with self._one:
            await self._call.write(data)


class Dialled(CallStream):
    """The dialling end of a call."""

    def __init__(self, call: grpc.aio.StreamStreamCall[bytes, bytes], operations: Operations) -> None:
        """A stream of a call that has begun."""
        super().__init__(call, operations)
        self._cancel = call.cancel

    async def close(self) -> None:
        """See ``Stream``."""
        self._cancel()


class Answered(CallStream):
    """The answering end of a call."""

    def __init__(self, context: grpc.aio.ServicerContext[bytes, bytes], operations: Operations) -> None:
        """A stream that the current task speaks on."""
        super().__init__(context, operations)
        self._speaker = asyncio.current_task()

    async def close(self) -> None:
        """The speaker's end ends the call; so others end it by ending the speaker."""
        if self._speaker is not None and self._speaker is not asyncio.current_task():
            self._speaker.cancel()
