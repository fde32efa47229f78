"""Seeing a federation whole: the models of all sites at the end of the same round.

Sites do not reach the end of a round at the same time. What each has then is kept until the last one has it; a site
that is ahead trains on from the same tensors, so little more than the models themselves is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gossamer.gossip.algorithm import Params
from gossamer.gossip.topology import SiteId


@dataclass(frozen=True, eq=False)
class RoundReport:
    """All sites after the last exchange of a round.

    Attributes:
        round_index: from 0.
        params: each site's model.
        loss: each site's mean training loss over the round.
        bytes_sent: by each site so far.
        virtual_s: when the last site got there, on the virtual clock.
    """

    round_index: int
    params: Mapping[SiteId, Params]
    loss: Mapping[SiteId, float]
    bytes_sent: Mapping[SiteId, int]
    virtual_s: float


class RoundBook:
    """Collects models by round. A site that skips a round got to its end when it got to that of a later one."""

    def __init__(self, site_count: int) -> None:
        self._site_count = site_count
        self._pending: dict[int, dict[SiteId, tuple[Params, float]]] = {}
        self.complete = 0

    def enter(self, round_index: int, site: SiteId, params: Params, loss: float) -> None:
        """A site got to the end of a round; it may get there again.

        After a power cut in lockstep it has the same bits then; a fast site that does not wait has newer ones.
        """
        if round_index < self.complete:
            return
        self._pending.setdefault(round_index, {})[site] = (params, loss)
        for skipped in range(self.complete, round_index):
            self._pending.setdefault(skipped, {}).setdefault(site, (params, loss))

    def take_complete(self, bytes_sent: Mapping[SiteId, int], virtual_s: float) -> RoundReport | None:
        """The next round that all sites have ended, if there is one; once only."""
        entries = self._pending.get(self.complete, {})
        if len(entries) < self._site_count:
            return None
        del self._pending[self.complete]
        self.complete += 1
        params = {site: entries[site][0] for site in sorted(entries)}
        loss = {site: entries[site][1] for site in sorted(entries)}
        return RoundReport(self.complete - 1, params, loss, bytes_sent, virtual_s)

    def record(self) -> tuple[Any, ...]:
        """All of it as a plain value."""
        return self.complete, self._pending

    def load(self, record: tuple[Any, ...]) -> None:
        """Become what ``record`` was taken of."""
        self.complete, pending = record
        self._pending = {round_index: dict(entries) for round_index, entries in pending.items()}
