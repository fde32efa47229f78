"""Star: one site coordinates. FedAvg (McMahan et al., arXiv 1602.05629) is gossip over a star.

Exchange 0: every other site (leaf) hands its whole mass to the hub, whose estimate becomes the weighted mean.
Exchange 1: the hub hands an equal part of the whole mass to everyone. Two exchanges are the exact mean, for 2 (n - 1)
transfers, all of them through the hub.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gossamer.gossip.topology import SiteId, Topology


class Star(Topology):
    """Everyone to the hub, the hub to everyone."""

    name = "star"

    def __init__(self, sites: Collection[SiteId], *, hub: SiteId | None = None) -> None:
        """Lay the schedule out.

        Args:
            sites: all sites, the hub among them.
            hub: the coordinator; by default the first of the sorted sites.

        Raises:
            ScheduleError: the hub is not one of the sites.
        """
        super().__init__(sites, period=2, exchanges_per_round=2, final_exchanges=2)
        self.hub = self.sites[0] if hub is None else hub
        self.position(self.hub)

    def mixing(self, site: SiteId, exchange: int) -> Mapping[SiteId, float]:
        """Leaves give all, then the hub gives equal parts."""
        if exchange % 2 == 0:
            return {self.hub: 1.0}
        if site == self.hub:
            return dict.fromkeys(self.sites, 1 / len(self.sites))
        return {site: 1.0}
