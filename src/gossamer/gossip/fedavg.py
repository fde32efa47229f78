"""FedAvg: McMahan et al., arXiv 1602.05629, algorithm 1 with all sites in every round, as gossip over a star.

The baseline with a server, on the same node, faults and counted bytes as gossip itself: the hub's estimate becomes
the mean weighted by cases, and everyone takes it over. FedProx (arXiv 1812.06127) exchanges alike; its proximal term
belongs to the trainer.
"""

from __future__ import annotations

from dataclasses import replace

from gossamer.errors import ScheduleError
from gossamer.gossip.algorithm import GossipState, Mass, Params
from gossamer.gossip.star import Star
from gossamer.gossip.topology import Topology
from gossamer.gossip.weighted import WeightedGossip


class FedAvg(WeightedGossip):
    """The exact mean, weighted by cases, through one coordinator."""

    name = "fedavg"
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
        """A server is what makes it FedAvg.

        Raises:
            ScheduleError: the topology is not a star.
        """
        if not isinstance(topology, Star):
            raise ScheduleError(
                f"algorithm 'fedavg': wanted the topology 'star'; found '{topology.name}'; "
                "take 'star', or the algorithm 'sweep', which gives the same mean without a server"
            )
