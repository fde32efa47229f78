"""How long a round and the whole run will take, from what the sites measured: a pure function.

Notation: n sites, of which some were there; R rounds; L steps of a local phase; s_i a step at site i, b_i what lies
between two of its local phases but for the lines; t_ij a share from i to j, as the sender saw it::

    lockstep       round = max_i (L s_i + b_i) + sum over its exchanges of the largest t_ij that the exchange uses
                   run   = R round
    asynchronous   round_i = L s_i + b_i + what i waits for the answers of its exchanges: t_ij + t_ji each,
                             at most a tenth of L s_i (``node.patience``)
                   run     = n R / sum_i (1 / round_i): all together do n R local phases, each as fast as it can

An exchange is taken as the mean over the topology's period. Shares go to several peers at once here as they do in a
run, so lines that a site shares are counted as slow as they are then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gossamer.gossip.topology import SiteId, Topology
from gossamer.node.agreement import Agreement
from gossamer.node.patience import MOST_IDLE

Way = tuple[SiteId, SiteId]
"""From whom, to whom."""

MOST_EXCHANGES = 64
"""So many are looked at of a schedule that never repeats."""


@dataclass(frozen=True)
class Machine:
    """What a site measured of itself.

    Attributes:
        step_s: an optimiser step.
        between_s: what lies between two local phases.
    """

    step_s: float
    between_s: float


@dataclass(frozen=True)
class SiteEstimate:
    """A site in the real run.

    Attributes:
        local_phase_s: training between two exchanges.
        exchange_s: its exchanges of a round, if it waited for all of them.
        round_s: from one local phase to the next.
        rounds: local phases that it will do.
    """

    local_phase_s: float
    exchange_s: float
    round_s: float
    rounds: float


@dataclass(frozen=True)
class Estimate:
    """The real run.

    Attributes:
        sites: those that were measured.
        run_s: from the first local phase to the last exchange; None where it would not end, or nobody was measured.
        lacking: ways that the lockstep needs, and over which nothing got through.
        slowest_site: whose local phase is the longest.
        slowest_way: over which a share takes longest; None where no share was handed over.
        is_held_by_line: whether the longest exchange takes more than the longest local phase.
    """

    sites: Mapping[SiteId, SiteEstimate]
    run_s: float | None
    lacking: tuple[Way, ...]
    slowest_site: SiteId | None
    slowest_way: Way | None
    is_held_by_line: bool


def estimate(
    agreement: Agreement, local_steps: int, machines: Mapping[SiteId, Machine], shares_s: Mapping[Way, float]
) -> Estimate:
    """What a run will take.

    Args:
        agreement: the real federation's: its topology, its rounds, its pace.
        local_steps: L.
        machines: s_i and b_i of the sites that were there.
        shares_s: t_ij of the ways that were measured.
    """
    phases_s = {site: local_steps * machine.step_s for site, machine in machines.items()}
    is_lockstep = agreement.pace == "lockstep"
    if is_lockstep:
        sites, run_s = _in_lockstep(agreement, machines, phases_s, shares_s)
    else:
        sites, run_s = _asynchronous(agreement, machines, phases_s, shares_s)
    ways = _ways(agreement.topology) if is_lockstep else set()
    lacking = tuple(sorted(ways - shares_s.keys()))
    longest_phase_s = max(phases_s.values(), default=0.0)
    longest_exchange_s = max((site.exchange_s for site in sites.values()), default=0.0)
    return Estimate(
        sites=sites,
        run_s=None if lacking else run_s,
        lacking=lacking,
        slowest_site=max(sorted(phases_s), key=lambda site: phases_s[site], default=None),
        slowest_way=max(sorted(shares_s), key=lambda way: shares_s[way], default=None),
        is_held_by_line=longest_exchange_s > longest_phase_s,
    )


def _in_lockstep(
    agreement: Agreement,
    machines: Mapping[SiteId, Machine],
    phases_s: Mapping[SiteId, float],
    shares_s: Mapping[Way, float],
) -> tuple[dict[SiteId, SiteEstimate], float | None]:
    """All wait for the slowest machine, then in each exchange for the slowest line."""
    topology = agreement.topology
    longest_s = [
        max((shares_s.get(way, 0.0) for way in _ways_of_exchange(topology, exchange)), default=0.0)
        for exchange in _exchanges(topology)
    ]
    exchange_s = topology.exchanges_per_round * sum(longest_s) / len(longest_s)
    busy_s = max((phases_s[site] + machine.between_s for site, machine in machines.items()), default=0.0)
    round_s = busy_s + exchange_s
    sites = {site: SiteEstimate(phases_s[site], exchange_s, round_s, agreement.rounds) for site in sorted(machines)}
    return sites, agreement.rounds * round_s if machines else None


def _asynchronous(
    agreement: Agreement,
    machines: Mapping[SiteId, Machine],
    phases_s: Mapping[SiteId, float],
    shares_s: Mapping[Way, float],
) -> tuple[dict[SiteId, SiteEstimate], float | None]:
    """Each site goes on by itself after a short wait."""
    exchanges_s = {site: _answers_s(agreement.topology, site, shares_s) for site in machines}
    rounds_s = {
        site: phases_s[site] + machine.between_s + min(exchanges_s[site], MOST_IDLE * phases_s[site])
        for site, machine in machines.items()
    }
    pace = sum(1 / seconds for seconds in rounds_s.values() if seconds > 0)
    run_s = len(agreement.topology.sites) * agreement.rounds / pace if pace else None
    sites = {
        site: SiteEstimate(
            phases_s[site], exchanges_s[site], rounds_s[site], (run_s or 0.0) / rounds_s[site] if rounds_s[site] else 0
        )
        for site in sorted(machines)
    }
    return sites, run_s


def _answers_s(topology: Topology, site: SiteId, shares_s: Mapping[Way, float]) -> float:
    """How long it takes until a site has the answers to its swaps of a round; ways that are blocked are left out."""
    exchanges = _exchanges(topology)
    answered_s = [
        max(
            (
                shares_s[site, peer] + shares_s[peer, site]
                for peer in topology.receivers(site, exchange)
                if (site, peer) in shares_s and (peer, site) in shares_s
            ),
            default=0.0,
        )
        for exchange in exchanges
    ]
    return topology.exchanges_per_round * sum(answered_s) / len(exchanges)


def _exchanges(topology: Topology) -> range:
    return range(min(topology.period or MOST_EXCHANGES, MOST_EXCHANGES))


def _ways_of_exchange(topology: Topology, exchange: int) -> set[Way]:
    return {(site, peer) for site in topology.sites for peer in topology.receivers(site, exchange)}


def _ways(topology: Topology) -> set[Way]:
    """All that the schedule ever uses."""
    return {way for exchange in _exchanges(topology) for way in _ways_of_exchange(topology, exchange)}
