"""A federation whose faults follow from one seed."""

import zlib
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from gossamer.gossip import Mass, SiteId, TrainerState, TrainResult, build_gossip
from gossamer.node.agreement import Agreement
from gossamer.node.kinds import make_node
from gossamer.runtime import FaultPlan, Line, Network, Outage, Simulation, random_power_cuts

PAIRS = [
    ("sweep", "base"), ("sweep", "mesh"), ("rolling-sweep", "base"), ("pushsum", "exponential"),
    ("pushsum", "epidemic"), ("pushsum", "matching"), ("dpsgd", "ring"), ("fedavg", "star"),
]  # fmt: skip

ROUNDS = 3


class WalkingTrainer:
    """Noise that follows from the site, the round and the state that the disk kept."""

    def __init__(self, site):
        self.site, self.walk = site, torch.zeros(3)

    def fit(self, params, *, steps, round_index, teachers=()):
        seed = zlib.crc32(f"{self.site} {round_index} {self.walk.tolist()}".encode())
        self.walk = 0.5 * self.walk + torch.randn(3, generator=torch.Generator().manual_seed(seed))
        return TrainResult(
            {name: 0.9 * tensor + self.walk for name, tensor in params.items()}, steps, steps, float(self.walk[0])
        )

    def state(self):
        return TrainerState({"walk": self.walk})

    def restore(self, state):
        self.walk = state.tensors["walk"]


@dataclass(frozen=True)
class Campaign:
    """What one seed decides: who takes part, how they average, and all that goes wrong."""

    seed: int

    @property
    def count(self):
        return 3 + self.seed % 3

    @property
    def pair(self):
        return PAIRS[self.seed % len(PAIRS)]

    @property
    def sites(self):
        return [SiteId(name) for name in "ABCDE"[: self.count]]

    def clean(self):
        return self._simulation(Network(), FaultPlan())

    def faulty(self):
        chance = np.random.default_rng(self.seed)
        lines = {
            (a, b): Line(*(float(top * chance.random()) for top in (5.0, 40.0, 0.4, 0.4)))
            for a in self.sites
            for b in self.sites
        }
        begin_s = chance.uniform(0, 300, 3)
        outages = tuple(
            Outage(self.sites[chance.integers(self.count)], float(at_s), float(at_s + chance.uniform(1, 200)))
            for at_s in begin_s
        )
        cuts = random_power_cuts(self.sites, self.seed, count=2 * self.count, events=30, longest_s=100.0)
        uplinks = {site: float(chance.uniform(50, 5000)) for site in self.sites}
        return self._simulation(Network(lines=lines, upload_bytes_per_s=uplinks), FaultPlan(outages, cuts))

    def _simulation(self, network, faults):
        algorithm, topology = self.pair
        chosen, schedule = build_gossip(algorithm, self.sites, self.seed, topology=topology)
        agreement = Agreement(f"{self.seed:064x}", chosen, schedule, ROUNDS, resend_after_s=60.0)
        params = {"body": torch.zeros(2, 3), "head": torch.ones(4, 3)}
        nodes = [
            make_node(site, agreement, Mass(2.0 + k, {"head": (2.0 + k, 1.0, 0.0, float(k))}), params)
            for k, site in enumerate(self.sites)
        ]
        trainers = {site: WalkingTrainer(site) for site in self.sites}
        step_s = {site: 3.0 + 2.0 * k for k, site in enumerate(self.sites)}
        return Simulation(nodes, trainers, local_steps=4, step_s=step_s, network=network, faults=faults, seed=self.seed)


@pytest.fixture(scope="session")
def campaign():
    return Campaign
