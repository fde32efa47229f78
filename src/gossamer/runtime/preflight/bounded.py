"""Questions that may never be answered, and a process that ends all the same.

A name server that is away, a network disk that hangs and a driver that is stuck hold whoever asks them, some for good.
So each question is put on a thread of its own, which nobody waits for longer than was said, and which is no reason for
the process to stay.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Answers(Generic[T]):
    """What has come in time.

    Attributes:
        given: by the number of the question.
        broken: questions that ended with an error that nobody foresaw; the thread has shown it.
        late: questions still without an answer.
    """

    given: dict[int, T]
    broken: tuple[int, ...]
    late: tuple[int, ...]

    @property
    def in_order(self) -> list[T]:
        """The answers in the order of their questions."""
        return [self.given[number] for number in sorted(self.given)]


def ask(
    questions: Sequence[Callable[[], T]],
    seconds: float,
    threads: int | None = None,
    on_answer: Callable[[], None] = lambda: None,
) -> Answers[T]:
    """Ask all questions at once, or ``threads`` at a time in their order, and wait so long.

    Args:
        questions: called on threads; they raise nothing that is foreseen.
        seconds: after which this returns, whatever is missing.
        threads: at most; by default one for each question.
        on_answer: told of each answer, here in the caller's thread.
    """
    waiting: SimpleQueue[int] = SimpleQueue()
    came: SimpleQueue[tuple[int, list[T]]] = SimpleQueue()
    over = threading.Event()
    for number in range(len(questions)):
        waiting.put(number)

    def work() -> None:
        while not over.is_set():
            try:
                number = waiting.get_nowait()
            except Empty:
                return
            answer: list[T] = []
            try:
                answer.append(questions[number]())
            finally:
                came.put((number, answer))

    for _ in range(min(threads or len(questions), len(questions))):
        threading.Thread(target=work, daemon=True).start()
    given: dict[int, T] = {}
    broken = []
    until = time.monotonic() + seconds
    try:
        for _ in questions:
            number, answer = came.get(timeout=max(0.0, until - time.monotonic()))
            if answer:
                given[number] = answer[0]
            else:
                broken.append(number)
            on_answer()
    except Empty:
        pass
    finally:
        over.set()
    late = set(range(len(questions))) - given.keys() - set(broken)
    return Answers(given, tuple(sorted(broken)), tuple(sorted(late)))


async def answer_to(question: Callable[[], T], seconds: float) -> T | None:
    """Ask one question beside what else goes on; None where no answer comes in time.

    Args:
        question: called on a thread; it raises nothing that is foreseen.
        seconds: that it is waited for.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def give(given: T) -> None:
        if not answer.done():
            answer.set_result(given)

    def work() -> None:
        given = question()
        with suppress(RuntimeError):  # nobody is there any more
            loop.call_soon_threadsafe(give, given)

    threading.Thread(target=work, daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await answer
    return None
