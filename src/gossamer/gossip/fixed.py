"""Graphs that stay the same at every exchange: mesh, ring and exponential, with equal fractions for all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import ceil, log2

from gossamer.gossip.topology import SiteId, Topology


class FixedGraph(Topology):
    """Site j sends to sites j + offset (cyclically) and keeps as much as each of them gets.

    Every offset is used by every site, so rows sum to 1 as columns do: doubly stochastic.
    """

    def __init__(
        self,
        sites: Collection[SiteId],
        offsets: Collection[int],
        *,
        exchanges_per_round: int,
        final_exchanges: int | None,
    ) -> None:
        """Lay the graph out.

        Args:
            sites: all sites.
            offsets: how far along the sorted sites each site sends; may be negative, or name one site twice.
            exchanges_per_round: exchanges between two local phases.
            final_exchanges: exchanges after the last one; as many as in a round if not given.
        """
        super().__init__(
            sites,
            period=1,
            exchanges_per_round=exchanges_per_round,
            final_exchanges=final_exchanges or exchanges_per_round,
        )
        self._offsets = sorted({0, *(offset % len(self.sites) for offset in offsets)})

    def mixing(self, site: SiteId, exchange: int) -> Mapping[SiteId, float]:
        """The same equal fractions at every exchange."""
        here, count = self.position(site), len(self.sites)
        return self.by_name({(here + offset) % count: 1 / len(self._offsets) for offset in self._offsets})


class Mesh(FixedGraph):
    """All send to all: the exact mean after one exchange, for n (n - 1) transfers."""

    name = "mesh"

    def __init__(
        self, sites: Collection[SiteId], *, exchanges_per_round: int = 1, final_exchanges: int | None = None
    ) -> None:
        """See ``FixedGraph``."""
        super().__init__(
            sites, range(len(sites)), exchanges_per_round=exchanges_per_round, final_exchanges=final_exchanges
        )


class Ring(FixedGraph):
    """Each site exchanges with the two beside it (Lian et al., arXiv 1705.09056, section 5)."""

    name = "ring"

    def __init__(
        self, sites: Collection[SiteId], *, exchanges_per_round: int = 1, final_exchanges: int | None = None
    ) -> None:
        """See ``FixedGraph``."""
        super().__init__(sites, (-1, 1), exchanges_per_round=exchanges_per_round, final_exchanges=final_exchanges)


class StaticExponential(FixedGraph):
    """Each site sends to those 1, 2, 4, ... places on, all at once (Ying et al., arXiv 2110.13363, section 3)."""

    name = "static-exponential"

    def __init__(
        self, sites: Collection[SiteId], *, exchanges_per_round: int = 1, final_exchanges: int | None = None
    ) -> None:
        """See ``FixedGraph``."""
        hops = ceil(log2(max(len(sites), 1)))
        super().__init__(
            sites,
            [2**hop for hop in range(hops)],
            exchanges_per_round=exchanges_per_round,
            final_exchanges=final_exchanges,
        )
