"""How commands speak: results on stdout; progress and words on stderr, as bars on a terminal, else a line a minute."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from gossamer.watch import as_clock

WIDE = 400
"""Columns of a file or a pipe, where no part of a table may be cut off."""

SECONDS_BETWEEN_LINES = 60.0
"""Without a terminal nobody looks at each second, and a log should stay readable."""

SECONDS_BETWEEN_TICKS = 5.0
"""How often a log looks whether a line is due: a phase that lasts long must not look like one that hangs."""


def results_console(columns: int = WIDE) -> Console:
    """Where results are printed: the terminal at its width, a file or a pipe at ``columns``."""
    return Console(width=None if sys.stdout.isatty() else columns)


class Teller:
    """Shows how a command gets on; a ``gossamer.watch.Watch``."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """One line of words."""
        self.console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def task(self, what: str, total: float) -> Iterator[_Bar | _Lines]:
        """Something of ``total`` steps, shown until the block ends."""
        if not self.console.is_terminal:
            lines = _Lines(self.say, what, total)
            with _ticking(lines.tick):
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

    def skip(self, steps: float) -> None:
        self._progress.advance(self._task, steps)


class _Lines:
    """A line a minute in a log, whether or not it gets on."""

    def __init__(
        self, say: Callable[[str], None], what: str, total: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._what = what
        self._total = total
        self._clock = clock
        self._done = self._skipped = 0.0
        self._note = ""
        self._saying = threading.Lock()
        self._began = self._spoke = clock()
        say(f"{what} …")

    def advance(self, steps: float, note: str = "") -> None:
        self._done += steps
        self._note = note or self._note
        self.tick()

    def skip(self, steps: float) -> None:
        self._skipped += steps

    def tick(self) -> None:
        """Say a line if one is due."""
        with self._saying:
            now = self._clock()
            if now - self._spoke < SECONDS_BETWEEN_LINES:
                return
            self._spoke = now
            there = self._done + self._skipped
            words = [f"{there / self._total:.0%}" if self._total else "begun"]
            if self._done:
                left_s = (now - self._began) * max(0.0, self._total - there) / self._done
                words.append(f"{as_clock(left_s)} left")
            if self._note:
                words.append(self._note)
            self._say(f"{self._what}: {', '.join(words)}")

    def end(self) -> None:
        self._say(f"{self._what}: done in {as_clock(self._clock() - self._began)}")


@contextmanager
def _ticking(tick: Callable[[], None]) -> Iterator[None]:
    """Call ``tick`` now and then, whatever else this process computes."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(SECONDS_BETWEEN_TICKS):
            tick()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
