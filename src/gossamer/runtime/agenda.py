"""The virtual clock: what will happen when, in a fixed order even where times are equal."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

from gossamer.gossip.topology import SiteId
from gossamer.wire.frame import Frame


@dataclass(frozen=True, eq=False)
class Delivery:
    """A frame reaches its receiver."""

    sender: SiteId
    receiver: SiteId
    frame: Frame | bytes


@dataclass(frozen=True)
class TrainingEnds:
    """A local phase is over; ``life`` counts the site's starts, so that a power cut voids it."""

    site: SiteId
    life: int


@dataclass(frozen=True)
class Alarm:
    """The time has come that a node asked for; ``at_s`` tells it from an earlier wish."""

    site: SiteId
    life: int
    at_s: float


@dataclass(frozen=True)
class PowerIsBack:
    """A site starts again."""

    site: SiteId


Happening = Delivery | TrainingEnds | Alarm | PowerIsBack

HAPPENINGS: tuple[type, ...] = (Delivery, TrainingEnds, Alarm, PowerIsBack, Frame)
"""The classes in an agenda's ``record``."""


class Agenda:
    """What is to come. Of happenings at the same time the one noted first comes first."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._noted = 0
        self._heap: list[tuple[float, int, Happening]] = []

    def note(self, at_s: float, happening: Happening) -> None:
        """Let it happen at ``at_s``."""
        heapq.heappush(self._heap, (at_s, self._noted, happening))
        self._noted += 1

    def next(self) -> Happening | None:
        """Turn the clock to what comes next; None when nothing does."""
        if not self._heap:
            return None
        self.now_s, _, happening = heapq.heappop(self._heap)
        return happening

    def record(self) -> tuple[Any, ...]:
        """All of it as a plain value."""
        return self.now_s, self._noted, tuple(self._heap)

    def load(self, record: tuple[Any, ...]) -> None:
        """Become what ``record`` was taken of."""
        self.now_s, self._noted, heap = record
        self._heap = list(heap)
