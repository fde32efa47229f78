"""Who exchanges with whom, and how much: schedules that both ends compute alone.

A topology is a pure function of (sites, seed, exchange index t). At exchange t the fraction ``A[i, j]`` of
site j's mass goes to site i; every column sums to 1 (nothing is lost), and where rows sum to 1 as well
(*doubly stochastic*) plain averaging keeps the mean too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import NewType

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import ScheduleError

SiteId = NewType("SiteId", str)
"""A site's name in a federation: its identity's fingerprint, or a plain name in a simulation."""


class Topology(ABC):
    """A schedule of exchanges over a fixed, sorted set of sites.

    Attributes:
        sites: all sites, sorted.
        exchanges_per_round: how many exchanges lie between two local phases.
        final_exchanges: how many follow after the last local phase (at least ``exchanges_per_round``).
        period: after how many exchanges the schedule repeats; 0 when it never does (random schedules).
    """

    name: str
    sites: tuple[SiteId, ...]
    exchanges_per_round: int
    final_exchanges: int
    period: int

    def __init__(
        self, sites: Collection[SiteId], *, period: int, exchanges_per_round: int, final_exchanges: int
    ) -> None:
        """Take over what all schedules have.

        Raises:
            ScheduleError: no site, a site named twice, or counts of exchanges that cannot be.
        """
        self.sites = tuple(sorted(sites))
        self.period = period
        self.exchanges_per_round = exchanges_per_round
        self.final_exchanges = final_exchanges
        self._position = {site: index for index, site in enumerate(self.sites)}
        if not self.sites or len(self._position) < len(self.sites):
            raise ScheduleError(
                f"topology '{self.name}': wanted at least one site, each named once; found {', '.join(self.sites)}; "
                "give every site a name of its own"
            )
        if not 1 <= exchanges_per_round <= final_exchanges:
            raise ScheduleError(
                f"topology '{self.name}': wanted 1 <= exchanges_per_round <= final_exchanges; found "
                f"{exchanges_per_round} and {final_exchanges}; leave both out to get what fits the topology"
            )

    @abstractmethod
    def mixing(self, site: SiteId, exchange: int) -> Mapping[SiteId, float]:
        """The fraction of ``site``'s mass that goes to each receiver, itself included; sums to 1."""

    def receivers(self, site: SiteId, exchange: int) -> tuple[SiteId, ...]:
        """Whom ``site`` sends to at this exchange, sorted."""
        return tuple(sorted(j for j, a in self.mixing(site, exchange).items() if j != site and a > 0))

    def senders(self, site: SiteId, exchange: int) -> tuple[SiteId, ...]:
        """From whom ``site`` receives at this exchange, sorted."""
        return _senders(self, exchange).get(site, ())

    def matrix(self, exchange: int) -> NDArray[np.float64]:
        """The mixing matrix A [receiver i, sender j] of one exchange, in the order of ``sites``."""
        index = {site: k for k, site in enumerate(self.sites)}
        matrix = np.zeros((len(self.sites), len(self.sites)))
        for sender in self.sites:
            for receiver, fraction in self.mixing(sender, exchange).items():
                matrix[index[receiver], index[sender]] = fraction
        return matrix

    def position(self, site: SiteId) -> int:
        """The site's place in ``sites``.

        Raises:
            ScheduleError: it is not among them.
        """
        try:
            return self._position[site]
        except KeyError as error:
            raise ScheduleError(
                f"topology '{self.name}': wanted one of the sites {', '.join(self.sites)}; found '{site}'; "
                "build the schedule over all sites of the federation"
            ) from error

    def by_name(self, fractions: Mapping[int, float]) -> dict[SiteId, float]:
        """Fractions by place in ``sites``, turned into fractions by name."""
        return {self.sites[index]: fraction for index, fraction in fractions.items()}


@lru_cache(maxsize=8)
def _senders(topology: Topology, exchange: int) -> Mapping[SiteId, tuple[SiteId, ...]]:
    """By receiver; all sites of one process ask for the same exchanges."""
    found: defaultdict[SiteId, tuple[SiteId, ...]] = defaultdict(tuple)
    for sender in topology.sites:
        for receiver in topology.receivers(sender, exchange):
            found[receiver] += (sender,)
    return found
