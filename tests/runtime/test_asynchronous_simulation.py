"""A whole federation without a common clock, on the virtual clock: hospitals as unlike as FeTS', lines that fail."""

import numpy as np
import pytest
import torch

from gossamer.gossip import Mass, SiteId, TrainerState, TrainResult, build_gossip
from gossamer.node.agreement import Agreement
from gossamer.node.kinds import make_node
from gossamer.runtime.faults import FaultPlan, Outage, random_power_cuts
from gossamer.runtime.network import Line, Network
from gossamer.runtime.simulation import Simulation

SITES = [SiteId(name) for name in "ABCD"]
ROUNDS = 40
SPEEDS = dict(zip(SITES, (1.8, 4.1, 9.2, 20.7), strict=True))
"""Seconds a step: FeTS' range, eleven-fold."""


class TowardsOwn:
    """Pulls towards a number of its own, with noise that its state carries on."""

    def __init__(self, own):
        self.own, self.walk, self.phases = own, torch.zeros(3), 0

    def fit(self, params, *, steps, round_index, teachers=()):
        self.phases += 1
        self.walk = 0.5 * self.walk + 0.1 * self.own
        made = {name: 0.9 * each + 0.1 * self.own + 0.01 * self.walk.mean() for name, each in params.items()}
        return TrainResult(made, steps, steps, float(abs(self.own - made["x"]).mean()))

    def state(self):
        return TrainerState({"walk": self.walk})

    def restore(self, state):
        self.walk = state.tensors["walk"]


def simulation(network=None, faults=None, *, seed=0, step_s=SPEEDS):
    algorithm, topology = build_gossip("pushsum", SITES, 1, asynchronous=True)
    agreement = Agreement("a" * 64, algorithm, topology, ROUNDS, resend_after_s=15.0, pace="asynchronous")
    nodes = [make_node(site, agreement, Mass(2.0 + k), {"x": torch.zeros(3)}) for k, site in enumerate(SITES)]
    trainers = {site: TowardsOwn(float(k)) for k, site in enumerate(SITES)}
    network = network or Network(Line(delay_s=0.5))
    return Simulation(nodes, trainers, local_steps=5, step_s=step_s, network=network, faults=faults, seed=seed)


def rough(seed):
    cuts = random_power_cuts(SITES, seed, count=6, events=40, longest_s=60.0)
    outages = (Outage(SITES[seed % 4], 100.0, 400.0),)
    return Network(Line(delay_s=1.0, jitter_s=20.0, loss=0.3, duplicates=0.3)), FaultPlan(outages, cuts)


def same_bits(one, other):
    return all(torch.equal(one[site]["x"], other[site]["x"]) for site in SITES)


def test_all_end_with_one_model_and_the_run_is_shorter_than_the_slowest_sites_rounds():
    rounds = []
    found = simulation()
    result = found.run(rounds.append)
    assert all(torch.equal(result.params["A"]["x"], result.params[site]["x"]) for site in SITES)
    assert result.virtual_s < 0.5 * ROUNDS * 5 * SPEEDS["D"]
    assert [each.round_index for each in rounds] == list(range(ROUNDS))
    assert all(set(each.params) == set(SITES) for each in rounds)


@pytest.mark.parametrize("seed", range(12), ids=lambda seed: f"seed-{seed}")
def test_whatever_goes_wrong_all_end_with_nearly_one_model(seed):
    network, faults = rough(seed)
    found = simulation(network, faults, seed=seed)
    result = found.run()
    assert set(result.params) == set(SITES)
    assert not any(result.refusals.values())
    ends = [float(model["x"].mean()) for model in result.params.values()]
    # The sites' own numbers are 0 to 3; a site that others lost would end near its own.
    assert max(ends) - min(ends) < 0.1
    assert 0.0 < min(ends) <= max(ends) < 3.0
    assert sum(site.life for site in found._sites.values()) > 4


def test_the_same_seed_gives_the_same_bits_and_a_checkpoint_goes_on_with_them():
    network, faults = rough(3)
    straight = simulation(network, faults, seed=3).run()
    assert same_bits(simulation(network, faults, seed=3).run().params, straight.params)
    broken = simulation(network, faults, seed=3)
    while broken.step():
        if np.random.default_rng(broken._agenda._noted).random() < 0.05:
            fresh = simulation(network, faults, seed=3)
            fresh.restore(bytearray(broken.checkpoint().to_bytes()))
            broken = fresh
    assert same_bits(broken.result().params, straight.params)
    assert broken.result().virtual_s == straight.virtual_s
