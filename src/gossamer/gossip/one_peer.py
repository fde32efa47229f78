"""What schedules have in common by which each site hands half of its mass to one other, some places on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping

from gossamer.gossip.topology import SiteId, Topology


class OnePeer(Topology):
    """One receiver a site, as many places on for all of them; directed."""

    def __init__(
        self, sites: Collection[SiteId], *, exchanges_per_round: int = 1, final_exchanges: int | None = None
    ) -> None:
        """Lay the schedule out.

        Args:
            sites: all sites.
            exchanges_per_round: exchanges between two local phases.
            final_exchanges: exchanges after the last one; by default a whole period or a round, the longer.
        """
        period = max(1, self._turn(len(sites)))
        super().__init__(
            sites,
            period=period,
            exchanges_per_round=exchanges_per_round,
            final_exchanges=final_exchanges or max(period, exchanges_per_round),
        )

    @staticmethod
    @abstractmethod
    def _turn(count: int) -> int:
        """After how many exchanges the schedule of so many sites repeats."""

    @staticmethod
    @abstractmethod
    def _places_on(place_in_turn: int) -> int:
        """How far on the receiver is."""

    def mixing(self, site: SiteId, exchange: int) -> Mapping[SiteId, float]:
        """Half stays, half goes on."""
        here = self.position(site)
        there = (here + self._places_on(exchange % self.period)) % len(self.sites)
        return self.by_name({here: 0.5, there: 0.5} if here != there else {here: 1.0})
