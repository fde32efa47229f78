"""Child processes that read foreign files within bounds of memory and time.

Law
    1. A job that exceeds its bounds, or kills its process, costs itself: its outcome is :class:`Lost`, with the reason.
       All others get theirs, in the order of the jobs.
    2. A process that was killed says nothing of who was to blame: the system takes one of several when memory runs out.
       So what it had in hand is done once more, one at a time, with nothing beside it; only what kills a process then
       is lost.
    3. What a job raises ends the run, as in one process.

A process keeps the bounds by itself: with ``RLIMIT_DATA`` Python and NumPy raise MemoryError where they would take more
(what is mapped from files, such as libraries, does not count), and a timer interrupts a job, or ends the process if it
does not come back from foreign code. A system without ``/proc`` (macOS) has no bound of memory.
"""

from __future__ import annotations

import multiprocessing
import resource
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from signal import ITIMER_REAL, SIG_DFL, SIGALRM, SIGINT, setitimer, signal
from types import FrameType
from typing import Any, TypeVar

from gossamer.errors import WorkerError
from gossamer.parent import end_with_parent

Job = TypeVar("Job")
Result = TypeVar("Result")

GRACE_S = 5.0
"""After its time a job is interrupted; after this much more, the process ends."""

PAGES_OF_DATA = 5
"""Field of ``/proc/self/statm``: pages of data and stack, which is what RLIMIT_DATA counts."""


@dataclass(frozen=True)
class Bounds:
    """What a job may take.

    Attributes:
        memory_bytes: beyond what its process has before the first job. What it gives back may take as much again on
            its way.
        seconds: by the clock on the wall.
    """

    memory_bytes: int
    seconds: float


@dataclass(frozen=True)
class Lost:
    """The outcome of a job that has none of its own.

    Attributes:
        why: a clause, such as "it takes more than 10 s".
    """

    why: str


class _TooLongError(BaseException):
    """The time of a job is over; nothing that reads foreign files may take it for an error of theirs."""


def outcomes(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    bounds_of: Callable[[Job], Bounds],
    *,
    workers: int,
    at_a_time: int = 1,
) -> Iterator[Result | Lost]:
    """What a function makes of each job, in their order.

    Args:
        function: of a module, as are all types of its argument and result: they go to another process.
        jobs: for the function.
        bounds_of: what a job may take.
        workers: processes; 0 does all in this one, without bounds, which is right for files of one's own alone.
        at_a_time: jobs that a process gets together; many if each is small.

    Raises:
        WorkerError: no process can be started.
    """
    if workers < 1:
        return map(function, jobs)
    shares = [jobs[begin : begin + at_a_time] for begin in range(0, len(jobs), at_a_time)]
    return _in_children(function, shares, bounds_of, min(workers, len(shares)))


def _in_children(
    function: Callable[[Job], Result],
    shares: Sequence[Sequence[Job]],
    bounds_of: Callable[[Job], Bounds],
    workers: int,
) -> Iterator[Result | Lost]:
    idle = [_Worker() for _ in range(workers)]
    waiting = deque(range(len(shares)))
    running: dict[Future[list[Any]], tuple[int, _Worker]] = {}
    done: dict[int, list[Any]] = {}

    def bounded(share: Sequence[Job]) -> list[tuple[Job, Bounds]]:
        return [(job, bounds_of(job)) for job in share]

    def collect(when: str) -> list[int]:
        """Take in what is done; returns the shares whose process was killed."""
        killed = []
        for future in wait(running, return_when=when).done:
            place, worker = running.pop(future)
            idle.append(worker)
            try:
                done[place] = future.result()
            except BrokenProcessPool:
                killed.append(place)
        return killed

    try:
        for due in range(len(shares)):
            while due not in done:
                while idle and waiting:
                    worker = idle.pop()
                    place = waiting.popleft()
                    running[worker.submit(function, bounded(shares[place]))] = place, worker
                if killed := collect(FIRST_COMPLETED):
                    killed += collect(ALL_COMPLETED)
                    for place in killed:
                        done[place] = [_alone(idle[-1], function, *each) for each in bounded(shares[place])]
            yield from done.pop(due)
    finally:
        for worker in (*idle, *(worker for _, worker in running.values())):
            worker.dismiss()


def _alone(worker: _Worker, function: Callable[[Job], Result], job: Job, bounds: Bounds) -> Result | Lost:
    """The outcome of a job with no other beside it (law 2)."""
    try:
        outcome: Result | Lost = worker.submit(function, [(job, bounds)]).result()[0]
    except BrokenProcessPool:
        _check_alive(worker)
        return Lost("its process is killed, by damaged content or for want of memory")
    return outcome


def _check_alive(worker: _Worker) -> None:
    """Raise if not even a process with nothing to do lives: then no job is to blame."""
    try:
        worker.submit(len, []).result()
    except BrokenProcessPool as error:
        raise WorkerError(
            "wanted a process that reads files; found that none can be started; free memory, and in a script of your "
            "own call it below if __name__ == '__main__'"
        ) from error


class _Worker:
    """A process, and the next one where that has ended or was left without much room."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._last: Future[list[Any]] | None = None

    def submit(self, function: Callable[[Any], Any], share: list[tuple[Any, Bounds]]) -> Future[list[Any]]:
        """Begin a share of jobs; the one before has ended."""
        if self._last and (self._last.exception() or any(isinstance(one, Lost) for one in self._last.result())):
            self.dismiss()
        try:
            self._last = self._begun().submit(_do, function, share)
        except BrokenProcessPool:  # killed with nothing in hand
            self.dismiss()
            self._last = self._begun().submit(_do, function, share)
        return self._last

    def dismiss(self) -> None:
        """End the process; a job that it has in hand ends first."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._pool = self._last = None

    def _begun(self) -> ProcessPoolExecutor:
        if not self._pool:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin)
        return self._pool


# In the child


def _begin() -> None:
    end_with_parent()
    signal(SIGINT, SIG_DFL)  # Ctrl-C reaches all processes: these end in silence, the first one speaks
    signal(SIGALRM, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal(SIGALRM, SIG_DFL)  # the next one ends a process that foreign code does not come back from
    raise _TooLongError


def _do(function: Callable[[Job], Result], share: Sequence[tuple[Job, Bounds]]) -> list[Result | Lost]:
    return [_within(function, job, bounds) for job, bounds in share]


def _within(function: Callable[[Job], Result], job: Job, bounds: Bounds) -> Result | Lost:
    _limit_memory(bounds.memory_bytes)
    try:
        try:
            setitimer(ITIMER_REAL, bounds.seconds, GRACE_S)
            outcome: Result | Lost = function(job)
        finally:
            setitimer(ITIMER_REAL, 0)  # before anything else is caught: an alarm there would end the run
    except _TooLongError:
        outcome = Lost(f"it takes more than {bounds.seconds:.0f} s")
    except MemoryError:
        outcome = Lost(f"it takes more than {bounds.memory_bytes / 2**30:.1f} GiB of memory")
    finally:
        setitimer(ITIMER_REAL, 0)
        signal(SIGALRM, _interrupt)
        _limit_memory(None)  # or an outcome as large as the bound could not be sent
    return outcome


def _limit_memory(memory_bytes: int | None) -> None:
    """Take at most so much from here on; None takes a bound away."""
    if own := _own_bytes():
        _, highest = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = highest if memory_bytes is None else own + memory_bytes
        resource.setrlimit(
            resource.RLIMIT_DATA, (wanted if highest == resource.RLIM_INFINITY else min(wanted, highest), highest)
        )


@cache
def _own_bytes() -> int:
    """Of this process before its first job; 0 where the system does not say."""
    try:
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(fields[PAGES_OF_DATA]) * resource.getpagesize()
