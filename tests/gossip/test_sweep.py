"""Sweep, rolling sweep and FedAvg end at the mean weighted by cases."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.errors import ScheduleError
from gossamer.gossip import Mass, build_gossip, build_topology, weighted_mean
from gossamer.gossip.sweep import Sweep

LAW = settings(max_examples=60, deadline=None)


@st.composite
def hospitals(draw):
    """By site its cases, and those annotated for each of three structures; some structures at no site."""
    count = draw(st.integers(2, 10))
    drawn_somewhere = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    rows = [tuple(draw(st.integers(0, 80)) if anywhere else 0 for anywhere in drawn_somewhere) for _ in range(count)]
    return draw(st.lists(st.integers(1, 500), min_size=count, max_size=count)), rows


def largest_deviation(params, expected, inputs, rows=slice(None)):
    """Relative to the largest input, since a mean may cancel out to nearly nothing."""
    deviations = []
    for name, tensor in expected.items():
        size = max(float(each[name].abs().max()) for each in inputs)
        difference = (params[name] - tensor)[rows if name.startswith("head") else ...]
        deviations.append(float(difference.abs().max()) / size if difference.numel() else 0.0)
    return max(deviations)


def drawn_anywhere(rows):
    return torch.tensor([any(row) for row in zip(*rows, strict=True)])


@pytest.fixture(scope="session")
def begin(lockstep, sites_named, params_of, mass_of_cases):
    def begin(algorithm, body, rows, **settings):
        chosen, topology = build_gossip(algorithm, sites_named(len(body)), 0, **settings)
        masses = [mass_of_cases(*mass) for mass in zip(body, rows, strict=True)]
        return lockstep(chosen, topology, [params_of(site) for site in range(len(body))], masses), masses

    return begin


@pytest.mark.parametrize(
    ("algorithm", "topology"),
    [
        ("sweep", None),
        ("sweep", "base"),
        ("sweep", "mesh"),
        ("sweep", "star"),
        ("rolling-sweep", None),
        ("fedavg", None),
    ],
)
@LAW
@given(sites=hospitals())
def test_every_site_ends_at_fedavgs_exact_mean(algorithm, topology, sites, begin):
    body, rows = sites
    run, masses = begin(algorithm, body, rows, topology=topology)
    before = run.estimates
    expected = weighted_mean(before, masses)
    run.exchange(times=run.topology.final_exchanges)
    seen = drawn_anywhere(rows)
    for own, estimate in zip(before, run.estimates, strict=True):
        assert largest_deviation(estimate, expected, before, seen) <= 1e-6
        assert torch.equal(estimate["head.weight"][~seen], own["head.weight"][~seen])


@pytest.mark.parametrize("count", range(11, 17))
def test_mean_is_as_exact_for_up_to_sixteen_sites(count, begin):
    body, rows = [7 + 11 * site for site in range(count)], [(site, 0, 1 + site % 3) for site in range(count)]
    run, masses = begin("sweep", body, rows)
    before = run.estimates
    expected = weighted_mean(before, masses)
    run.exchange(times=run.topology.exchanges_per_round)
    seen = drawn_anywhere(rows)
    assert max(largest_deviation(estimate, expected, before, seen) for estimate in run.estimates) <= 1e-6


def test_four_sites_by_hand(lockstep, sites_named):
    # Cases 1, 2, 3, 4 and values 10, 20, 30, 40: (10 + 40 + 90 + 160) / 10 = 30.
    # Annotated for the structure at sites 0 and 3 alone, 1 and 3 cases: (10 + 120) / 4 = 32.5.
    algorithm, topology = build_gossip("sweep", sites_named(4), 0)
    params = [{"body": torch.tensor([value]), "head": torch.tensor([value])} for value in (10.0, 20.0, 30.0, 40.0)]
    masses = [Mass(float(m), {"head": (float(row),)}) for m, row in zip((1, 2, 3, 4), (1, 0, 0, 3), strict=True)]
    run = lockstep(algorithm, topology, params, masses)
    run.exchange(times=2)
    for estimate, mass in zip(run.estimates, run.masses, strict=True):
        assert estimate["body"].item() == pytest.approx(30.0, rel=1e-7)
        assert estimate["head"].item() == pytest.approx(32.5, rel=1e-7)
        assert (mass.body, mass.rows["head"]) == (2.5, (1.0,))
    run.end_round()
    assert run.masses == masses


def test_after_a_hypercube_all_sites_hold_the_same_bits(begin):
    run, _ = begin("sweep", [3, 14, 15, 92, 65, 35, 89, 79], [(3, 0, 2), (0, 1, 1)] * 4)
    run.exchange(times=3)
    first, *others = run.estimates
    assert all(torch.equal(other[name], tensor) for other in others for name, tensor in first.items())


def test_star_is_the_weighted_mean_at_the_hub_and_then_everywhere(begin):
    run, masses = begin("fedavg", [100, 20, 3], [(5, 0, 0), (0, 2, 0), (1, 1, 0)])
    before = run.estimates
    expected = weighted_mean(before, masses)
    run.exchange()
    hub, *leaves = run.estimates
    assert largest_deviation(hub, expected, before, torch.tensor([True, True, False])) <= 1e-6
    assert [mass.body for mass in run.masses] == [123.0, 0.0, 0.0]
    assert all(leaf[name] is own[name] for leaf, own in zip(leaves, before[1:], strict=True) for name in own)
    run.exchange()
    assert all(torch.equal(estimate["body"], hub["body"]) for estimate in run.estimates)
    assert [mass.body for mass in run.masses] == pytest.approx([41.0] * 3)


@st.composite
def rolling_runs(draw):
    return *draw(hospitals()), draw(st.integers(1, 6)), draw(st.integers(0, 1000))


@pytest.mark.parametrize(("algorithm", "settings"), [("rolling-sweep", {}), ("sweep", {}), ("fedavg", {})])
@LAW
@given(sites=rolling_runs())
def test_local_phases_move_the_mean_by_the_mean_of_their_moves(algorithm, settings, sites, begin, params_of):
    body, rows, rounds, seed = sites
    run, masses = begin(algorithm, body, rows, **settings)
    moves = [[params_of(1000 * (seed + 1) + 100 * r + site) for site in range(len(body))] for r in range(rounds)]
    before = run.estimates
    expected = {name: tensor.double() for name, tensor in weighted_mean(before, masses).items()}
    for move in moves:
        mean_move = weighted_mean(move, masses)
        expected = {name: tensor + 0.1 * mean_move[name] for name, tensor in expected.items()}
    left = iter(moves)

    def local_phase(place, params):
        nonlocal move
        move = next(left) if place == 0 else move
        return {name: tensor + 0.1 * move[place][name] for name, tensor in params.items()}

    run.run(local_phase, rounds)
    seen = drawn_anywhere(rows)
    deviation = max(largest_deviation(each, expected, before, seen) for each in run.estimates)
    assert deviation <= 5e-6  # up to six local phases, each rounded on its own


@pytest.mark.parametrize("algorithm", ["rolling-sweep", "pushsum"])
def test_site_never_moves_a_row_it_did_not_draw(algorithm, begin):
    run, _ = begin(algorithm, [10, 20, 30, 40], [(4, 0, 1), (0, 0, 2), (1, 0, 0), (9, 0, 3)])
    run.exchange()
    before = run.estimates
    run.train(lambda _, params: {name: tensor + 1 for name, tensor in params.items()})
    for site, still in enumerate([(1,), (0, 1), (1, 2), (1,)]):
        for row in range(3):
            moved = not torch.equal(run.estimates[site]["head.weight"][row], before[site]["head.weight"][row])
            assert moved == (row not in still)


def test_rolling_sweep_sends_half_the_bytes_of_a_sweep_over_four_sites(sites_named):
    _, sweep = build_gossip("sweep", sites_named(4), 0)
    _, rolling = build_gossip("rolling-sweep", sites_named(4), 0)
    assert (sweep.exchanges_per_round, rolling.exchanges_per_round) == (2, 1)
    assert rolling.final_exchanges == 2


@pytest.mark.parametrize(
    ("algorithm", "topology", "settings", "remedy"),
    [
        ("sweep", "ring", {}, "'base'"),
        ("sweep", "matching", {}, "'base'"),
        ("sweep", "hypercube", {"exchanges_per_round": 1}, "with 1 exchanges a round"),
        ("sweep", "hypercube", {"final_exchanges": 7, "exchanges_per_round": 1}, "'pushsum'"),
        ("rolling-sweep", "ring", {}, "exchanges_per_round = 1"),
        ("rolling-sweep", "epidemic", {}, "'base'"),
        ("rolling-sweep", "star", {}, "'hypercube'"),
        ("rolling-sweep", "base", {"final_exchanges": 1}, "final exchanges"),
        ("fedavg", "mesh", {}, "'sweep'"),
        ("dpsgd", "star", {}, "'pushsum'"),
        ("dpsgd", "epidemic", {}, "'ring'"),
    ],
)
def test_topology_on_which_the_law_fails_is_refused(algorithm, topology, settings, remedy, sites_named):
    with pytest.raises(ScheduleError, match=remedy):
        build_gossip(algorithm, sites_named(8), 0, topology=topology, topology_settings=settings)


def test_sweep_over_several_periods_is_taken(sites_named):
    Sweep().check(build_topology("base", sites_named(5), 0, exchanges_per_round=10))


def test_sweep_that_would_begin_out_of_step_is_refused(sites_named):
    # Six exchanges hold a whole period of five, but the second round begins at the schedule's second exchange.
    with pytest.raises(ScheduleError):
        Sweep().check(build_topology("base", sites_named(5), 0, exchanges_per_round=6))
