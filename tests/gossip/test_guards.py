"""What one bad site of four can do, and what a guard must never do to honest ones."""

import importlib
import re
from dataclasses import replace
from math import inf, nan, sqrt
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.gossip import GossipState, Mass, Share, SiteId, build_algorithm, build_topology
from gossamer.gossip.clipping import FACTOR, MOST_PHASES, ClippingGuard, after_training
from gossamer.gossip.guard import GUARD_KINDS, GuardState, PeerRecord
from gossamer.gossip.mass_bounds import handed_over, most_by_schedule, most_by_total
from gossamer.gossip.trimming import TrimmingGuard
from gossamer.wire.values import pack, unpack

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "concepts" / "robust-mixing.md").read_text(encoding="utf-8")

LAW = settings(max_examples=60, deadline=None)
BOTH = pytest.mark.parametrize("guard", [ClippingGuard(), TrimmingGuard()], ids=["clipping", "trimming"])
A, B, C, D = map(SiteId, "ABCD")
SIZE = 64


def values(*numbers):
    """A model of one tensor whose entries are alike, so that its norm is 8 times the number."""
    return [{"x": torch.full((SIZE,), float(number))} for number in numbers]


def state_of(params, body=10.0, rows=None):
    mass = Mass(body, rows or {})
    return GossipState(params, mass, mass)


def moved_by(number, times=1):
    """A guard's state after local phases that each moved every entry by so much."""
    state = GuardState()
    for _ in range(times):
        state = after_training(state, *values(0, number), Mass(1.0))
    return state


def screen(state, mine, inbox, guard=None, *, most=1e9):
    mass = {sender: share.mass for sender, share in inbox.items()}
    bounds = {
        sender: Mass(most, {name: (most,) * len(row) for name, row in mass[sender].rows.items()}) for sender in mass
    }
    return (guard or ClippingGuard()).screen(state, mine, inbox, most=bounds, handed={})


def bits(params):
    return {name: tensor.view(torch.uint8).numpy().tobytes() for name, tensor in params.items()}


# Honest sites


@pytest.mark.parametrize("topology", ["mesh", "hypercube"])
def test_sites_that_move_alike_end_with_the_bits_of_a_run_without_a_guard(topology, sites_named):
    """Steps of one length in unrelated directions, as optimisers take them."""
    sites, generator = sites_named(4), torch.Generator().manual_seed(0)
    algorithm, schedule = build_algorithm("sweep"), build_topology(topology, sites, 0)
    masses = {site: Mass(cases) for site, cases in zip(sites, (30.0, 20.0, 40.0, 5.0), strict=True)}
    plain = {site: algorithm.init({"x": torch.ones(9000), "y": torch.ones(3, 3000)}, masses[site]) for site in sites}
    guarded, guards = dict(plain), dict.fromkeys(sites, GuardState())
    for exchange in range(10 * schedule.exchanges_per_round):
        if exchange % schedule.exchanges_per_round == 0:
            first = exchange
            plain, guarded = ({s: algorithm.end_round(each) for s, each in of.items()} for of in (plain, guarded))
            for site in sites:
                step = {name: 0.1 * torch.randn(x.shape, generator=generator) for name, x in plain[site].params.items()}
                before = guarded[site].params
                for states in (plain, guarded):
                    trained = {name: x + step[name] for name, x in states[site].params.items()}
                    states[site] = algorithm.replace(states[site], trained)
                guards[site] = after_training(guards[site], before, guarded[site].params, masses[site])
        composed = {site: algorithm.compose(plain[site], schedule.mixing(site, exchange), site) for site in sites}
        guarded_composed = {
            site: algorithm.compose(guarded[site], schedule.mixing(site, exchange), site) for site in sites
        }
        for me in sites:
            mixing, senders = schedule.mixing(me, exchange), schedule.senders(me, exchange)
            plain[me] = algorithm.absorb(composed[me][0], {s: composed[s][1][me] for s in senders}, mixing, me)
            kept = guarded_composed[me][0]
            screened = ClippingGuard().screen(
                guards[me],
                kept,
                {s: guarded_composed[s][1][me] for s in senders},
                most=most_by_schedule(schedule, masses, me, first=first, exchange=exchange),
                handed=handed_over(kept.mass, mixing, me),
            )
            assert all(report.factor == 1 and not report.refused for report in screened.reports)
            guards[me] = screened.state
            guarded[me] = algorithm.absorb(kept, screened.inbox, mixing, me)
        assert all(bits(plain[site].params) == bits(guarded[site].params) for site in sites)


def test_share_that_is_not_clipped_is_handed_on_itself():
    [mine, near] = values(0, FACTOR * 0.99)
    share = Share(near, Mass(3.0))
    screened = screen(moved_by(1), state_of(mine), {B: share})
    assert screened.inbox[B] is share
    [report] = screened.reports
    assert (report.factor, report.where, report.refused) == (1.0, "", "")
    assert report.difference == pytest.approx(8 * FACTOR * 0.99)


def test_before_the_first_local_phase_there_is_nothing_to_measure_by_but_peers():
    mine, one, other, far = values(0, 1, -1, 50)
    assert screen(GuardState(), state_of(mine), {B: Share(far, Mass(1.0))}).reports[0].factor == 1
    inbox = {B: Share(one, Mass(1.0)), C: Share(other, Mass(1.0)), D: Share(far, Mass(1.0))}
    assert [r.factor for r in screen(GuardState(), state_of(mine), inbox).reports] == [
        *(1, 1),
        pytest.approx(FACTOR / sqrt(2) / 50),
    ]


def test_sites_that_are_equal_are_not_clipped_whatever_moved():
    mine, *_ = values(1)
    for state in (GuardState(), moved_by(1), moved_by(0)):
        assert screen(state, state_of(mine), {B: Share(mine, Mass(1.0))}).reports[0].factor == 1


def test_site_that_never_trains_follows_its_only_peer():
    """Its own movement is 0 and says nothing."""
    mine, far = values(0, 50)
    assert screen(moved_by(0), state_of(mine), {B: Share(far, Mass(1.0))}).reports[0].factor == 1


# Clipping, by hand


def test_far_share_comes_as_near_as_tau():
    mine, far = values(1, 11)
    screened = screen(moved_by(2), state_of(mine), {B: Share(far, Mass(3.0))})
    assert screened.inbox[B].params["x"].tolist() == pytest.approx([1 + 2 * FACTOR] * SIZE)
    assert screened.inbox[B].mass == Mass(3.0)
    assert screened.reports[0].factor == pytest.approx(2 * FACTOR / 10)
    assert screened.reports[0].where == "x"


def test_only_the_group_that_is_off_is_clipped():
    """A normalisation layer with its signs turned is lost in the norm of the whole network."""
    start = {"conv": torch.zeros(40_000), "norm": torch.ones(20)}
    trained = {"conv": torch.full((40_000,), 0.01), "norm": torch.full((20,), 1.01)}
    turned = {"conv": torch.full((40_000,), -0.01), "norm": torch.full((20,), -1.0)}
    state = after_training(GuardState(), start, trained, Mass(1.0))
    screened = screen(state, state_of(start), {B: Share(turned, Mass(1.0))})
    assert screened.inbox[B].params["conv"] is turned["conv"]
    assert screened.inbox[B].params["norm"].tolist() == pytest.approx([1 - 0.01 * FACTOR] * 20)
    assert screened.reports[0].where == "norm"
    whole = sqrt(40_000 * 0.01**2 + 20 * 2**2)
    assert screened.reports[0].difference == pytest.approx(whole, rel=1e-5)
    through = sqrt(40_000 * 0.01**2 + 20 * (0.01 * FACTOR) ** 2)
    assert screened.reports[0].factor == pytest.approx(through / whole, rel=1e-5)


def test_swapped_structures_are_clipped_in_their_rows_alone():
    rows = dict.fromkeys(("head.weight", "head.bias"), (4.0, 4.0, 4.0))
    head = {"head.weight": torch.tensor([[[1.0] * 8], [[2.0] * 8], [[3.0] * 8]]), "head.bias": torch.zeros(3)}
    trained = {"head.weight": head["head.weight"] + 0.1, "head.bias": torch.full((3,), 0.1)}
    state = after_training(GuardState(), head, trained, Mass(4.0, rows))
    swapped = {"head.weight": head["head.weight"][[1, 0, 2]] + 0.05, "head.bias": head["head.bias"] - 0.05}
    screened = screen(state, state_of(head, rows=rows), {B: Share(swapped, Mass(1.0, rows))})
    weight, bias = screened.inbox[B].params["head.weight"], screened.inbox[B].params["head.bias"]
    assert torch.equal(weight[2], swapped["head.weight"][2])
    assert bias[2] == swapped["head.bias"][2]
    # A row is 8 weights and a number: it moved by 0.3, and comes as near as FACTOR times that.
    difference = (swapped["head.weight"] - head["head.weight"]).reshape(3, -1)
    for row in (0, 1):
        norm = sqrt(float(difference[row].square().sum()) + 0.05**2)
        expected = head["head.weight"][row] + difference[row] * (0.3 * FACTOR / norm)
        assert torch.allclose(weight[row].flatten(), expected.flatten(), atol=1e-6)
    assert screened.reports[0].where == "3 output rows"


def test_tensors_of_a_few_numbers_share_a_group_and_chance_clips_nothing():
    start = {"a": torch.zeros(()), "b": torch.zeros(15), "conv": torch.zeros(1000)}
    trained = {"a": torch.tensor(1e-6), "b": torch.full((15,), 0.1), "conv": torch.full((1000,), 0.1)}
    theirs = {"a": torch.tensor(0.15), "b": torch.full((15,), 0.1), "conv": torch.full((1000,), -0.1)}
    state = after_training(GuardState(), start, trained, Mass(1.0))
    assert set(state.moved) == {"small tensors", "conv"}
    assert screen(state, state_of(start), {B: Share(theirs, Mass(1.0))}).reports[0].factor == 1


def test_group_that_stood_still_may_move_as_the_rest_of_the_network_does():
    start = {"idle": torch.zeros(100), "conv": torch.zeros(9900)}
    trained = {"idle": torch.full((100,), 1e-9), "conv": torch.full((9900,), 0.1)}
    state = after_training(GuardState(), start, trained, Mass(1.0))
    for number, clipped in ((0.14, ""), (0.3, "idle")):
        theirs = {"idle": torch.full((100,), number), "conv": torch.zeros(9900)}
        assert screen(state, state_of(start), {B: Share(theirs, Mass(1.0))}).reports[0].where == clipped


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@BOTH
def test_kind_of_number_stays(guard, kind):
    model = [{"x": torch.full((SIZE,), number, dtype=kind)} for number in (0.0, 1.0, 2.0, 300.0)]
    state = after_training(GuardState(), model[0], model[1], Mass(1.0))
    inbox = {site: Share(params, Mass(1.0)) for site, params in zip((B, C, D), model[1:], strict=True)}
    screened = screen(state, state_of(model[0]), inbox, guard)
    assert {share.params["x"].dtype for share in screened.inbox.values()} == {kind}


def test_a_peer_that_was_not_heard_for_some_local_phases_may_differ_by_as_many():
    mine, far = values(0, 100)
    for phases in range(1, 8):
        [report] = screen(moved_by(1, phases), state_of(mine), {B: Share(far, Mass(1.0))}).reports
        assert report.factor == pytest.approx(min(phases, MOST_PHASES) * FACTOR / 100)
    heard = screen(moved_by(1, 5), state_of(mine), {B: Share(mine, Mass(1.0))}).state
    again = replace(after_training(heard, *values(0, 1), Mass(1.0)), reach=1.0)
    assert screen(again, state_of(mine), {B: Share(far, Mass(1.0))}).reports[0].factor == pytest.approx(FACTOR / 100)


# Laws

numbers = st.floats(-1e6, 1e6, width=32)
wild = st.one_of(numbers, st.sampled_from([nan, inf, -inf, 3e38, 1e-40]))


@st.composite
def inboxes(draw, entries=wild):
    senders = draw(st.sampled_from([(B,), (B, C), (B, C, D), (B, C, D, SiteId("E"))]))
    return {
        sender: Share(
            {"x": torch.tensor(draw(st.lists(entries, min_size=3, max_size=3))).repeat(10)},
            Mass(draw(st.floats(0, 40))),
        )
        for sender in senders
    }


@BOTH
@LAW
@given(inbox=inboxes(), own=numbers, moved=st.floats(0, 1e3))
def test_no_mass_is_lost_and_nothing_but_finite_numbers_is_let_in(guard, inbox, own, moved):
    mine = state_of({"x": torch.full((30,), own)})
    screened = screen(moved_state(moved), mine, inbox, guard, most=40.0)
    assert {sender: share.mass for sender, share in screened.inbox.items()} == {s: e.mass for s, e in inbox.items()}
    assert all(torch.isfinite(share.params["x"]).all() for share in screened.inbox.values())
    for report in screened.reports:
        finite = bool(torch.isfinite(inbox[report.sender].params["x"]).all())
        assert finite or report.refused
    if all(report.refused for report in screened.reports):
        assert all(share.params["x"] is mine.params["x"] for share in screened.inbox.values())


def moved_state(number):
    return after_training(GuardState(), {"x": torch.zeros(30)}, {"x": torch.full((30,), number)}, Mass(1.0))


@LAW
@given(inbox=inboxes(), own=numbers, moved=st.floats(1e-3, 1e3))
def test_whatever_one_peer_sends_the_estimate_moves_by_its_part_of_tau(inbox, own, moved):
    algorithm = build_algorithm("sweep")
    share = inbox[B]
    mine = state_of({"x": torch.full((30,), own, dtype=torch.float64)})
    lie = {B: Share({"x": share.params["x"].double()}, share.mass)}
    screened = screen(moved_state(moved), mine, lie)
    after = algorithm.absorb(mine, screened.inbox, {}, A)
    part = share.mass.body / (share.mass.body + mine.mass.body)
    tau = FACTOR * moved * sqrt(30)
    assert float((after.params["x"] - mine.params["x"]).norm()) <= part * tau * (1 + 1e-5) + 1e-9 * abs(own)


@BOTH
@LAW
@given(inbox=inboxes(), own=numbers, moved=st.floats(0, 1e3))
def test_order_of_arrival_changes_no_bit_and_nothing_is_changed_in_place(guard, inbox, own, moved):
    mine = state_of({"x": torch.full((30,), own)})
    before = {sender: bits(share.params) for sender, share in inbox.items()}
    forward = screen(moved_state(moved), mine, inbox, guard)
    backward = screen(moved_state(moved), mine, dict(reversed(inbox.items())), guard)
    assert {s: bits(e.params) for s, e in forward.inbox.items()} == {
        s: bits(e.params) for s, e in backward.inbox.items()
    }
    assert [repr(report) for report in forward.reports] == [repr(report) for report in backward.reports]
    assert forward.state == backward.state
    assert {sender: bits(share.params) for sender, share in inbox.items()} == before
    assert torch.equal(mine.params["x"], torch.full((30,), own))


def test_number_of_threads_changes_no_bit():
    generator = torch.Generator().manual_seed(0)
    mine, theirs, before = ({"x": torch.randn(1_000_003, generator=generator)} for _ in range(3))
    found = []
    for threads in (1, 2):
        usual = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            state = after_training(GuardState(), before, mine, Mass(1.0))
            screened = screen(state, state_of(mine), {B: Share({"x": 9 * theirs["x"]}, Mass(1.0))})
            found.append((screened.reports, bits(screened.inbox[B].params), state))
        finally:
            torch.set_num_threads(usual)
    assert found[0] == found[1]
    assert found[0][0][0].difference == pytest.approx(float((9 * theirs["x"] - mine["x"]).double().norm()), rel=1e-6)


def test_state_outlives_a_power_cut():
    mine, far = values(0, 100)
    state, _ = repeated(moved_by(1), state_of(mine), far, 4)
    again = unpack(b"".join(map(bytes, pack(state, GUARD_KINDS).pieces())), GUARD_KINDS)
    assert again == state
    assert again.peers[B].muted == 1


def test_a_refused_share_says_what_the_others_say_so_that_honest_sites_still_agree():
    mine, one, other = values(1, 2, 4)
    broken = {"x": torch.full((SIZE,), nan)}
    inbox = {B: Share(one, Mass(20.0)), C: Share(other, Mass(30.0)), D: Share(broken, Mass(40.0))}
    screened = screen(moved_by(9), state_of(mine), inbox)
    assert screened.inbox[D].mass == Mass(40.0)
    assert screened.inbox[D].params["x"].tolist() == pytest.approx([(10 + 40 + 120) / 60] * SIZE)
    after = build_algorithm("sweep").absorb(state_of(mine), screened.inbox, {}, A)
    assert after.params["x"].tolist() == pytest.approx([(10 + 40 + 120) / 60] * SIZE)


def test_who_hears_little_is_drawn_back_by_that_little():
    """Of the mean of a round half came from others: tau is twice what it is otherwise."""
    mine, near, far = values(0, 0, 100)
    heard = screen(moved_by(1), state_of(mine), {B: Share(near, Mass(10.0))}).state
    after = after_training(heard, *values(0, 1), Mass(1.0))
    [report] = screen(after, state_of(mine), {B: Share(far, Mass(10.0))}).reports
    assert report.factor == pytest.approx(2 * FACTOR / 100)


# Masses that cannot be


@BOTH
@pytest.mark.parametrize("claimed", [90.1, 1e300, inf, nan, -1.0])
def test_a_mass_that_cannot_be_makes_the_exchange_undone(guard, claimed):
    algorithm, mixing = build_algorithm("pushsum"), {A: 0.5, B: 0.5}
    before = algorithm.init(values(1)[0], Mass(10.0))
    kept, _ = algorithm.compose(before, mixing, A)
    screened = guard.screen(
        GuardState(),
        kept,
        {B: Share(values(7)[0], Mass(claimed))},
        most={B: Mass(90.0)},
        handed=handed_over(kept.mass, mixing, A),
    )
    assert screened.reports[0].refused == "it claims more mass than it can have"
    after = algorithm.absorb(kept, screened.inbox, mixing, A)
    assert after.mass == Mass(10.0)
    assert bits(after.params) == bits(before.params)


def test_a_row_alone_can_claim_too_much():
    row = {"x": (1.0, 1.0)}
    mine = state_of({"x": torch.zeros(2, 20)}, rows=row)
    lie = Share({"x": torch.ones(2, 20)}, Mass(1.0, {"x": (1.0, 6.0)}))
    assert screen(GuardState(), mine, {B: lie}, most=5.0).reports[0].refused
    assert not screen(GuardState(), mine, {B: lie}, most=6.0).reports[0].refused


def test_where_nothing_was_handed_over_the_liar_brings_what_this_site_kept():
    """On a directed graph this site would run dry otherwise, and its steps grow without end."""
    mine, far = values(1, 7)
    for most, believed in ((90.0, 10.0), (4.0, 4.0)):
        screened = screen(GuardState(), state_of(mine), {B: Share(far, Mass(1e9))}, most=most)
        assert screened.inbox[B].mass == Mass(believed)
        assert screened.inbox[B].params["x"] is mine["x"]


@pytest.mark.parametrize("algorithm", ["sweep", "pushsum"])
@pytest.mark.parametrize("topology", ["mesh", "hypercube", "star", "ring", "exponential", "epidemic"])
def test_schedule_and_cases_say_what_every_honest_share_holds(
    algorithm, topology, lockstep, sites_named, mass_of_cases
):
    sites = sites_named(4)
    masses = [mass_of_cases(10 * place + 5, (place, 2 * place + 1, 0)) for place in range(4)]
    params = [{"head.weight": torch.zeros(3, 2), "head.bias": torch.zeros(3)}] * 4
    run = lockstep(build_algorithm(algorithm), build_topology(topology, sites, 0), params, masses)
    total = masses[0].plus(masses[1]).plus(masses[2]).plus(masses[3])
    for exchange in range(6):
        mixing = {site: run.topology.mixing(site, exchange) for site in sites}
        composed = {site: run.algorithm.compose(run.states[site], mixing[site], site) for site in sites}
        for me, (kept, shares) in composed.items():
            senders = run.topology.senders(me, exchange)
            exact = most_by_schedule(
                run.topology, dict(zip(sites, masses, strict=True)), me, first=0, exchange=exchange
            )
            assert exact.keys() == set(senders)
            loose = most_by_total(total, kept.mass, senders)
            for sender in senders:
                held = composed[sender][1][me].mass
                assert held.body == pytest.approx(exact[sender].body)
                assert held.rows["head.bias"] == pytest.approx(exact[sender].rows["head.bias"])
                assert held.body <= loose[sender].body * (1 + 1e-12)
            handed = handed_over(kept.mass, mixing[me], me)
            assert not handed or {to: m.body for to, m in handed.items()} == pytest.approx(
                {to: share.mass.body for to, share in shares.items()}
            )
        run.exchange()


# Strikes


def repeated(state, mine, theirs, times, *, others=(C,)):
    """What becomes of B's share, sent again and again: P passed, C clipped, M muted, R refused."""
    seen = ""
    for _ in range(times):
        inbox = {B: Share(theirs, Mass(1.0)), **{other: Share(values(1)[0], Mass(1.0)) for other in others}}
        screened = screen(state, mine, inbox)
        report, state = screened.reports[0], screened.state
        seen += "M" if "muted" in report.refused else "R" if report.refused else "C" if report.where else "P"
    return state, seen


def test_whoever_is_hard_to_believe_is_muted_for_longer_and_longer():
    mine, far = values(0, 100)
    expected = "CC" + "".join("C" + "M" * 2**power for power in range(1, 7)) + "C" + "M" * 64 + "C"
    assert repeated(moved_by(1), state_of(mine), far, len(expected))[1] == expected


def test_of_two_alone_nobody_is_muted_for_a_difference():
    """A site at its own optimum hardly moves; it must not silence the only peer that can draw it away."""
    mine, far = values(0, 100)
    assert repeated(moved_by(1), state_of(mine), far, 9, others=())[1] == "C" * 9


def test_nan_is_refused_and_counts_as_hard_to_believe():
    mine, *_ = values(0)
    broken = {"x": torch.full((SIZE,), nan)}
    assert repeated(moved_by(1), state_of(mine), broken, 6)[1] == "RRRMMR"


def test_strikes_are_forgotten_and_a_mild_difference_gets_none():
    mine, far, near = values(0, 100, FACTOR / 0.6)
    state, seen = repeated(moved_by(1), state_of(mine), far, 4)
    assert (seen, state.peers[B].strikes) == ("CCCM", 3)
    state, seen = repeated(state, state_of(mine), near, 4)
    assert seen == "MCCC"
    assert state.peers[B].strikes == 0


def test_a_reason_says_how_long():
    state = GuardState(peers={B: PeerRecord(strikes=4, muted=3)})
    mine, near = values(0, 1)
    [report] = screen(state, state_of(mine), {B: Share(near, Mass(1.0))}).reports
    assert report.refused == "muted after 4 strikes, for 2 more of its shares"
    assert report.factor == 0


# Witnesses


def test_one_peer_of_two_cannot_talk_tau_up_however_long_it_tries():
    mine, honest, far = values(0, 1, 3)
    state = moved_by(1)
    for _ in range(50):
        inbox = {B: Share(honest, Mass(1.0)), C: Share(far, Mass(1.0))}
        screened = screen(state, state_of(mine), inbox)
        state = screened.state
        assert screened.inbox[B] is inbox[B]
        if not screened.reports[1].refused:
            assert screened.inbox[C].params["x"][0] == pytest.approx(FACTOR)


def test_a_peer_that_agrees_too_well_cannot_talk_tau_down():
    mine, honest, liar = values(0, 1.4, 1e-6)
    state = moved_by(1)
    for _ in range(20):
        inbox = {B: Share(honest, Mass(1.0)), C: Share(liar, Mass(1.0))}
        screened = screen(state, state_of(mine), inbox)
        state = screened.state
        assert screened.inbox[B] is inbox[B]


def test_where_most_peers_differ_more_than_this_site_moves_they_are_believed():
    mine, *others = values(0, 4, 4, 4.1, 4.2)
    inbox = {SiteId(f"p{k}"): Share(params, Mass(1.0)) for k, params in enumerate(others)}
    assert {report.factor for report in screen(moved_by(1), state_of(mine), inbox).reports} == {1.0}


# Trimmed mean


def test_trimmed_mean_by_hand():
    """Of 0, 1, 2, 90 the ends go; 1 counts once and 2 twice."""
    mine, *others = values(0, 1, 2, 90)
    masses = (10.0, 20.0, 500.0)
    inbox = {s: Share(p, Mass(m)) for s, p, m in zip((B, C, D), others, masses, strict=True)}
    screened = screen(moved_by(100), state_of(mine), inbox, TrimmingGuard())
    assert [share.params["x"][0].item() for share in screened.inbox.values()] == [pytest.approx(5 / 3)] * 3
    assert [share.mass.body for share in screened.inbox.values()] == list(masses)


def test_trimmed_mean_weighs_rows_by_their_own_mass_and_keeps_ours_where_there_is_none():
    tensors = [torch.tensor([[number] * 20, [number] * 20]) for number in (0.0, 1.0, 2.0, 3.0)]
    inbox = {
        sender: Share({"x": x}, Mass(1.0, {"x": (mass, 0.0)}))
        for sender, x, mass in zip((B, C, D), tensors[1:], (1.0, 3.0, 1.0), strict=True)
    }
    mine = state_of({"x": tensors[0]}, rows={"x": (1.0, 0.0)})
    trimmed = screen(GuardState(), mine, inbox, TrimmingGuard()).inbox[B].params["x"]
    assert trimmed[:, 0].tolist() == [(1 + 2 * 3) / 4, 0.0]


@LAW
@given(honest=st.lists(numbers, min_size=3, max_size=3), lie=numbers, mass=st.floats(0, 1e12))
def test_what_trimmed_shares_say_lies_between_honest_values(honest, lie, mass):
    mine, *others = values(*honest, lie)
    inbox = {s: Share(p, Mass(m)) for s, p, m in zip((B, C, D), others, (10.0, 10.0, mass), strict=True)}
    said = screen(GuardState(), state_of(mine), inbox, TrimmingGuard(), most=1e12).inbox[B].params["x"][0].item()
    slack = 1e-6 * max(map(abs, honest))
    assert min(honest) - slack <= said <= max(honest) + slack


def test_with_fewer_than_four_estimates_trimming_is_clipping():
    mine, one, far = values(0, 1, 90)
    inbox = {B: Share(one, Mass(1.0)), C: Share(far, Mass(1.0))}
    trimmed = screen(moved_by(1), state_of(mine), inbox, TrimmingGuard())
    clipped = screen(moved_by(1), state_of(mine), inbox)
    assert {s: bits(e.params) for s, e in trimmed.inbox.items()} == {
        s: bits(e.params) for s, e in clipped.inbox.items()
    }


# One bad site of four

ATTACKS = (
    *("none", "sign flip", "times 10", "times 1000", "random noise", "zeros"),
    *("drift of 1.5 deviations", "drift of 10 deviations", "inner product, 0.5 back", "inner product, 3 back"),
    *("swapped output rows", "stale replay", "NaN"),
    *("mass times 10⁶", "mass times 10⁶, sign flip", "at the guard's edge"),
)
TAME = {"none", "drift of 1.5 deviations", "inner product, 0.5 back", "mass times 10⁶"}
"""What the plain mean bears as well: no lie, lies within the honest sites' spread, honest parameters with all mass."""


@pytest.fixture(scope="session")
def toy():
    """The benchmark, whose table the page shows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(REPOSITORY))
        return importlib.import_module("benchmarks.robust_mixing")


@pytest.fixture(scope="session")
def said():
    """The page's table: by attack plain and clipped in pairs; plain, clipped and trimmed in a mesh."""
    rows = re.findall(r"^\| ([^|]+) \|((?: [\d.∞]+ \|){5})$", PAGE, flags=re.MULTILINE)
    return {attack: [float(cell.replace("∞", "inf")) for cell in cells.split("|")[:5]] for attack, cells in rows}


def test_page_and_benchmark_have_the_attacks_of_these_tests(toy, said):
    assert tuple(toy.ATTACKS) == tuple(said) == ATTACKS


def test_page_keeps_the_bound_it_names_and_the_plain_mean_does_not(toy, said):
    assert f"at most {toy.BOUND}" in PAGE
    assert all(max(row[1], row[3], row[4]) <= toy.BOUND for row in said.values())
    assert {attack for attack, row in said.items() if min(row[0], row[2]) <= toy.BOUND} == TAME


def honest_refused(run, toy):
    return [report for _, reports in run.reports for report in reports if report.refused and report.sender != toy.BAD]


@pytest.mark.parametrize("attack", ATTACKS)
def test_bad_site_of_four_cannot_drive_the_others_off_where_it_can_without_a_guard(attack, toy, said):
    guarded = toy.Federation("mesh", ClippingGuard(), attack).run()
    plain = toy.Federation("mesh", None, attack).run().displacement()
    assert guarded.displacement() <= toy.BOUND
    assert guarded.displacement() == pytest.approx(said[attack][3], abs=0.02)  # what the page says
    assert attack in TAME or plain > toy.BOUND
    assert not honest_refused(guarded, toy)


@pytest.mark.parametrize("attack", ["NaN", "mass times 10⁶", "inner product, 3 back", "at the guard's edge"])
def test_in_pairs_too_and_what_a_liar_does_falls_back_on_no_honest_site(attack, toy, said):
    run = toy.Federation("hypercube", ClippingGuard(), attack).run()
    assert run.displacement() == pytest.approx(said[attack][1], abs=0.02)
    assert not honest_refused(run, toy)


@pytest.mark.parametrize("topology", ["mesh", "hypercube"])
def test_without_a_liar_nobody_is_muted_and_the_mean_hardly_changes(topology, toy):
    guarded, plain = (toy.Federation(topology, guard, "none").run() for guard in (ClippingGuard(), None))
    assert not any(report.refused for _, reports in guarded.reports for report in reports)
    assert guarded.displacement() <= plain.displacement() + 0.05


def test_crude_liars_are_muted_nearly_all_the_time(toy):
    run = toy.Federation("mesh", ClippingGuard(), "sign flip").run()
    refused = [report for _, reports in run.reports for report in reports if report.refused]
    assert len(refused) > 100  # of 150


@pytest.mark.parametrize("topology", ["mesh", "hypercube"])
@pytest.mark.parametrize(("attack", "bound"), [("none", 0.1), ("sign flip", 0.5), ("NaN", 0.25)])
def test_sites_that_were_driven_apart_come_together_again(topology, attack, bound, toy):
    """Each at its own optimum, where it hardly moves: what it allows others then must not keep it there."""
    run = toy.Federation(topology, ClippingGuard(), attack)
    run._states = {site: run.algorithm.init(toy.OPTIMA[site], toy.MASSES[site]) for site in toy.SITES}
    assert run.run().displacement() < bound
    assert not honest_refused(run, toy)
