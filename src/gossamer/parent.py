"""A process that another one started for itself ends with it, however that one ends.

Who is killed cannot end its children: left alone they would go on for hours, hold ports and folders, and compute what
nobody asks for any more. So a child that calls one of these two watches a pipe whose other end its parent alone has.
The system closes that end when the parent dies, whatever it died of; also where a server forked the child for its
parent (multiprocessing's forkserver), and on any system, not on Linux alone.

Law: the child ends by SIGKILL, whatever its threads do. What it must not lose is on its disk before it is promised.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable

STDIN = 0


def end_with_parent() -> None:
    """For a process that ``multiprocessing`` started: end when the one that asked for it has ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # the first process has none
    _end_after(parent.join)


def end_with_pipe(descriptor: int = STDIN) -> None:
    """For any other: end when the pipe is closed whose other end the parent has, and on which nothing comes."""
    _end_after(lambda: os.read(descriptor, 1))


def _end_after(wait: Callable[[], object]) -> None:
    def watch() -> None:
        wait()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="ends with its parent", daemon=True).start()
