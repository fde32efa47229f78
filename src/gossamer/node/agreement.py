"""What all sites of a federation agree on before they begin, and the calendar that follows from it.

Notation: R rounds; a round is a local phase and the E exchanges after it; the last one has F exchanges instead.
Exchanges are counted over the whole run, from 0 to (R - 1) E + F - 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gossamer.errors import ScheduleError
from gossamer.gossip.algorithm import GossipAlgorithm, Mass
from gossamer.gossip.choices import Pace
from gossamer.gossip.guard import MixingGuard
from gossamer.gossip.topology import SiteId, Topology
from gossamer.wire.codec import MAX_SITE_NAME, MOST_COUNTED_SITES, is_site_name

ONE_HOUR_S = 3600.0
"""Longer than the slowest hand-over of a model that FeTS saw between two hospitals (431 s up, 217 s down)."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """The same at all sites.

    Attributes:
        federation: SHA-256 (hex) of the agreed settings; messages of any other federation are refused.
        algorithm: the arithmetic.
        topology: the schedule.
        rounds: R, local phases of each site; of the mean site where they do not wait for each other.
        pace: whether sites wait for each other.
        joins_later: sites that are away until they are heard of; the others are taken to be there at the beginning.
        resend_after_s: how long to wait for a receipt before a share is sent again; doubled at every further attempt.
        guard: what stands before every mean; None lets all in.
        masses: what each site contributes by its training cases, as it told when it joined; the guard asks.
    """

    federation: str
    algorithm: GossipAlgorithm
    topology: Topology
    rounds: int
    resend_after_s: float = ONE_HOUR_S
    pace: Pace = "lockstep"
    joins_later: frozenset[SiteId] = frozenset()
    guard: MixingGuard | None = None
    masses: Mapping[SiteId, Mass] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what cannot work.

        Raises:
            ScheduleError: a number is out of range, a site's name cannot stand in a message, or the algorithm's laws
                do not hold on the topology.
        """
        if not re.fullmatch("[0-9a-f]{64}", self.federation):
            raise ScheduleError(
                f"wanted the SHA-256 of the federation's settings, 64 hexadecimal digits; found {self.federation!r}; "
                "hash the settings file"
            )
        if self.rounds < 1 or not self.resend_after_s > 0:
            raise ScheduleError(
                f"wanted at least one round and a positive time before a share is sent again; found {self.rounds} and "
                f"{self.resend_after_s} s; correct the settings"
            )
        for site in self.topology.sites:
            if not is_site_name(site):
                raise ScheduleError(
                    f"wanted site names of 1 to {MAX_SITE_NAME} printable characters; found {site!a:.60}; "
                    "every peer would refuse its messages: rename it"
                )
        self.algorithm.check(self.topology)
        unknown = [site for site in self.topology.sites if site not in {*self.masses, *self.joins_later}]
        if self.guard is not None and unknown:
            raise ScheduleError(
                f"wanted the number of training cases of every site, for the guard; found none of site "
                f"{', '.join(unknown)}; give each site's mass, or no guard"
            )
        if self.pace == "asynchronous":
            self._check_asynchronous()

    def _check_asynchronous(self) -> None:
        if not self.algorithm.asynchronous:
            raise ScheduleError(
                f"algorithm '{self.algorithm.name}': wanted one that needs no common clock, for the asynchronous pace; "
                "this one drifts where sites do not wait for each other; take 'pushsum', or the pace 'lockstep'"
            )
        if len(self.topology.sites) > MOST_COUNTED_SITES:
            raise ScheduleError(
                f"wanted at most {MOST_COUNTED_SITES} sites at the asynchronous pace, for every message counts all; "
                f"found {len(self.topology.sites)}; take the pace 'lockstep'"
            )

    @property
    def exchanges(self) -> int:
        """Exchanges of the whole run."""
        return (self.rounds - 1) * self.topology.exchanges_per_round + self.topology.final_exchanges

    def first_of_round(self, exchange: int) -> int:
        """Index of the first exchange of the round to which one belongs."""
        each = self.topology.exchanges_per_round
        return min(exchange // each, self.rounds - 1) * each

    def end_of_round(self, round_index: int) -> int:
        """Index of the first exchange that no longer belongs to the round."""
        if round_index == self.rounds - 1:
            return self.exchanges
        return (round_index + 1) * self.topology.exchanges_per_round
