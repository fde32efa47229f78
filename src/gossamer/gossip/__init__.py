"""Arithmetic of decentralised averaging: tensors in, tensors out; no clock, socket or file.

The public names are loaded when they are first asked for (``lazily``): who needs a site's name from ``topology`` needs
no PyTorch.
"""

from __future__ import annotations

from gossamer.lazily import lazily

_PUBLIC = {
    "algorithm": ("GossipAlgorithm", "GossipState", "Mass", "Params", "Share"),
    "consensus": ("consensus_distance", "weighted_mean"),
    "registry": (
        *("ALGORITHMS", "TOPOLOGIES", "build_algorithm", "build_gossip", "build_topology"),
        "default_topology",
    ),
    "spectral": ("averages_exactly", "is_doubly_stochastic", "spectral_gap"),
    "topology": ("SiteId", "Topology"),
    "trainer": ("TrainResult", "Trainer", "TrainerState"),
}

__all__ = sorted(name for names in _PUBLIC.values() for name in names)  # noqa: PLE0605  # whatever the linter can see

__getattr__, __dir__ = lazily(__name__, _PUBLIC)
