"""D-PSGD: decentralised parallel SGD by plain averaging in lockstep, Lian et al., arXiv 1705.09056, algorithm 1.

x_i <- sum_j A[i, j] x_j with A doubly stochastic. Every site counts the same, however many cases it has, and so does
every row: the mean that is kept, and the loss that is minimised, is the unweighted one. A baseline. The paper mixes
and takes its gradient step at the same time; here the step comes first, then the mixing.
"""

from __future__ import annotations

from dataclasses import replace

from gossamer.errors import ScheduleError
from gossamer.gossip.algorithm import GossipState, Mass, Params
from gossamer.gossip.spectral import is_doubly_stochastic
from gossamer.gossip.topology import Topology
from gossamer.gossip.weighted import WeightedGossip


class DPSGD(WeightedGossip):
    """Plain averaging: a mass of 1 for every site and row."""

    name = "dpsgd"
    sets_masses_back = True

    def start_mass(self, own: Mass) -> Mass:
        """1, whatever the site has."""
        return _ones(own)

    def replace(self, state: GossipState, params: Params) -> GossipState:
        """What training made is the new estimate."""
        return replace(state, params=params)

    def end_round(self, state: GossipState) -> GossipState:
        """A mass of 1 again: it is that already but for rounding, or unless a share did not come."""
        return replace(state, mass=_ones(state.own))

    def check(self, topology: Topology) -> None:
        """Plain averaging keeps the mean only where rows of the mixing matrix sum to 1.

        Raises:
            ScheduleError: they do not.
        """
        if not is_doubly_stochastic(topology):
            raise ScheduleError(
                f"algorithm 'dpsgd': wanted a doubly stochastic topology, or the mean drifts; '{topology.name}' over "
                f"{len(topology.sites)} sites is not; take 'ring', 'mesh', 'hypercube', 'base', 'exponential' or "
                "'matching', or the algorithm 'pushsum'"
            )


def _ones(own: Mass) -> Mass:
    return Mass(1.0, {name: (1.0,) * len(row) for name, row in own.rows.items()})
