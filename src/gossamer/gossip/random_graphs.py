"""Schedules drawn afresh at every exchange: random matching, and epidemic (arXiv 2310.01972).

Every site computes the whole draw from (seed, exchange) alone. The draw orders sites by SHA-256, not by a library's
random generator, whose stream may differ between the versions that two hospitals have installed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import ScheduleError
from gossamer.gossip.topology import SiteId, Topology


class RandomTopology(Topology):
    """A schedule that never repeats; draws of different exchanges are independent."""

    def __init__(
        self, sites: Collection[SiteId], *, seed: int, exchanges_per_round: int = 1, final_exchanges: int | None = None
    ) -> None:
        """Take over the settings.

        Args:
            sites: all sites.
            seed: of the study or federation; the same at all sites.
            exchanges_per_round: exchanges between two local phases.
            final_exchanges: exchanges after the last one; as many as in a round if not given.
        """
        super().__init__(
            sites,
            period=0,
            exchanges_per_round=exchanges_per_round,
            final_exchanges=final_exchanges or exchanges_per_round,
        )
        self.seed = seed

    @abstractmethod
    def expected_matrix(self) -> NDArray[np.float64]:
        """The mean of ``matrix`` over all draws."""


class RandomMatching(RandomTopology):
    """Random pairs swap halves; with an odd number one site waits (Boyd et al., IEEE Trans. Inf. Theory 2006)."""

    name = "matching"

    def mixing(self, site: SiteId, exchange: int) -> Mapping[SiteId, float]:
        """Half stays, half goes to the partner, whose half comes back."""
        here = self.position(site)
        there = _partners(len(self.sites), self.seed, exchange)[here]
        return self.by_name({here: 0.5, there: 0.5} if here != there else {here: 1.0})

    def expected_matrix(self) -> NDArray[np.float64]:
        """Each of n (n - 1) / 2 pairs is equally likely to be one of the floor(n / 2) drawn."""
        count = len(self.sites)
        return _uniform_beside_diagonal(count, 0.5 * 2 * (count // 2) / count)


class Epidemic(RandomTopology):
    """Every site sends to ``fanout`` random others (de Vos et al., arXiv 2310.01972, "EL-Local").

    The paper's receivers average what comes, with weights that depend on how much comes, and so lose the mean; here
    the weights are push-sum's and it is kept. Rows do not sum to 1: plain averaging must not use this topology.
    """

    name = "epidemic"

    def __init__(
        self,
        sites: Collection[SiteId],
        *,
        seed: int,
        fanout: int | None = None,
        exchanges_per_round: int = 1,
        final_exchanges: int | None = None,
    ) -> None:
        """Take over the settings.

        Args:
            sites: all sites.
            seed: of the study or federation; the same at all sites.
            fanout: to how many others a site sends; at most to all. By default log2 n, rounded up: then few sites are
                missed by everyone (about n^-1.4 of them, e^-fanout in general), and few weights become small.
            exchanges_per_round: exchanges between two local phases.
            final_exchanges: exchanges after the last one; as many as in a round if not given.

        Raises:
            ScheduleError: ``fanout`` is below 1.
        """
        super().__init__(sites, seed=seed, exchanges_per_round=exchanges_per_round, final_exchanges=final_exchanges)
        count = len(self.sites)
        if fanout is not None and fanout < 1:
            raise ScheduleError(
                f"topology 'epidemic': wanted fanout >= 1; found {fanout}; leave it out to get {ceil(log2(count))}"
            )
        self.fanout = min(fanout or max(1, ceil(log2(count))), count - 1)

    def mixing(self, site: SiteId, exchange: int) -> Mapping[SiteId, float]:
        """Equal parts for itself and its receivers."""
        here = self.position(site)
        there = _receivers(len(self.sites), self.fanout, self.seed, exchange)[here]
        return self.by_name(dict.fromkeys((here, *there), 1 / (1 + self.fanout)))

    def expected_matrix(self) -> NDArray[np.float64]:
        """A site keeps 1 / (1 + fanout); the rest is spread evenly over the others."""
        return _uniform_beside_diagonal(len(self.sites), self.fanout / (1 + self.fanout))


def _uniform_beside_diagonal(count: int, handed_over: float) -> NDArray[np.float64]:
    """The matrix by which everyone spreads ``handed_over`` evenly over the others."""
    if count == 1:
        return np.ones((1, 1))
    matrix = np.full((count, count), handed_over / (count - 1))
    np.fill_diagonal(matrix, 1 - handed_over)
    return matrix


# Pure functions; the cache spares each of n sites the draw of all n.
@lru_cache(maxsize=16)
def _partners(count: int, seed: int, exchange: int) -> tuple[int, ...]:
    """By site its partner, itself if it has none."""
    drawn = _shuffled(range(count), f"matching/{seed}/{exchange}")
    partners = list(range(count))
    for a, b in zip(drawn[::2], drawn[1::2], strict=False):
        partners[a], partners[b] = b, a
    return tuple(partners)


@lru_cache(maxsize=16)
def _receivers(count: int, fanout: int, seed: int, exchange: int) -> tuple[tuple[int, ...], ...]:
    """By site those it sends to."""
    return tuple(
        tuple(_shuffled((j for j in range(count) if j != sender), f"epidemic/{seed}/{exchange}/{sender}")[:fanout])
        for sender in range(count)
    )


def _shuffled(indices: Iterable[int], label: str) -> list[int]:
    """The indices in an order that depends on the label alone."""
    return sorted(indices, key=lambda index: sha256(f"{label}/{index}".encode()).digest())
