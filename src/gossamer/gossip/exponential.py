"""One-peer exponential graph: Assran et al., arXiv 1811.10792, appendix A; Ying et al., arXiv 2110.13363.

At exchange t site j sends half of its mass to the site 2^(t mod h) places on, h = ceil(log2 n): one message each,
directed. For n = 2^h sites h exchanges give the exact mean; for other n they only come close.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import ceil, log2

from gossamer.gossip.topology import SiteId, Topology


class Exponential(Topology):
    """One receiver a site, twice as far along at every exchange."""

    name = "exponential"

    def __init__(
        self, sites: Collection[SiteId], *, exchanges_per_round: int = 1, final_exchanges: int | None = None
    ) -> None:
        """Lay the schedule out.

        Args:
            sites: all sites.
            exchanges_per_round: exchanges between two local phases.
            final_exchanges: exchanges after the last one; by default a whole period or a round, the longer.
        """
        period = max(1, ceil(log2(max(len(sites), 1))))
        super().__init__(
            sites,
            period=period,
            exchanges_per_round=exchanges_per_round,
            final_exchanges=final_exchanges or max(period, exchanges_per_round),
        )

    def mixing(self, site: SiteId, exchange: int) -> Mapping[SiteId, float]:
        """Half stays, half goes 2^(t mod h) places on."""
        here = self.position(site)
        there = (here + 2 ** (exchange % self.period)) % len(self.sites)
        return self.by_name({here: 0.5, there: 0.5} if here != there else {here: 1.0})
