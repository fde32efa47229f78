"""The example runs, and its algorithm is the one of the paper."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from gossamer import GossipAlgorithm, Mass, SiteId, build_gossip
from gossamer.errors import ScheduleError

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "own_algorithm.py"), run_name="own_algorithm")
SITES = [SiteId(name) for name in "ABCD"]


def plain_averaging():
    return build_gossip("dpsgd", SITES, seed=0, topology="ring")


def one_round(algorithm, topology, states, exchange, steps):
    """Train each site by a given step, then exchange along the ring."""
    for site, step in zip(SITES, steps, strict=True):
        trained = {"body": algorithm.estimate(states[site])["body"] + torch.from_numpy(step)}
        states[site] = algorithm.replace(states[site], trained)
    mixing = {site: topology.mixing(site, exchange) for site in SITES}
    composed = {site: algorithm.compose(states[site], mixing[site], site) for site in SITES}
    return {
        me: algorithm.end_round(
            algorithm.absorb(
                composed[me][0],
                {other: composed[other][1][me] for other in topology.senders(me, exchange)},
                mixing[me],
                me,
            )
        )
        for me in SITES
    }


def rounds_of(algorithm, topology, start, steps_by_round):
    states = {site: algorithm.init({"body": torch.from_numpy(start)}, Mass(3.0)) for site in SITES}
    for index, steps in enumerate(steps_by_round):
        states = one_round(algorithm, topology, states, index, steps)
    return np.stack([algorithm.estimate(states[site])["body"].numpy() for site in SITES])


def test_four_rounds_are_those_of_the_paper():
    """Algorithm 1 of arXiv 2102.04761 in four lines of linear algebra, a row a site, the learning rate folded in."""
    rng = np.random.default_rng(0)
    start, steps = rng.normal(size=5), rng.normal(size=(4, 4, 5))
    base, ring = plain_averaging()
    found = rounds_of(EXAMPLE["QuasiGlobalMomentum"](base, beta=0.7), ring, start, steps)

    third = 1 / 3
    mixing = np.array([[1, 1, 0, 1], [1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 1, 1]]) * third  # each and its two neighbours
    x, drift = np.tile(start, (4, 1)), np.zeros((4, 5))
    for step in steps:
        after = mixing @ (x + step + 0.7 * drift)
        drift = 0.7 * drift + 0.3 * (after - x)
        x = after
    np.testing.assert_allclose(found, x, rtol=1e-10)


def test_without_momentum_it_is_the_other_algorithm_to_the_bit():
    rng = np.random.default_rng(1)
    start, steps = rng.normal(size=5), rng.normal(size=(3, 4, 5))
    base, ring = plain_averaging()
    own = EXAMPLE["QuasiGlobalMomentum"](base, beta=0.0)
    assert np.array_equal(rounds_of(own, ring, start, steps), rounds_of(base, ring, start, steps))


def test_momentum_never_leaves_the_site():
    base, ring = plain_averaging()
    own = EXAMPLE["QuasiGlobalMomentum"](base)
    state = own.replace(own.init({"body": torch.zeros(2)}, Mass(1.0)), {"body": torch.ones(2)})
    _, shares = own.compose(state, ring.mixing(SITES[0], 0), SITES[0])
    assert {tuple(share.params) for share in shares.values()} == {("body",)}


def test_states_and_tensors_are_not_changed_in_place():
    base, ring = plain_averaging()
    own = EXAMPLE["QuasiGlobalMomentum"](base)
    begun = {site: own.init({"body": torch.zeros(5)}, Mass(1.0)) for site in SITES}
    once = one_round(own, ring, dict(begun), 0, np.ones((4, 5), dtype=np.float32))
    kept = {site: {name: tensor.clone() for name, tensor in once[site].extra.items()} for site in SITES}
    one_round(own, ring, dict(once), 1, np.ones((4, 5), dtype=np.float32))
    assert all(torch.equal(begun[site].params["body"], torch.zeros(5)) for site in SITES)
    assert all(torch.equal(once[site].extra[name], kept[site][name]) for site in SITES for name in kept[site])


def test_topology_that_the_other_algorithm_refuses_is_refused():
    base, _ = plain_averaging()
    with pytest.raises(ScheduleError, match="doubly stochastic"):
        build_gossip(EXAMPLE["QuasiGlobalMomentum"](base), SITES, 0, topology="epidemic")


def test_own_algorithm_stands_in_the_closing_table_beside_the_built_in_ones(tmp_path, capsys):
    results = EXAMPLE["run"](tmp_path, quick=True)
    printed = capsys.readouterr().out
    assert issubclass(EXAMPLE["QuasiGlobalMomentum"], GossipAlgorithm)
    assert {run.arm for run in results.runs} == {"local-only", "pooled", "dpsgd", "momentum"}
    assert all(arm in printed for arm in ("local-only", "pooled", "dpsgd", "momentum"))
    runs = {run.arm: run for run in results.runs}
    own = runs["momentum"]
    scored = [organ.dsc for site in own.sites for organ in site.organs if organ.patients]
    assert scored
    assert all(0 <= dsc <= 1 for dsc in scored)
    assert own.rounds == 4
    assert own.bytes_sent == runs["dpsgd"].bytes_sent, "the paper's momentum costs no bytes"
