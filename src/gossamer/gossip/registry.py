"""Algorithms and topologies by name. To add one, put it into the dictionary, or pass the value itself."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from gossamer.errors import ScheduleError
from gossamer.gossip.algorithm import GossipAlgorithm
from gossamer.gossip.base_graph import BaseGraph
from gossamer.gossip.choices import GuardName
from gossamer.gossip.clipping import ClippingGuard
from gossamer.gossip.dpsgd import DPSGD
from gossamer.gossip.exponential import Exponential
from gossamer.gossip.fedavg import FedAvg
from gossamer.gossip.fixed import Mesh, Ring, StaticExponential
from gossamer.gossip.guard import MixingGuard
from gossamer.gossip.hypercube import Hypercube
from gossamer.gossip.pushsum import PushSum
from gossamer.gossip.random_graphs import Epidemic, RandomMatching, RandomTopology
from gossamer.gossip.rolling_sweep import RollingSweep
from gossamer.gossip.rotation import Rotation
from gossamer.gossip.star import Star
from gossamer.gossip.sweep import Sweep
from gossamer.gossip.topology import SiteId, Topology
from gossamer.gossip.trimming import TrimmingGuard

ALGORITHMS: dict[str, type[GossipAlgorithm]] = {
    each.name: each for each in (Sweep, RollingSweep, PushSum, DPSGD, FedAvg)
}

TOPOLOGIES: dict[str, type[Topology]] = {
    each.name: each
    for each in (
        Hypercube,
        BaseGraph,
        Star,
        Mesh,
        Ring,
        Exponential,
        StaticExponential,
        Rotation,
        RandomMatching,
        Epidemic,
    )
}

GUARDS: dict[GuardName, type[MixingGuard]] = {"clipping": ClippingGuard, "trimming": TrimmingGuard}
"""What stands before every mean, by the name that files call it."""

OWN_TOPOLOGY = {"pushsum": "exponential", "dpsgd": "ring", "fedavg": "star"}
"""What these take unless told otherwise. All others take the cheapest topology that averages exactly."""

ASYNCHRONOUS_TOPOLOGY = "rotation"
"""What sites take that do not wait for each other: a fast one must not depend on slow ones for news of the others."""

OWN_SETTINGS: dict[str, dict[str, int]] = {"rolling-sweep": {"exchanges_per_round": 1}}
"""What an algorithm asks of its topology, where the topology can do it."""

Kind = TypeVar("Kind")


def build_algorithm(name: str, **settings: Any) -> GossipAlgorithm:
    """The algorithm of this name.

    Raises:
        ScheduleError: there is none, or it has no such setting.
    """
    kind = _named("algorithm", name, ALGORITHMS)
    _check_settings(f"algorithm '{name}'", kind, settings)
    return kind(**settings)


def build_topology(name: str, sites: Collection[SiteId], seed: int, **settings: Any) -> Topology:
    """The topology of this name.

    Args:
        name: a key of ``TOPOLOGIES``.
        sites: all sites, in any order.
        seed: what random schedules are drawn from; the others do not use it.
        settings: the topology's own.

    Raises:
        ScheduleError: there is none of this name, it has no such setting, or it cannot be built over these sites.
    """
    kind = _named("topology", name, TOPOLOGIES)
    if issubclass(kind, RandomTopology):
        settings["seed"] = seed
    _check_settings(f"topology '{name}'", kind, {"sites": sites, **settings})
    return kind(sites, **settings)


def default_topology(algorithm: str, site_count: int) -> str:
    """The name of the topology an algorithm takes when none is named."""
    exact = "base" if site_count & (site_count - 1) else "hypercube"
    return OWN_TOPOLOGY.get(algorithm, exact)


def build_gossip(
    algorithm: str | GossipAlgorithm,
    sites: Collection[SiteId],
    seed: int,
    *,
    topology: str | None = None,
    topology_settings: Mapping[str, Any] | None = None,
    asynchronous: bool = False,
) -> tuple[GossipAlgorithm, Topology]:
    """An algorithm with a topology on which its laws hold.

    Args:
        algorithm: a key of ``ALGORITHMS``, or an algorithm.
        sites: all sites, in any order.
        seed: what random schedules are drawn from.
        topology: a key of ``TOPOLOGIES``; by default the algorithm's own.
        topology_settings: settings of the topology.
        asynchronous: whether sites do not wait for each other; changes the default topology alone.

    Raises:
        ScheduleError: a name is unknown, or the two do not go together.
    """
    chosen = build_algorithm(algorithm) if isinstance(algorithm, str) else algorithm
    usual = ASYNCHRONOUS_TOPOLOGY if asynchronous else default_topology(chosen.name, len(sites))
    kind = topology or usual
    possible = _settings_of(_named("topology", kind, TOPOLOGIES))
    asked = {name: value for name, value in OWN_SETTINGS.get(chosen.name, {}).items() if name in possible}
    schedule = build_topology(kind, sites, seed, **{**asked, **(topology_settings or {})})
    chosen.check(schedule)
    return chosen, schedule


def _named(what: str, name: str, registry: Mapping[str, type[Kind]]) -> type[Kind]:
    if name not in registry:
        near = get_close_matches(name, registry, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "take one of these"
        raise ScheduleError(f"wanted one of the {what} names {', '.join(sorted(registry))}; found '{name}'; {hint}")
    return registry[name]


def _check_settings(where: str, kind: type, settings: Mapping[str, Any]) -> None:
    known = _settings_of(kind)
    for unknown in sorted(settings.keys() - known):
        own = sorted(known - {"sites", "seed"})
        raise ScheduleError(
            f"{where}: wanted settings among {', '.join(own) or 'none'}; found '{unknown}'; correct or remove it"
        )


def _settings_of(kind: type) -> set[str]:
    return set(inspect.signature(kind).parameters)
