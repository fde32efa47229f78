"""How long a site waits for others, from what it has measured itself: no limit stands in a file.

A wait after a local phase is a small part of what the phase took. At the end a peer is waited for as long as it may
need by its own habits; one that has been silent for longer is not waited for at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, final

from gossamer.gossip.topology import SiteId

MOST_IDLE = 0.1
"""Of the time a local phase took: so long a site waits, in all, before it begins the next."""

USUAL_GAPS = 4.0
"""A peer that has not been heard of for so many times its longest usual silence is given up."""

LEAST_S = 60.0
"""At the end of a run a minute is no loss; in a short one peers may have begun later by as much."""


@final
class Patience:
    """One site's stopwatches. Durations survive a restart; points in time do not, for the clock is another."""

    def __init__(self, unmeasured_s: float) -> None:
        """Nothing is measured yet.

        Args:
            unmeasured_s: how long to wait for a last word until something is.
        """
        self._unmeasured_s = unmeasured_s
        self.phase_began_s = 0.0
        self.phase_s = 0.0
        self.sent_s: dict[SiteId, float] = {}
        self.transfer_s: dict[SiteId, float] = {}
        self.heard_s: dict[SiteId, float] = {}
        self.gap_s: dict[SiteId, float] = {}

    def record(self) -> tuple[float | Mapping[SiteId, float], ...]:
        """All of it, as a plain value."""
        maps = (dict(each) for each in (self.sent_s, self.transfer_s, self.heard_s, self.gap_s))
        return self.phase_began_s, self.phase_s, *maps

    def load(self, record: tuple[Any, ...]) -> None:
        """Become what ``record`` was taken of."""
        self.phase_began_s, self.phase_s, *maps = record
        self.sent_s, self.transfer_s, self.heard_s, self.gap_s = (dict(each) for each in maps)

    def forget_the_clock(self) -> None:
        """The site was started again."""
        self.sent_s, self.heard_s = {}, {}

    def begin_phase(self, now: float) -> None:
        """A local phase begins."""
        self.phase_began_s = now

    def end_phase(self, now: float) -> float:
        """A local phase is over; returns until when to wait for others."""
        self.phase_s = now - self.phase_began_s
        return now + MOST_IDLE * self.phase_s

    def note_sent(self, peer: SiteId, now: float) -> None:
        """A share goes to a peer for the first time."""
        self.sent_s[peer] = now

    def note_receipt(self, peer: SiteId, now: float) -> None:
        """The peer has it."""
        sent_s = self.sent_s.pop(peer, None)
        if sent_s is not None:
            self.transfer_s[peer] = max(self.transfer_s.get(peer, 0.0), now - sent_s)

    def note_share(self, peer: SiteId, now: float) -> None:
        """A share of a peer has come; a long silence is forgotten by halves, so that one absence is no habit."""
        if peer in self.heard_s:
            self.gap_s[peer] = max(self.gap_s.get(peer, 0.0) / 2, now - self.heard_s[peer])
        self.heard_s[peer] = now

    def gives_up_s(self, peer: SiteId, now: float, *, is_here: bool) -> float:
        """Until when to wait for a peer's last word; not at all for one that is away, and was never heard here."""
        measured_s = max(self.phase_s, self.gap_s.get(peer, 0.0), *self.transfer_s.values(), 0.0)
        longest_s = max(LEAST_S, USUAL_GAPS * measured_s) if measured_s > 0 else self._unmeasured_s
        return (now if is_here else self.heard_s.get(peer, -inf)) + longest_s
