"""Being told how a long piece of work goes: a terminal draws bars, a log writes lines, a test counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Protocol


class Task(Protocol):
    """Something that takes a while."""

    def advance(self, steps: float, note: str = "") -> None:
        """So much more is done; ``note`` says where it stands."""
        ...

    def skip(self, steps: float) -> None:
        """So much had been done before: it is not left, and says nothing about how fast it goes."""
        ...


class Watch(Protocol):
    """Whoever looks on."""

    def task(self, what: str, total: float) -> AbstractContextManager[Task]:
        """Something of ``total`` steps begins."""
        ...

    def say(self, text: str) -> None:
        """Something worth a line."""
        ...


def as_clock(seconds: float) -> str:
    """A time as clocks show it: ``0:52:00``."""
    return str(timedelta(seconds=round(seconds)))


class Unwatched:
    """Nobody looks on."""

    @contextmanager
    def task(self, what: str, total: float) -> Iterator[Task]:
        """Nothing is shown."""
        yield self

    def advance(self, steps: float, note: str = "") -> None:
        """Nothing is shown."""

    def skip(self, steps: float) -> None:
        """Nothing is shown."""

    def say(self, text: str) -> None:
        """Nothing is shown."""
