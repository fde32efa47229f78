"""How commands speak: results on stdout; progress and words on stderr, as bars on a terminal, else a line a minute."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 60.0
"""Without a terminal nobody looks at each second, and a log should stay readable."""


class Teller:
    """Shows how a command gets on; a ``gossamer.study.watch.Watch``."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """One line of words."""
        self.console.print(text, markup=False)

    @contextmanager
    def task(self, what: str, total: float) -> Iterator[_Bar | _Lines]:
        """Something of ``total`` steps, shown until the block ends."""
        if not self.console.is_terminal:
            lines = _Lines(self, what, total)
            yield lines
            lines.end()
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self.console) as progress:
            yield _Bar(progress, progress.add_task(what, total=total, note=""))


class _Bar:
    """A bar on a terminal."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, steps: float, note: str = "") -> None:
        if note:
            self._progress.update(self._task, note=note)
        self._progress.advance(self._task, steps)


class _Lines:
    """A line a minute in a log."""

    def __init__(self, teller: Teller, what: str, total: float) -> None:
        self._teller = teller
        self._what = what
        self._total = total
        self._done = 0.0
        self._began = self._spoke = time.monotonic()
        teller.say(f"{what} …")

    def advance(self, steps: float, note: str = "") -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._spoke >= SECONDS_BETWEEN_LINES:
            self._spoke = now
            share = self._done / self._total if self._total else 1.0
            left = (now - self._began) * (1 - share) / share if share else 0.0
            self._teller.say(f"{self._what}: {share:.0%}, {_clock(left)} left{', ' + note if note else ''}")

    def end(self) -> None:
        self._teller.say(f"{self._what}: done in {_clock(time.monotonic() - self._began)}")


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
