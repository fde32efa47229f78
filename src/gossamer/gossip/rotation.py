"""One-peer rotation: at exchange t site j sends half of its mass 1 + (t mod n - 1) places on: each peer in turn.

It mixes more slowly than the exponential graph, but after n - 1 exchanges of its own a site has spoken with everyone,
at whatever pace the others are. So it suits sites that do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gossamer.gossip.topology import SiteId, Topology


class Rotation(Topology):
    """One receiver a site, the next one at every exchange."""

    name = "rotation"

    def __init__(
        self, sites: Collection[SiteId], *, exchanges_per_round: int = 1, final_exchanges: int | None = None
    ) -> None:
        """Lay the schedule out.

        Args:
            sites: all sites.
            exchanges_per_round: exchanges between two local phases.
            final_exchanges: exchanges after the last one; by default a whole period or a round, the longer.
        """
        period = max(1, len(sites) - 1)
        super().__init__(
            sites,
            period=period,
            exchanges_per_round=exchanges_per_round,
            final_exchanges=final_exchanges or max(period, exchanges_per_round),
        )

    def mixing(self, site: SiteId, exchange: int) -> Mapping[SiteId, float]:
        """Half stays, half goes to the next in turn."""
        here = self.position(site)
        there = (here + 1 + exchange % self.period) % len(self.sites)
        return self.by_name({here: 0.5, there: 0.5} if here != there else {here: 1.0})
