from gossamer.gossip.algorithm import GossipAlgorithm, GossipState, Mass, Params, Share
from gossamer.gossip.consensus import consensus_distance, weighted_mean
from gossamer.gossip.registry import (
    ALGORITHMS,
    TOPOLOGIES,
    build_algorithm,
    build_gossip,
    build_topology,
    default_topology,
)
from gossamer.gossip.spectral import averages_exactly, is_doubly_stochastic, spectral_gap
from gossamer.gossip.topology import SiteId, Topology
from gossamer.gossip.trainer import Trainer, TrainerState, TrainResult

__all__ = [
    "ALGORITHMS",
    "TOPOLOGIES",
    "GossipAlgorithm",
    "GossipState",
    "Mass",
    "Params",
    "Share",
    "SiteId",
    "Topology",
    "TrainResult",
    "Trainer",
    "TrainerState",
    "averages_exactly",
    "build_algorithm",
    "build_gossip",
    "build_topology",
    "consensus_distance",
    "default_topology",
    "is_doubly_stochastic",
    "spectral_gap",
    "weighted_mean",
]
