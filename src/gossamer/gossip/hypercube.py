"""Hypercube: at exchange t sites swap halves with the one whose index differs in bit t mod h; n = 2^h sites.

All h matrices commute, and the product of any h in a row is the exact mean: n h transfers, the fewest of all
schedules here (Shi et al., Signal Processing 2016, "Finite-time convergent gossiping").
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gossamer.errors import ScheduleError
from gossamer.gossip.topology import SiteId, Topology


class Hypercube(Topology):
    """Pairwise swaps along one dimension an exchange."""

    name = "hypercube"

    def __init__(
        self, sites: Collection[SiteId], *, exchanges_per_round: int | None = None, final_exchanges: int | None = None
    ) -> None:
        """Lay the schedule out.

        Args:
            sites: all sites; their number is a power of two.
            exchanges_per_round: exchanges between two local phases; by default all that the exact mean needs.
            final_exchanges: exchanges after the last one; by default enough for the exact mean.

        Raises:
            ScheduleError: the number of sites is not a power of two.
        """
        count = len(sites)
        if count & (count - 1):
            raise ScheduleError(
                f"topology 'hypercube': wanted 2, 4, 8, ... sites; found {count}; "
                "take the topology 'base', which gives the exact mean for any number"
            )
        period = max(1, count.bit_length() - 1)
        each_round = exchanges_per_round or period
        super().__init__(
            sites,
            period=period,
            exchanges_per_round=each_round,
            final_exchanges=final_exchanges or max(period, each_round),
        )

    def mixing(self, site: SiteId, exchange: int) -> Mapping[SiteId, float]:
        """Half stays, half goes to the partner, whose half comes back."""
        here = self.position(site)
        if len(self.sites) == 1:
            return {site: 1.0}
        return self.by_name({here: 0.5, here ^ (1 << exchange % self.period): 0.5})
