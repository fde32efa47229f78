"""Patches made ahead by worker processes that may die.

A patch is a pure function of its number, so a worker is never needed, only useful: when one dies or hangs, its
patches are made here and the others go on, with a warning that names what was lacking. The bits are the same with any
number of workers. Patches come through pipes: nothing is kept in /dev/shm, whose small size in containers kills the
usual loaders.
"""

from __future__ import annotations

import logging
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from gossamer.learn.patches import Patch, PatchMaker

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
"""A patch takes milliseconds. A worker that has not answered for so long waits on a disk or lock that will not come."""

AHEAD = 4
"""Patches each worker makes ahead."""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    asked: deque[int] = field(default_factory=deque)


class PatchWorkers:
    """Makes patches in order, some of them ahead of time."""

    def __init__(self, maker: PatchMaker, workers: int, patience_s: float = PATIENCE_S) -> None:
        """Start ``workers`` processes; with 0, patches are made in this process when they are asked for."""
        self._maker = maker
        self._patience_s = patience_s
        self._workers: list[_Worker] = []
        self._ready: dict[int, Patch] = {}
        for _ in range(workers):
            self._start()

    @property
    def alive(self) -> int:
        """Workers at work."""
        return len(self._workers)

    @property
    def process_ids(self) -> list[int]:
        """Of the workers at work."""
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def patches(self, indices: Sequence[int]) -> list[Patch]:
        """The patches of these consecutive numbers."""
        self._ask(indices[0], indices[-1] + 1 + AHEAD * len(self._workers))
        return [self._take(index) for index in indices]

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            _end(worker)
        self._workers.clear()

    def _start(self) -> None:
        context = get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(there, self._maker), daemon=True)
        try:
            process.start()
        except OSError as error:
            log.warning(
                "wanted one more data worker; found that the system starts no process (%s); going on with %d; "
                "lower the recipe's workers or raise the limit on processes and memory",
                error.strerror, self.alive,
            )  # fmt: skip
            return
        there.close()
        self._workers.append(_Worker(process, here))

    def _ask(self, first: int, end: int) -> None:
        asked = {index for worker in self._workers for index in worker.asked} | self._ready.keys()
        for index in range(first, end):
            if index not in asked and self._workers:
                worker = min(self._workers, key=lambda w: len(w.asked))
                try:
                    worker.pipe.send(index)
                except OSError:
                    self._give_up(worker, "died")
                else:
                    worker.asked.append(index)

    def _take(self, index: int) -> Patch:
        while index not in self._ready:
            worker = next((w for w in self._workers if index in w.asked), None)
            if worker is None:
                return self._maker.patch(index)
            try:
                if worker.pipe.poll(self._patience_s):
                    self._ready[worker.asked.popleft()] = worker.pipe.recv()
                else:
                    self._give_up(worker, f"did not answer for {self._patience_s:.0f} s")
            except (EOFError, OSError):
                self._give_up(worker, "died")
        return self._ready.pop(index)

    def _give_up(self, worker: _Worker, what: str) -> None:
        self._workers.remove(worker)
        worker.process.join(timeout=1)  # a dead one is collected here; a hung one has no exit code yet
        exit_code = worker.process.exitcode
        _end(worker)
        log.warning(
            "a data worker %s%s; going on with %d, the result stays the same",
            what, _likely_cause(exit_code), self.alive,
        )  # fmt: skip


def _serve(pipe: Connection, maker: PatchMaker) -> None:
    """A worker's whole life: numbers in, patches out, until the pipe is closed."""
    try:
        while True:
            pipe.send(maker.patch(pipe.recv()))
    except (EOFError, OSError):
        return


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.kill()
    worker.process.join()


def _likely_cause(exit_code: int | None) -> str:
    if exit_code == -signal.SIGKILL:
        return " (killed: most often the machine or container was out of memory; fewer workers need less)"
    return "" if exit_code is None else f" (exit code {exit_code})"
