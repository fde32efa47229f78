"""Rolling sweep: one exchange a round of a sweep (arXiv 2305.11420 with push-sum masses), and a whole one at the end.

A round costs a part of a sweep's bytes (half for four sites); in between, sites hold nearly the same estimate. Without
consensus the masses cannot be set back to m_i, for the mean would jump; so local phases count in proportion, as in
``pushsum``. After the last one a whole sweep gives every site the exact mean.
"""

from __future__ import annotations

from dataclasses import replace

from gossamer.errors import ScheduleError
from gossamer.gossip.algorithm import GossipState, Mass, Params
from gossamer.gossip.pushsum import in_proportion
from gossamer.gossip.spectral import averages_exactly
from gossamer.gossip.topology import Topology
from gossamer.gossip.weighted import WeightedGossip


class RollingSweep(WeightedGossip):
    """The exact mean, weighted by cases, at the end."""

    name = "rolling-sweep"

    def start_mass(self, own: Mass) -> Mass:
        """m_i."""
        return own

    def replace(self, state: GossipState, params: Params) -> GossipState:
        """The estimate becomes x + (m / w)(params - x)."""
        return replace(state, params=in_proportion(state, params))

    def check(self, topology: Topology) -> None:
        """The last exchanges must give the exact mean wherever in the schedule they begin.

        Such a schedule is doubly stochastic: let A be its matrix at any t, and J (all entries 1 / n) the product of the
        exchanges before it as well as of those up to it. Then A J = J, so that no weight falls to 0 in between.

        Raises:
            ScheduleError: they do not.
        """
        starts = range(topology.period)
        exact = all(averages_exactly(topology, t, topology.final_exchanges) for t in starts)
        if not (starts and exact):
            raise ScheduleError(
                f"algorithm 'rolling-sweep': wanted pairwise exchanges that end in the exact mean; '{topology.name}' "
                f"with {topology.final_exchanges} final exchanges over {len(topology.sites)} sites does not; take "
                "'hypercube' (2, 4, 8, ... sites) or 'base' (any number) with exchanges_per_round = 1"
            )
