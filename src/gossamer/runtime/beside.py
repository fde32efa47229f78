"""Waiting for one thing while another goes on: what ends that work ends the waiting; and what nothing ends early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

Value = TypeVar("Value")

Work = asyncio.Task[None]
"""What goes on until it is cancelled or fails."""


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[Work]:
    """Let something go on until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def during(work: Work, wanted: Awaitable[Value]) -> Value:
    """Wait for something; raises what the work beside it fails with."""
    came = await _first(work, wanted, None)
    assert came is not None
    return came[0]


async def during_at_most(seconds: float, work: Work, wanted: Awaitable[Value]) -> Value | None:
    """The same, so long at most; None if it did not come."""
    came = await _first(work, wanted, seconds)
    return came[0] if came else None


async def _first(work: Work, wanted: Awaitable[Value], seconds: float | None) -> tuple[Value] | None:
    waiting = asyncio.ensure_future(wanted)
    try:
        await asyncio.wait({work, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
            raise AssertionError("work that goes on until it is cancelled has ended")
        return (waiting.result(),) if waiting.done() else None
    finally:
        waiting.cancel()


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do something whole: whoever is cancelled meanwhile is so when it is done.

    What closes servers and files must not stop half way: a port would stay taken as long as the process lives.
    """
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    await task
