"""Arithmetic of decentralised averaging: tensors in, tensors out; no clock, socket or file.

The public names are loaded when they are first asked for, as those of ``gossamer`` are: who needs a site's name from
``topology`` needs no PyTorch. Type checkers read them in ``__init__.pyi``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

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

_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605  # a list, whatever the linter can see


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
