"""No exchange at all: what a hospital that trains alone does, in the same machinery as all others."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gossamer.gossip.topology import SiteId, Topology


class Alone(Topology):
    """Every site keeps all of its mass; rounds are empty of messages."""

    name = "alone"

    def __init__(self, sites: Collection[SiteId]) -> None:
        """Keep ``sites`` apart."""
        super().__init__(sites, period=1, exchanges_per_round=1, final_exchanges=1)

    def mixing(self, site: SiteId, exchange: int) -> Mapping[SiteId, float]:
        """All to itself."""
        return {site: 1.0}
