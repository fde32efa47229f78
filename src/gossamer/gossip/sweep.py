"""Sweep: weighted exact gossip, push-sum (Kempe et al., FOCS 2003) on a finite-time graph (arXiv 2305.11420).

Each site starts a round with its own mass m_i. The round's exchanges spread all mass evenly, so that afterwards every
site holds sum_i m_i x_i / sum_i m_i: what a FedAvg server would send out, without the server. There the masses may be
set back to m_i: all estimates are equal, and the mean of equals is the same whatever the weights. So sites must wait
for each other: if a share is missing they agree only nearly, and setting back moves the mean. Rounds that do not wait
need ``pushsum``.
"""

from __future__ import annotations

from dataclasses import replace

from gossamer.errors import ScheduleError
from gossamer.gossip.algorithm import GossipState, Mass, Params
from gossamer.gossip.spectral import averages_exactly
from gossamer.gossip.topology import Topology
from gossamer.gossip.weighted import WeightedGossip


class Sweep(WeightedGossip):
    """The exact mean, weighted by cases, after every round."""

    name = "sweep"
    sets_masses_back = True

    def start_mass(self, own: Mass) -> Mass:
        """m_i."""
        return own

    def replace(self, state: GossipState, params: Params) -> GossipState:
        """What training made is the new estimate."""
        return replace(state, params=params)

    def end_round(self, state: GossipState) -> GossipState:
        """The mass becomes m_i again."""
        return replace(state, mass=state.own)

    def check(self, topology: Topology) -> None:
        """Every round, and the end, must give the exact mean.

        Raises:
            ScheduleError: one does not.
        """
        each, last, period = topology.exchanges_per_round, topology.final_exchanges, topology.period
        starts = {round_index * each % period for round_index in range(period)} if period else set()
        exact = all(averages_exactly(topology, t, each) and averages_exactly(topology, t, last) for t in starts)
        if not (starts and exact):
            raise ScheduleError(
                f"algorithm 'sweep': wanted rounds that give the exact mean; '{topology.name}' with {each} exchanges a "
                f"round over {len(topology.sites)} sites does not; take 'hypercube' (2, 4, 8, ... sites), 'base' (any "
                "number), 'mesh' or 'star', or the algorithm 'pushsum'"
            )
