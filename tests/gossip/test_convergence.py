"""Where algorithms end up: with a mean or without, at the weighted optimum or beside it."""

from math import cos, pi

import pytest
import torch

from gossamer.gossip import (
    Mass,
    Topology,
    build_algorithm,
    build_gossip,
    build_topology,
    consensus_distance,
    is_doubly_stochastic,
    spectral_gap,
    weighted_mean,
)

CASES = (70.0, 20.0, 40.0, 5.0, 15.0)
"""Five hospitals; unequal, so that weighted and unweighted answers differ."""


ARROWS = {0: (1, 2), 1: (2,), 2: (3,), 3: (4,), 4: (0,)}


class OneWay(Topology):
    """0 -> 1 -> 2 -> 3 -> 4 -> 0 and 0 -> 2: directed, strongly connected, and not balanced."""

    name = "one-way"

    def mixing(self, site, exchange):
        here = self.position(site)
        there = (here, *ARROWS[here])
        return self.by_name(dict.fromkeys(there, 1 / len(there)))


@pytest.fixture(scope="session")
def one_way(sites_named):
    return OneWay(sites_named(5), period=1, exchanges_per_round=1, final_exchanges=1)


def numbers(*values):
    return [{"x": torch.tensor([value, -value])} for value in values]


def stay(_, params):
    return params


def distance(params, expected):
    return float((params["x"] - expected["x"]).norm() / expected["x"].norm())


def test_one_way_loses_no_mass_but_is_not_balanced(one_way):
    assert one_way.matrix(0).sum(axis=0) == pytest.approx([1] * 5)
    assert not is_doubly_stochastic(one_way)
    assert 0 < spectral_gap(one_way) < 1


@pytest.mark.parametrize("schedule", ["one-way", "epidemic"])
def test_push_sum_finds_the_mean_where_plain_averaging_drifts(schedule, lockstep, one_way, sites_named):
    topology = one_way if schedule == "one-way" else build_topology("epidemic", sites_named(5), 3, fanout=1)
    params, equal_masses = numbers(1.0, 2.0, 3.0, 4.0, 10.0), [Mass(1.0)] * 5
    mean = weighted_mean(params, equal_masses)  # 4 and -4
    push_sum = lockstep(build_algorithm("pushsum"), topology, params, equal_masses)
    push_sum.run(stay, 120)
    assert consensus_distance(push_sum.estimates) < 1e-5
    assert max(distance(each, mean) for each in push_sum.estimates) < 1e-5
    plain = lockstep(build_algorithm("dpsgd"), topology, params, equal_masses)
    plain.run(stay, 120)
    assert consensus_distance(plain.estimates) < 1e-5  # they agree,
    assert (
        min(distance(each, mean) for each in plain.estimates) > 0.01
    )  # but, a thousand times further off, on something else


def test_push_sum_weighs_by_cases_on_a_directed_graph(lockstep, one_way):
    params, masses = numbers(1.0, 2.0, 3.0, 4.0, 10.0), [Mass(cases) for cases in CASES]
    run = lockstep(build_algorithm("pushsum"), one_way, params, masses)
    run.run(stay, 120)
    # (70*1 + 20*2 + 40*3 + 5*4 + 15*10) / 150 = 400 / 150
    assert run.estimates[0]["x"].tolist() == pytest.approx([8 / 3, -8 / 3], rel=1e-5)


def test_dpsgd_on_a_ring_contracts_by_its_spectral_gap(lockstep, sites_named):
    # The slowest wave around a ring of eight is cos(2 pi i / 8); each exchange leaves 1/3 + 2/3 cos(2 pi / 8) of it.
    algorithm, ring = build_gossip("dpsgd", sites_named(8), 0)
    wave = [{"x": torch.tensor([1 + cos(2 * pi * site / 8)], dtype=torch.float64)} for site in range(8)]
    run = lockstep(algorithm, ring, wave, [Mass(1.0)] * 8)
    left = 1 / 3 + 2 / 3 * cos(pi / 4)
    assert 1 - spectral_gap(ring) == pytest.approx(left)
    before = consensus_distance(run.estimates)
    for exchanges in range(1, 6):
        run.exchange()
        assert consensus_distance(run.estimates) == pytest.approx(before * left**exchanges, rel=1e-9)


def test_no_start_contracts_slower_on_a_ring_than_its_spectral_gap(lockstep, sites_named, params_of):
    algorithm, ring = build_gossip("dpsgd", sites_named(8), 0)
    run = lockstep(algorithm, ring, [params_of(site) for site in range(8)], [Mass(1.0)] * 8)
    before = consensus_distance(run.estimates)
    run.exchange(times=10)
    assert consensus_distance(run.estimates) <= before * (1 - spectral_gap(ring)) ** 10 * (1 + 1e-6)


def curvature(site):
    """A well-conditioned Hessian, different at every site."""
    generator = torch.Generator().manual_seed(site)
    root = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    return torch.eye(3, dtype=torch.float64) + 0.2 * root @ root.T


def centre(site):
    return torch.randn(3, generator=torch.Generator().manual_seed(50 + site), dtype=torch.float64)


def optimum(weights):
    """Of sum_i weights_i (x - c_i)' H_i (x - c_i) / 2, from its normal equations."""
    hessian = sum(weight * curvature(site) for site, weight in enumerate(weights))
    return torch.linalg.solve(
        hessian, sum(weight * curvature(site) @ centre(site) for site, weight in enumerate(weights))
    )


def descend(rate):
    def step(site, params):
        return {"x": params["x"] - rate * curvature(site) @ (params["x"] - centre(site))}

    return step


@pytest.mark.parametrize("algorithm", ["sweep", "fedavg"])
def test_exact_averaging_reaches_the_weighted_optimum(algorithm, lockstep, sites_named):
    chosen, topology = build_gossip(algorithm, sites_named(5), 0)
    start = [{"x": torch.zeros(3, dtype=torch.float64)}] * 5
    run = lockstep(chosen, topology, start, [Mass(cases) for cases in CASES])
    run.run(descend(0.2), 150)
    weighted, unweighted = optimum(CASES), optimum((1.0,) * 5)
    assert all(torch.allclose(each["x"], weighted, atol=1e-9) for each in run.estimates)
    assert not torch.allclose(weighted, unweighted, atol=0.05)  # or the test could not tell them apart


@pytest.mark.parametrize(("algorithm", "topology"), [("rolling-sweep", "base"), ("pushsum", "exponential")])
def test_sparser_averaging_comes_near_the_weighted_optimum_as_steps_shrink(algorithm, topology, lockstep, sites_named):
    chosen, schedule = build_gossip(algorithm, sites_named(5), 0, topology=topology)
    start = [{"x": torch.zeros(3, dtype=torch.float64)}] * 5
    run = lockstep(chosen, schedule, start, [Mass(cases) for cases in CASES])
    errors = []
    for rate in (0.08, 0.02, 0.005):
        for _ in range(int(6 / rate)):
            run.train(descend(rate))
            run.exchange()
            run.end_round()
        mean = weighted_mean(run.estimates, run.masses)["x"]
        errors.append(float((mean - optimum(CASES)).norm()))
    # The error is proportional to the rate, so that a quarter of the rate leaves a quarter of it.
    assert errors[1:] == [pytest.approx(error / 4, rel=0.25) for error in errors[:-1]]
    assert errors[-1] < 0.1 * float((optimum((1.0,) * 5) - optimum(CASES)).norm())


def test_plain_averaging_reaches_the_unweighted_optimum(lockstep, sites_named):
    chosen, topology = build_gossip("dpsgd", sites_named(5), 0, topology="mesh")
    run = lockstep(chosen, topology, [{"x": torch.zeros(3, dtype=torch.float64)}] * 5, [Mass(c) for c in CASES])
    run.run(descend(0.2), 150)
    assert all(torch.allclose(each["x"], optimum((1.0,) * 5), atol=1e-9) for each in run.estimates)
