"""Work that goes on until it is done, or a person or a service manager stops it."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from signal import Signals
from typing import Any, TypeVar

Value = TypeVar("Value")


def run_until_stopped(work: Coroutine[Any, Any, Value]) -> Value:
    """Do it to its end. A signal cancels it, and ends the command once it has put away what it had open.

    An exception that a signal's handler raises would end whatever task of asyncio is at work at that moment, and no
    other; and lines that are torn down by it may crash.
    """
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)
    came: list[Signals] = []
    try:
        return asyncio.run(_cancelled_by_signals(work, came))
    except asyncio.CancelledError:
        if came:
            signal.raise_signal(came[0])  # its own handler ends the command
        raise


async def _cancelled_by_signals(work: Coroutine[Any, Any, Value], came: list[Signals]) -> Value:
    loop, working = asyncio.get_running_loop(), asyncio.ensure_future(work)

    def stop(number: Signals) -> None:
        came.append(number)
        working.cancel()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in handled:
        loop.add_signal_handler(number, stop, number)
    try:
        return await working
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
