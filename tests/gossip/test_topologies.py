from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.errors import ScheduleError
from gossamer.gossip import (
    TOPOLOGIES,
    averages_exactly,
    build_topology,
    is_doubly_stochastic,
)
from gossamer.gossip.alone import Alone

LAW = settings(max_examples=40, deadline=None)

DOUBLY_STOCHASTIC = {
    "hypercube": True,
    "base": True,
    "mesh": True,
    "ring": True,
    "exponential": True,
    "static-exponential": True,
    "rotation": True,
    "matching": True,
    "star": False,
    "epidemic": False,
}

BASE_2_GRAPH = {3: (3, 6), 4: (2, 8), 5: (5, 20), 6: (4, 18), 7: (5, 30), 8: (3, 24), 9: (7, 56), 10: (6, 50)}
"""Exchanges and transfers until the exact mean, as published for pairs (arXiv 2305.11420)."""


def transfers(topology, exchanges):
    return sum(len(topology.receivers(site, t)) for site in topology.sites for t in range(exchanges))


def test_every_topology_is_listed_here():
    assert TOPOLOGIES.keys() == DOUBLY_STOCHASTIC.keys()


@pytest.mark.parametrize("name", TOPOLOGIES)
@LAW
@given(data=st.data())
def test_no_mass_is_lost_whoever_sends_and_whenever(name, data, sites_named):
    count = 2 ** data.draw(st.integers(0, 4)) if name == "hypercube" else data.draw(st.integers(1, 17))
    topology = build_topology(name, sites_named(count), data.draw(st.integers(0, 99)))
    matrix = topology.matrix(data.draw(st.integers(0, 10_000)))
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=0), 1, atol=1e-12)
    if DOUBLY_STOCHASTIC[name]:
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_whether_rows_sum_to_one_is_found_out(name, sites_named):
    assert is_doubly_stochastic(build_topology(name, sites_named(8), 3)) == DOUBLY_STOCHASTIC[name]


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_senders_and_receivers_name_each_other(name, sites_named):
    topology = build_topology(name, sites_named(8), 5)
    for t in range(6):
        pairs = {(sender, receiver) for sender in topology.sites for receiver in topology.receivers(sender, t)}
        assert pairs == {(sender, receiver) for receiver in topology.sites for sender in topology.senders(receiver, t)}
        assert all(sender != receiver for sender, receiver in pairs)
        assert len(pairs) == np.count_nonzero(topology.matrix(t) * (1 - np.eye(8)))


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_order_in_which_sites_are_named_does_not_matter(name, sites_named):
    names = sites_named(8)
    forward, backward = build_topology(name, names, 5), build_topology(name, names[::-1], 5)
    assert forward.sites == backward.sites == tuple(names)
    assert all((forward.matrix(t) == backward.matrix(t)).all() for t in range(4))


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_schedule_repeats_after_its_period(name, sites_named):
    topology = build_topology(name, sites_named(8), 5)
    if topology.period:
        for t in range(topology.period):
            assert (topology.matrix(t) == topology.matrix(t + topology.period)).all()
    else:
        assert len({topology.matrix(t).tobytes() for t in range(10)}) > 5


@pytest.mark.parametrize(("count", "published"), BASE_2_GRAPH.items())
def test_base_2_graph_needs_what_the_paper_says(count, published, sites_named):
    topology = build_topology("base", sites_named(count), 0)
    assert (topology.period, transfers(topology, topology.period)) == published


@pytest.mark.parametrize("peers", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [*range(1, 34), 100])
def test_base_graph_averages_exactly_any_number_of_sites(count, peers, sites_named):
    topology = build_topology("base", sites_named(count), 0, peers=peers)
    assert averages_exactly(topology, 0, topology.period)
    assert is_doubly_stochastic(topology)
    busiest = max(len(topology.receivers(site, t)) for site in topology.sites for t in range(topology.period))
    assert busiest <= peers


@pytest.mark.parametrize(
    ("count", "peers", "longest"), [(n, k, 2 * np.log(n) / np.log(k + 1) + 2) for n in range(2, 60) for k in (1, 2, 3)]
)
def test_base_graph_is_no_longer_than_the_papers_bound(count, peers, longest, sites_named):
    # Theorem 1 of arXiv 2305.11420.
    assert build_topology("base", sites_named(count), 0, peers=peers).period <= longest


@pytest.mark.parametrize(("dimensions", "expected"), [(1, 2), (2, 8), (3, 24), (4, 64)])
def test_hypercube_needs_one_message_a_site_and_dimension(dimensions, expected, sites_named):
    topology = build_topology("hypercube", sites_named(2**dimensions), 0)
    assert topology.period == topology.exchanges_per_round == topology.final_exchanges == dimensions
    assert transfers(topology, dimensions) == expected
    assert all(averages_exactly(topology, start, dimensions) for start in range(dimensions))
    assert not averages_exactly(topology, 0, dimensions - 1)


def test_base_graph_that_rolls_ends_exactly_wherever_it_begins(sites_named):
    topology = build_topology("base", sites_named(5), 0, exchanges_per_round=1)
    assert topology.final_exchanges == 9  # 2 * 5 - 1
    assert all(averages_exactly(topology, start, 9) for start in range(5))
    assert not all(averages_exactly(topology, start, 5) for start in range(5))


@pytest.mark.parametrize(("count", "exact"), [(2, True), (4, True), (8, True), (3, False), (6, False)])
def test_one_peer_exponential_averages_exactly_only_powers_of_two(count, exact, sites_named):
    topology = build_topology("exponential", sites_named(count), 0)
    assert averages_exactly(topology, 0, topology.period) == exact
    assert all(len(topology.receivers(site, t)) == 1 for site in topology.sites for t in range(5))


def test_star_gathers_then_hands_out(sites_named):
    topology = build_topology("star", sites_named(3), 0)
    hub, first, second = topology.sites
    assert topology.mixing(first, 0) == {hub: 1.0}
    assert topology.mixing(hub, 0) == {hub: 1.0}
    assert topology.mixing(hub, 1) == {hub: 1 / 3, first: 1 / 3, second: 1 / 3}
    assert topology.mixing(second, 1) == {second: 1.0}
    assert averages_exactly(topology, 0, 2)
    assert transfers(topology, 2) == 4


def test_any_site_can_be_the_hub(sites_named):
    names = sites_named(4)
    assert build_topology("star", names, 0, hub=names[2]).receivers(names[0], 0) == (names[2],)
    with pytest.raises(ScheduleError, match="elsewhere"):
        build_topology("star", names, 0, hub="elsewhere")


def test_matching_pairs_all_but_the_odd_one(sites_named):
    topology = build_topology("matching", sites_named(7), 1)
    for t in range(20):
        matrix = topology.matrix(t)
        assert (matrix == matrix.T).all()
        assert sorted(np.diag(matrix)) == [0.5] * 6 + [1.0]


def test_draws_follow_from_seed_and_exchange_alone(sites_named):
    names = sites_named(6)
    one, same, other = (build_topology("epidemic", names, seed) for seed in (1, 1, 2))
    late = one.matrix(7)
    assert (late == same.matrix(7)).all()
    assert any((one.matrix(t) != other.matrix(t)).any() for t in range(5))
    np.random.seed(0)  # noqa: NPY002  # global state must not matter
    assert (late == build_topology("epidemic", names, 1).matrix(7)).all()


def test_a_matching_is_the_same_at_every_installation(sites_named):
    # The published rule, computed again: order by SHA-256 of "matching/seed/exchange/index", then pair neighbours.
    def digest(index):
        return sha256(f"matching/11/4/{index}".encode()).hexdigest()

    a, b, c, d = sorted(range(4), key=digest)
    topology = build_topology("matching", sites_named(4), 11)
    assert topology.receivers(topology.sites[a], 4) == (topology.sites[b],)
    assert topology.receivers(topology.sites[c], 4) == (topology.sites[d],)


@pytest.mark.parametrize(("count", "fanout", "expected"), [(8, None, 3), (16, None, 4), (8, 2, 2), (3, 5, 2)])
def test_epidemic_sends_to_so_many_others(count, fanout, expected, sites_named):
    settings = {} if fanout is None else {"fanout": fanout}
    topology = build_topology("epidemic", sites_named(count), 0, **settings)
    assert {len(topology.receivers(site, t)) for site in topology.sites for t in range(9)} == {expected}


@pytest.mark.parametrize(
    ("name", "count", "settings", "remedy"),
    [
        ("hypercube", 6, {}, "'base'"),
        ("base", 5, {"peers": 0}, "peers >= 1"),
        ("epidemic", 5, {"fanout": 0}, "leave it out to get 3"),
        ("ring", 4, {"exchanges_per_round": 0}, "leave both out"),
        ("ring", 4, {"exchanges_per_round": 3, "final_exchanges": 2}, "leave both out"),
        ("ring", 0, {}, "at least one site"),
        ("hypercube", 0, {}, "at least one site"),
        ("epidemic", 0, {}, "at least one site"),
        ("base", 0, {}, "at least one site"),
        ("mesh", 4, {"fanout": 2}, "exchanges_per_round"),
        ("rign", 4, {}, "did you mean 'ring'"),
    ],
)
def test_impossible_schedule_is_refused_with_a_remedy(name, count, settings, remedy, sites_named):
    with pytest.raises(ScheduleError, match=remedy):
        build_topology(name, sites_named(count), 0, **settings)


def test_site_named_twice_is_refused(sites_named):
    with pytest.raises(ScheduleError, match="name of its own"):
        build_topology("ring", [*sites_named(3), *sites_named(1)], 0)


def test_stranger_is_refused(sites_named):
    with pytest.raises(ScheduleError, match="site-009"):
        build_topology("ring", sites_named(3), 0).mixing(sites_named(10)[9], 0)


def test_sites_that_train_alone_send_nothing(sites_named):
    topology = Alone(sites_named(3))
    assert (topology.matrix(5) == np.eye(3)).all()
    assert all(topology.receivers(site, 0) == topology.senders(site, 0) == () for site in topology.sites)
