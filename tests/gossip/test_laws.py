"""Laws that hold for every algorithm, on whatever topology, whether or not the two make sense together."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.errors import ScheduleError
from gossamer.gossip import ALGORITHMS, TOPOLOGIES, Mass, build_algorithm, build_topology, weighted_mean

LAW = settings(max_examples=50, deadline=None)
EVERY_ALGORITHM = pytest.mark.parametrize("algorithm", ALGORITHMS)

cases = st.integers(0, 300)


@st.composite
def federations(draw, exchanges=6):
    """A topology's name, a seed, when to begin, how long to go on, and each site's cases by body and three rows."""
    topology = draw(st.sampled_from(sorted(TOPOLOGIES)))
    count = 2 ** draw(st.integers(1, 3)) if topology == "hypercube" else draw(st.integers(2, 9))
    body = draw(st.lists(cases, min_size=count, max_size=count))
    rows = draw(st.lists(st.tuples(cases, cases, cases), min_size=count, max_size=count))
    return topology, draw(st.integers(0, 99)), draw(st.integers(0, 50)), draw(st.integers(1, exchanges)), body, rows


@pytest.fixture(scope="session")
def begin(lockstep, sites_named, params_of, mass_of_cases):
    def begin(algorithm, federation):
        topology, seed, start, _, body, rows = federation
        run = lockstep(
            build_algorithm(algorithm),
            build_topology(topology, sites_named(len(body)), seed),
            [params_of(seed + site) for site in range(len(body))],
            [mass_of_cases(*mass) for mass in zip(body, rows, strict=True)],
        )
        run.exchanges = start
        return run

    return begin


def total(masses):
    whole = masses[0]
    for mass in masses[1:]:
        whole = whole.plus(mass)
    return [whole.body, *whole.rows["head.weight"], *whole.rows["head.bias"]]


def bits(params):
    return {name: tensor.numpy().tobytes() for name, tensor in params.items()}


def assert_close(params, expected, tolerance=1e-6):
    assert params.keys() == expected.keys()
    for name, tensor in expected.items():
        scale = max(1.0, float(tensor.abs().max()))
        assert float((params[name] - tensor).abs().max()) <= tolerance * scale, name


@EVERY_ALGORITHM
@LAW
@given(federation=federations())
def test_mass_and_weighted_mean_stay_what_they_are(algorithm, federation, begin):
    run = begin(algorithm, federation)
    mass, mean = total(run.masses), weighted_mean(run.estimates, run.masses)
    run.exchange(times=federation[3])
    assert total(run.masses) == pytest.approx(mass, rel=1e-12)
    after = weighted_mean(run.estimates, run.masses)
    # Rows nobody has a mass for have no mean.
    counted = {"body": mass[0] > 0, "scale": mass[0] > 0}
    for name in ("head.weight", "head.bias"):
        seen = torch.tensor(mass[1:4]) > 0
        assert_close({name: after[name][seen]}, {name: mean[name][seen]}) if seen.any() else None
    assert_close(
        {name: after[name] for name, whole in counted.items() if whole},
        {name: mean[name] for name, whole in counted.items() if whole},
    )


@EVERY_ALGORITHM
@LAW
@given(federation=federations())
def test_nothing_is_changed_in_place(algorithm, federation, begin):
    run = begin(algorithm, federation)
    for _ in range(federation[3]):
        before = dict(run.states)
        copies = {site: (bits(state.params), state.mass) for site, state in before.items()}
        run.train(lambda _, params: {name: tensor + 1 for name, tensor in params.items()})
        run.exchange()
        run.end_round()
        for site, state in before.items():
            assert (bits(state.params), state.mass) == copies[site]


@EVERY_ALGORITHM
@LAW
@given(federation=federations())
def test_order_of_arrival_does_not_change_a_bit(algorithm, federation, begin):
    run = begin(algorithm, federation)
    for me in run.topology.sites:
        t = run.exchanges
        inbox = {}
        for sender in run.topology.senders(me, t):
            _, shares = run.algorithm.compose(run.states[sender], run.topology.mixing(sender, t), sender)
            inbox[sender] = shares[me]
        mixing = run.topology.mixing(me, t)
        kept, _ = run.algorithm.compose(run.states[me], mixing, me)
        forward = run.algorithm.absorb(kept, inbox, mixing, me)
        backward = run.algorithm.absorb(kept, dict(reversed(inbox.items())), mixing, me)
        assert bits(forward.params) == bits(backward.params)
        assert forward.mass == backward.mass


@EVERY_ALGORITHM
@LAW
@given(federation=federations())
def test_sites_that_agree_go_on_agreeing_to_the_bit(algorithm, federation, begin, params_of):
    run = begin(algorithm, federation)
    common = params_of(7)
    run.states = {site: run.algorithm.init(common, state.own) for site, state in run.states.items()}
    run.exchange(times=federation[3])
    assert all(bits(estimate) == bits(common) for estimate in run.estimates)


@EVERY_ALGORITHM
def test_shares_carry_the_senders_own_tensors(algorithm, params_of, mass_of_cases):
    algorithm = build_algorithm(algorithm)
    state = algorithm.init(params_of(0), mass_of_cases(4, (4, 2, 0)))
    kept, shares = algorithm.compose(state, {"me": 0.5, "you": 0.25, "they": 0.25}, "me")
    assert sorted(shares) == ["they", "you"]
    for share in (*shares.values(), kept):
        assert all(share.params[name] is tensor for name, tensor in state.params.items())
    assert total([kept.mass, *(share.mass for share in shares.values())]) == total([state.mass])


@EVERY_ALGORITHM
def test_share_that_did_not_come_takes_only_its_own_mass_away(algorithm, params_of, mass_of_cases):
    algorithm = build_algorithm(algorithm)
    thirds = dict.fromkeys("abc", 1 / 3)
    states = {site: algorithm.init(params_of(ord(site)), mass_of_cases(30, (3, 6, 9))) for site in "abc"}
    shares = {site: algorithm.compose(states[site], thirds, site) for site in "abc"}
    after = algorithm.absorb(shares["a"][0], {"b": shares["b"][1]["a"]}, thirds, "a")
    third_of = states["a"].mass.scaled(1 / 3)
    assert total([after.mass]) == pytest.approx(total([third_of, third_of]))
    assert_close(after.params, weighted_mean([states["a"].params, states["b"].params], [third_of, third_of]))


@EVERY_ALGORITHM
def test_site_without_mass_keeps_its_own(algorithm, params_of, mass_of_cases):
    algorithm = build_algorithm(algorithm)
    state = algorithm.init(params_of(0), mass_of_cases(9, (1, 0, 5)))
    kept, shares = algorithm.compose(state, {"hub": 1.0}, "leaf")
    assert total([kept.mass]) == [0] * 7
    after = algorithm.absorb(kept, {}, {"hub": 1.0}, "leaf")
    assert bits(after.params) == bits(state.params)
    assert shares["hub"].mass == state.mass


@EVERY_ALGORITHM
@pytest.mark.parametrize(
    ("params", "own", "complaint"),
    [
        ({"steps": torch.tensor([3])}, Mass(1.0), "floating-point numbers.*'steps'"),
        ({"x": torch.zeros(2)}, Mass(-1.0), "finite and >= 0; found -1"),
        ({"x": torch.zeros(2)}, Mass(float("nan")), "finite and >= 0"),
        ({"x": torch.zeros(2)}, Mass(1.0, {"x": (1.0, float("inf"))}), "finite and >= 0; found inf"),
        ({"x": torch.zeros(2)}, Mass(1.0, {"x": (1.0,)}), "each row of 'x'; found 1 masses"),
        ({"x": torch.zeros(2)}, Mass(1.0, {"y": (1.0,)}), "no such tensor"),
        ({"x": torch.zeros(())}, Mass(1.0, {"x": ()}), "each row of 'x'"),
    ],
)
def test_what_cannot_be_averaged_is_refused(algorithm, params, own, complaint):
    with pytest.raises(ScheduleError, match=complaint):
        build_algorithm(algorithm).init(params, own)


def test_masses_of_other_rows_do_not_add_up():
    with pytest.raises(ValueError, match="different rows"):
        Mass(1.0, {"x": (1.0,)}).plus(Mass(1.0))
