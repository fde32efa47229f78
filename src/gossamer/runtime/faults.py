"""What goes wrong in a simulation, fixed before it begins."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from gossamer.gossip.topology import SiteId


@dataclass(frozen=True)
class Outage:
    """A site is cut off from the network: frames that would leave or reach it are lost. It works on."""

    site: SiteId
    from_s: float
    until_s: float


@dataclass(frozen=True)
class PowerCut:
    """A site stops, loses all that is not on its disk, and starts again from there.

    Attributes:
        site: which.
        event: while it performs what its n-th event asks for, counted from 0 over all its starts.
        actions: how many of that event's actions are done before the power fails.
        down_s: how long until it starts again.
    """

    site: SiteId
    event: int
    actions: int
    down_s: float


@dataclass(frozen=True)
class FaultPlan:
    """All of them."""

    outages: tuple[Outage, ...] = ()
    power_cuts: tuple[PowerCut, ...] = ()

    def is_cut_off(self, site: SiteId, now_s: float) -> bool:
        """Whether no frame leaves or reaches the site now."""
        return any(each.site == site and each.from_s <= now_s < each.until_s for each in self.outages)


def random_power_cuts(
    sites: Collection[SiteId], seed: int, *, count: int, events: int, longest_s: float
) -> tuple[PowerCut, ...]:
    """Power cuts at random places.

    Args:
        sites: whose power may fail.
        seed: that the draw depends on alone.
        count: how many cuts.
        events: each is within the first so many events of its site.
        longest_s: each site is back after at most so long.
    """
    chance = np.random.default_rng(np.random.SeedSequence([seed, 0x637574]))
    names = sorted(sites)
    return tuple(
        PowerCut(
            names[chance.integers(len(names))],
            int(chance.integers(events)),
            int(chance.integers(4)),
            float(chance.uniform(0, longest_s)),
        )
        for _ in range(count)
    )
