"""The mass of push-sum: nothing of it is lost or made, whatever the lines lose and whoever is killed.

Notation: w_i the mass of site i, x_i its estimate. Counted are the sites' own, the shares on their way and those that
wait to be absorbed. Each site's first local phase sets its estimate to a number of its own and later ones change
nothing, so the weighted mean of the estimates is known: sum_i m_i v_i / sum_i m_i, with m_i the training cases.

The control is push-sum without a ledger (Kempe, Dobra & Gehrke, FOCS 2003, protocol Push-Sum) on the same lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import fsum
from pathlib import Path

import numpy as np
import torch

from faults.campaign import Campaign, Result
from gossamer.gossip import Mass, Share, SiteId, TrainerState, TrainResult, build_gossip
from gossamer.gossip.algorithm import Params
from gossamer.gossip.choices import Pace
from gossamer.node.agreement import Agreement
from gossamer.node.kinds import make_node
from gossamer.node.snapshot import Snapshot
from gossamer.runtime.faults import FaultPlan, random_power_cuts
from gossamer.runtime.network import Line, Network
from gossamer.runtime.simulation import Simulation

SITES = tuple(SiteId(name) for name in "ABCDE")
MASSES = (2.0, 3.0, 5.0, 7.0, 11.0)
VALUES = (0.0, 1.0, 3.0, -2.0, 5.0)
ROUNDS = 20
TOPOLOGIES = ("exponential", "epidemic", "matching")
LOSS, DUPLICATES = 0.3, 0.3

TOLERANCE = 1e-9
"""Relative; masses and estimates are float64, so rounding alone is a million times smaller."""

LEAST_BIAS = 1e-3
"""Of the control: less would say that these lines test nothing."""


class SetOnce:
    """A local phase that sets the estimate, and then none that changes it."""

    def __init__(self, value: float) -> None:
        self._value = value

    def fit(self, params: Params, *, steps: int, round_index: int, teachers: Sequence[Params] = ()) -> TrainResult:
        """See ``Trainer``."""
        made = {name: torch.full_like(each, self._value) for name, each in params.items()}
        return TrainResult(made if round_index == 0 else params, steps, steps, 0.0)

    def state(self) -> TrainerState:
        """See ``Trainer``."""
        return TrainerState()

    def restore(self, state: TrainerState) -> None:
        """See ``Trainer``."""


def mass(size: int, seed: int, folder: Path) -> Result:
    """``size`` federations at each pace, and as many controls."""
    torch.set_num_threads(1)
    counts, biases = Counter[str](), []
    worst = most_between = estimates = 0.0
    for number in range(size):
        own_seed = size * seed + number
        for pace in ("lockstep", "asynchronous"):
            found = _simulation(own_seed, pace)
            while found.step():
                snapshots = _snapshots(found)
                if any(each.phase in ("lingering", "finished") for each in snapshots.values()):
                    break  # asynchronously, halves on their way at the end are dropped: all hold nearly the same
                at_sites = fsum(each.state.mass.body for each in snapshots.values())
                between = fsum(share.mass.body for share in _between(snapshots))
                worst = max(worst, abs((at_sites + between) / fsum(MASSES) - 1.0))
                most_between = max(most_between, between / fsum(MASSES))
                counts["looks"] += 1
            counts["kills"] += sum(site.life - 1 for site in found._sites.values())
            if pace == "lockstep":
                while found.step():
                    pass
                estimates = max(estimates, abs(_weighted_mean(found) - _true_mean()))
        biases.append(abs(_control(own_seed) - _true_mean()))
    bias = float(np.median(biases))
    figure = f"{size} federations at each pace, {counts['looks']:,} looks, {counts['kills']} kills, up to "
    figure += f"{most_between:.0%} of the mass on its way: error of the mass at most {worst:.0e}, of the mean "
    figure += f"{estimates:.0e}; without the ledger the mean is off by {bias:.2f} at values of -2 to 5"
    holds = max(worst, estimates) <= TOLERANCE and bias > LEAST_BIAS and counts["kills"] > 0
    numbers = {"mass error": worst, "mean error": estimates, "median bias without ledger": bias}
    return Result(figure, holds, {**counts, **numbers})


def _true_mean() -> float:
    return float(np.dot(MASSES, VALUES) / fsum(MASSES))


def _simulation(seed: int, pace: Pace) -> Simulation:
    topology = None if pace == "asynchronous" else TOPOLOGIES[seed % len(TOPOLOGIES)]
    algorithm, schedule = build_gossip("pushsum", SITES, seed, topology=topology, asynchronous=pace == "asynchronous")
    agreement = Agreement("a" * 64, algorithm, schedule, ROUNDS, resend_after_s=15.0, pace=pace)
    params = {"x": torch.zeros(3, dtype=torch.float64)}
    nodes = [make_node(site, agreement, Mass(own), params) for site, own in zip(SITES, MASSES, strict=True)]
    trainers = {site: SetOnce(value) for site, value in zip(SITES, VALUES, strict=True)}
    network = Network(Line(delay_s=1.0, jitter_s=20.0, loss=LOSS, duplicates=DUPLICATES))
    cuts = random_power_cuts(SITES, seed, count=10, events=60, longest_s=60.0)
    step_s = dict(zip(SITES, (2.0, 3.0, 4.0, 8.0, 16.0), strict=True))
    faults = FaultPlan(power_cuts=cuts)
    return Simulation(nodes, trainers, local_steps=5, step_s=step_s, network=network, faults=faults, seed=seed)


def _snapshots(simulation: Simulation) -> dict[SiteId, Snapshot]:
    """What each site has; without power, what its disk has."""
    return {name: site.node.snapshot() if site.node else site.disk.snapshot for name, site in simulation._sites.items()}


def _between(snapshots: dict[SiteId, Snapshot]) -> Iterator[Share]:
    """Shares that are neither their sender's any more nor absorbed."""
    for name, snapshot in snapshots.items():
        for shares in snapshot.inbox.values():
            yield from shares.values()
        for outgoing in snapshot.outstanding:
            if not _has_come(snapshots[outgoing.receiver], name, outgoing.exchange):
                yield outgoing.share


def _has_come(receiver: Snapshot, sender: SiteId, exchange: int) -> bool:
    if receiver.afoot is not None:
        return exchange <= receiver.afoot.taken.get(sender, -1)
    return receiver.exchange > exchange or sender in receiver.inbox.get(exchange, {})


def _weighted_mean(simulation: Simulation) -> float:
    """Over all sites, at the end."""
    states = [each.state for each in _snapshots(simulation).values()]
    weighted = [state.mass.body * float(state.params["x"].mean()) for state in states]
    return fsum(weighted) / fsum(state.mass.body for state in states)


def _control(seed: int) -> float:
    """Push-sum as it is, where what is lost is lost and what comes twice counts twice."""
    chance = np.random.default_rng(seed)
    schedule = build_gossip("pushsum", SITES, seed, topology=TOPOLOGIES[seed % len(TOPOLOGIES)])[1]
    weight = dict(zip(SITES, MASSES, strict=True))
    total = {site: own * value for (site, own), value in zip(weight.items(), VALUES, strict=True)}
    for exchange in range(ROUNDS * schedule.exchanges_per_round):
        new_weight, new_total = dict.fromkeys(SITES, 0.0), dict.fromkeys(SITES, 0.0)
        for site in SITES:
            for peer, part in schedule.mixing(site, exchange).items():
                copies = 1 if peer == site else 0 if chance.random() < LOSS else 1 + (chance.random() < DUPLICATES)
                new_weight[peer] += copies * part * weight[site]
                new_total[peer] += copies * part * total[site]
        weight, total = new_weight, new_total
    return fsum(total.values()) / fsum(weight.values())


CAMPAIGNS = (
    Campaign(
        name="mass",
        promise="push-sum mass",
        what=f"five sites at either pace on lines that lose {LOSS:.0%}, repeat {DUPLICATES:.0%} and disorder, ten "
        "power cuts each. After every event the masses of sites, disks and shares on their way are summed up. Control: "
        "push-sum without the ledger on lines like these",
        run=mass,
        small=6,
        full=200,
    ),
)
