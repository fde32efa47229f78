"""The law of ``simulation.py``: the same settings give the same bits, and in lockstep faults give them too."""

from collections import Counter

import pytest
import torch

from gossamer.errors import ScheduleError
from gossamer.gossip import Mass, Share, weighted_mean
from gossamer.runtime import simulation as module
from gossamer.runtime.agenda import Agenda, Delivery
from gossamer.runtime.faults import FaultPlan, Outage, PowerCut, random_power_cuts
from gossamer.runtime.network import Line, Network
from gossamer.runtime.simulated_site import SimulatedSite
from gossamer.runtime.simulation import Simulation
from gossamer.wire.codec import encode
from gossamer.wire.messages import Envelope, Receipt, ShareMessage

BAD_LINES = Network(Line(delay_s=1.0, jitter_s=9.0, loss=0.3, duplicates=0.3))


def test_same_seed_gives_the_same_bits_bytes_and_times(simulation, trainer, outcome):
    runs = [outcome(simulation(trainer=trainer, network=BAD_LINES, seed=3).run()) for _ in range(2)]
    assert runs[0] == runs[1]


def test_other_seed_of_the_network_gives_other_times_and_the_same_models(simulation, trainer, bits):
    one, other = (simulation(trainer=trainer, network=BAD_LINES, seed=seed).run() for seed in (3, 4))
    assert bits(one.params) == bits(other.params)
    assert one.virtual_s != other.virtual_s


def test_other_seed_of_a_noisy_trainer_gives_other_models(simulation, noisy, bits):
    one, other = (simulation(trainer=lambda site, seed=seed: noisy(site, seed)).run() for seed in (0, 1))
    assert bits(one.params) != bits(other.params)


def test_loss_repeats_reordering_and_power_cuts_do_not_change_a_bit(
    simulation, trainer, federation, bits, with_reports
):
    clean, clean_reports = with_reports(simulation(*federation, trainer=trainer))
    cuts = random_power_cuts(list(clean.params), 9, count=12, events=25, longest_s=40.0)
    faulty = simulation(*federation, trainer=trainer, network=BAD_LINES, faults=FaultPlan(power_cuts=cuts), seed=1)
    result, reports = with_reports(faulty)
    assert bits(result.params) == bits(clean.params)
    # Rounds are told once each and in order, with the clean run's models and losses.
    assert reports == clean_reports
    assert [report[0] for report in reports] == [0, 1, 2]
    assert reports[-1][1] == bits(result.params)
    assert sum(result.bytes_sent.values()) > sum(clean.bytes_sent.values())
    assert not any(result.refusals.values())


def test_power_may_fail_at_any_place_of_a_run(simulation, with_reports, every_cut):
    whole = simulation("sweep", "base", 3, rounds=2)
    clean, clean_reports = with_reports(whole)
    places, struck = list(every_cut(whole._sites["B"].events, actions=5)), 0
    for event, actions in places:
        cut = FaultPlan(power_cuts=(PowerCut("B", event, actions, down_s=7.0),))
        federation = simulation("sweep", "base", 3, rounds=2, faults=cut)
        result, reports = with_reports(federation)
        struck += federation._sites["B"].life > 1
        assert (reports, result.rounds) == (clean_reports, clean.rounds), (event, actions)
    # All but those that came when every site had finished already.
    assert len(places) >= 50
    assert struck >= len(places) - 5


def test_loss_of_a_local_phase_that_a_power_cut_took_back_is_not_that_of_the_round_before(simulation, with_reports):
    # A's share needs 20 s to B, so that A trains round 1 while B has not ended round 0. A's fourth event is the end of
    # that training; the power fails before it is kept, and A comes to the end of round 0 once more.
    slow = Network(Line(delay_s=1.0), {("A", "B"): Line(delay_s=20.0)})
    _, clean = with_reports(simulation("sweep", "mesh", 2, network=slow))
    cut = FaultPlan(power_cuts=(PowerCut("A", 3, 0, down_s=1.0),))
    federation = simulation("sweep", "mesh", 2, network=slow, faults=cut)
    _, reports = with_reports(federation)
    assert federation._sites["A"].life == 2
    assert reports == clean


def test_share_on_the_wire_is_the_share_on_the_disk_though_training_never_repeats_itself(
    simulation, moody, bits, every_cut
):
    models = set()
    for event, actions in every_cut(events=20):
        models |= models_after_cut(simulation, moody, bits, event, actions)
    # The cuts after the training and before its Persist make another run of it; sites agree in each.
    assert len(models) > 1


def test_missing_persist_would_be_seen(simulation, moody, every_cut, bits, monkeypatch):
    # The control of the test above: a site that sends what training made without keeping it.
    keep = SimulatedSite.persist

    def forget(site, snapshot):
        if snapshot.phase != "exchanging":
            keep(site, snapshot)

    monkeypatch.setattr(SimulatedSite, "persist", forget)
    with pytest.raises(AssertionError, match="assert 2 == 1"):
        all(models_after_cut(simulation, moody, bits, event, actions) for event, actions in every_cut(events=20))


def models_after_cut(simulation, moody, bits, event, actions):
    """The one model that both sites of a sweep end with; an error if they differ."""
    cut = FaultPlan(power_cuts=(PowerCut("A", event, actions, down_s=7.0),))
    result = simulation(count=2, rounds=2, trainer=moody, faults=cut).run()
    models = {str(model) for model in bits(result.params).values()}
    assert len(models) == 1
    return models


def test_sweep_gives_what_a_server_would_compute(simulation, plain):
    federation = simulation("sweep", "base", 3, trainer=plain, faults=FaultPlan((Outage("B", 0.0, 100.0),)))
    masses = [site.node.snapshot().state.own for site in federation._sites.values()]
    model, trainers = federation._sites["A"].node.snapshot().state.params, [plain(site) for site in "ABC"]
    for round_index in range(3):
        model = weighted_mean([each.fit(model, steps=2, round_index=round_index).params for each in trainers], masses)
    for found in federation.run().params.values():
        for name, tensor in model.items():
            torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-6)


def test_bytes_are_the_lengths_of_all_frames_that_were_sent(simulation, monkeypatch):
    counted, sent = Counter(), []

    def count(message):
        frame = encode(message)
        counted[message.envelope.sender] += len(frame.to_bytes())
        sent.append(type(message))
        return frame

    monkeypatch.setattr(module, "encode", count)
    cuts = random_power_cuts("ABCD", 2, count=8, events=20, longest_s=40.0)
    result = simulation(network=BAD_LINES, faults=FaultPlan((Outage("C", 5.0, 60.0),), cuts), seed=2).run()
    assert result.bytes_sent == counted
    # Four sites, two exchanges a round, three rounds: and each time some more, for what was lost.
    assert min(sent.count(Receipt), sent.count(ShareMessage)) > 4 * 2 * 3


def test_clean_sweep_over_four_sites_sends_two_shares_and_two_receipts_a_site_and_round(simulation):
    federation = simulation(rounds=3)
    envelope = Envelope("a" * 64, "D", "B", 0)
    params = federation._sites["D"].node.snapshot().state.params
    share = len(encode(ShareMessage(envelope, Share(params, Mass(0.5, {"head": (0.5, 0.0)})))).to_bytes())
    receipt = len(encode(Receipt(envelope)).to_bytes())
    for sent in federation.run().bytes_sent.values():
        # A mass of 0 is 12 digits shorter than another, and headers are padded to 8 bytes: 16 a share at most.
        assert sent == pytest.approx(3 * 2 * (share + receipt), abs=3 * 2 * 16)


def test_clocks_of_a_clean_run_by_hand(simulation):
    # A mesh of two: 2 steps of 3 s (B: 5 s), a share and a receipt of 1 s each way; B is the slower one.
    federation = simulation("sweep", "mesh", 2, rounds=2, step_s={"A": 3.0, "B": 5.0})
    reports = []
    result = federation.run(reports.append)
    # A has B's share at 11 s, B has A's since 7 s: round 0 ends at 11 s, when A begins round 1; B began it at 10 s.
    # Round 1: B sends at 20 s, A has it at 21 s and B the receipt at 22 s. A sent at 17 s and has a receipt since 19 s.
    assert [report.virtual_s for report in reports] == [11.0, 22.0]
    assert result.virtual_s == 22.0


def test_share_that_is_lost_is_sent_again_after_the_agreed_wait(simulation):
    # Cut off for the first 20 s, A's share of 4 s is lost, and so is its second copy of 4 + 10 s; the third, after
    # twice the wait, is sent at 34 s.
    federation = simulation(
        "sweep", "mesh", 2, rounds=1, step_s={"A": 2.0, "B": 2.0}, resend_after_s=10.0,
        faults=FaultPlan((Outage("A", 0.0, 20.0),)),
    )  # fmt: skip
    # Both shares arrive at 35 s and both receipts at 36 s.
    assert federation.run().virtual_s == 36.0


def test_local_phase_that_a_power_cut_stops_begins_anew(simulation):
    # A's power fails as training begins and is back after 1 s: it trains from 1 s to 3 s, B has its share at 4 s and A
    # the receipt at 5 s. The end of the first training, noted for 2 s, is void.
    cut = FaultPlan(power_cuts=(PowerCut("A", 0, 2, down_s=1.0),))
    assert simulation("sweep", "mesh", 2, rounds=1).run().virtual_s == 4.0
    assert simulation("sweep", "mesh", 2, rounds=1, faults=cut).run().virtual_s == 5.0


@pytest.mark.parametrize("outage", [Outage("B", 0.0, 5000.0), Outage("A", 3.0, 40.0), Outage("D", 10.0, 10_000.0)])
def test_run_ends_after_an_outage_with_the_same_bits(simulation, outage, bits):
    clean = simulation().run()
    result = simulation(faults=FaultPlan((outage,))).run()
    assert bits(result.params) == bits(clean.params)
    assert result.virtual_s > clean.virtual_s


def test_halves_that_hardly_hear_each_other_agree_to_the_bit(simulation, bits):
    # Nine of ten frames between A or B and C or D are lost.
    lines = {ends: Line(delay_s=1.0, loss=0.9) for a in "AB" for c in "CD" for ends in ((a, c), (c, a))}
    network = Network(Line(delay_s=1.0), lines)
    assert bits(simulation(network=network, seed=8).run().params) == bits(simulation().run().params)


def test_line_that_loses_everything_is_reported_as_a_stall_that_names_who_waits_for_whom(simulation):
    deaf = Network(Line(delay_s=1.0), {("A", "B"): Line(loss=1.0)})
    federation = simulation("sweep", "mesh", 2, network=deaf, resend_after_s=86_400.0)
    # A trains for 2 s, has B's share at 3 s and trains to 5 s; then both wait.
    with pytest.raises(ScheduleError, match=r"no progress since 5 virtual s \(A waits for B; B waits for A\)"):
        federation.run()
    assert 90 <= federation._agenda.now_s / 86_400 < 200
    assert federation.result().params == {}


def test_site_whose_training_diverged_is_refused_and_the_stall_points_to_it(simulation, plain):
    class Diverged(plain):
        def fit(self, params, **settings):
            result = super().fit(params, **settings)
            if self.site == "B":
                result.params["body"][1] = torch.nan
            return result

    federation = simulation("sweep", "mesh", 3, trainer=Diverged, resend_after_s=86_400.0)
    with pytest.raises(ScheduleError, match=r"A waits for B.*shares that are always refused"):
        federation.run()
    refusals = federation.result().refusals
    assert refusals["A"]["GOS-502"] > 1
    assert refusals["C"]["GOS-502"] > 1
    assert refusals["B"] == {}


def test_bytes_that_no_node_made_are_refused_and_change_nothing(simulation, bits):
    clean, federation = simulation().run(), simulation()
    own = federation._sites["B"].node.snapshot().state
    spoiled = {name: tensor * torch.nan for name, tensor in own.params.items()}
    wrong = {
        "forged sender": ShareMessage(Envelope("a" * 64, "C", "A", 0), Share(own.params, own.own)),
        "other federation": ShareMessage(Envelope("b" * 64, "B", "A", 0), Share(own.params, own.own)),
        "not finite": ShareMessage(Envelope("a" * 64, "B", "A", 0), Share(spoiled, own.own)),
        "other network": ShareMessage(Envelope("a" * 64, "B", "A", 0), Share({"x": torch.ones(2)}, own.own)),
    }
    assert federation.step()
    for frame in (b"", b"\x80\x04.", bytes(10**6), *(encode(message).to_bytes() for message in wrong.values())):
        federation.put_on_line("B", "A", frame)
    result = federation.run()
    assert result.refusals["A"] == {"GOS-501": 4, "GOS-502": 1, "GOS-503": 2}
    assert bits(result.params) == bits(clean.params)


def test_second_share_of_a_peer_that_says_something_else_changes_nothing(simulation, bits):
    expected = bits(simulation("sweep", "mesh", 2).run().params)
    federation = simulation("sweep", "mesh", 2)
    own = federation._sites["B"].node.snapshot().state
    lie = encode(ShareMessage(Envelope("a" * 64, "B", "A", 0), Share(own.params, own.own.scaled(9.0)))).to_bytes()
    while federation._sites["A"].node.snapshot().exchange == 0:
        assert federation.step()
    for _ in range(3):
        federation.put_on_line("B", "A", lie)
    assert bits(federation.run().params) == expected


def test_frames_as_bytes_and_frames_in_memory_give_the_same_bits(simulation, bits, monkeypatch):
    in_memory, note, carried = simulation().run(), Agenda.note, []

    def note_bytes(agenda, at_s, happening):
        if isinstance(happening, Delivery):
            carried.append(happening.frame.to_bytes())
            happening = Delivery(happening.sender, happening.receiver, carried[-1])
        note(agenda, at_s, happening)

    monkeypatch.setattr(Agenda, "note", note_bytes)
    assert bits(simulation().run().params) == bits(in_memory.params)
    assert sum(map(len, carried)) == sum(in_memory.bytes_sent.values())


def test_nodes_and_trainers_must_be_those_of_the_schedule(simulation, plain):
    nodes = [site.node for site in simulation(count=4)._sites.values()]
    trainers = {site: plain(site) for site in "ABCD"}
    for some_nodes, some_trainers in ((nodes[:3], trainers), (nodes, {"A": plain("A")}), ([], {})):
        with pytest.raises(ScheduleError, match="wanted a node and a trainer for each site"):
            Simulation(some_nodes, some_trainers, local_steps=1)


def test_site_alone_trains_all_its_rounds(simulation, plain):
    federation = simulation("sweep", "mesh", 1, rounds=3, trainer=plain)
    result = federation.run()
    assert federation._sites["A"].trainer.fits == 3
    assert (result.virtual_s, result.bytes_sent, result.rounds) == (6.0, {"A": 0}, 3)


def test_finished_run_can_be_asked_again(simulation, outcome):
    federation = simulation()
    first = outcome(federation.run())
    assert not federation.step()
    assert outcome(federation.run()) == first


def test_each_local_phase_is_asked_for_with_the_agreed_steps_and_teachers(simulation, plain):
    asked = []

    class Recording(plain):
        def fit(self, params, *, steps, round_index, teachers=()):
            asked.append((self.site, round_index, steps, tuple(teachers)))
            return super().fit(params, steps=steps, round_index=round_index, teachers=teachers)

    simulation("sweep", "mesh", 2, rounds=2, trainer=Recording, local_steps=5).run()
    assert sorted(asked) == [(site, round_index, 5, ()) for site in "AB" for round_index in range(2)]


def test_long_run_holds_no_more_than_a_short_one(simulation, plain):
    sizes = {}
    federation = simulation("sweep", "mesh", 2, rounds=160, trainer=plain, network=BAD_LINES, seed=1)

    def measure(report):
        if report.round_index in (20, 150):
            sizes[report.round_index] = len(federation._agenda.record()[2]), len(federation._book.record()[1])

    federation.run(measure)
    # Frames under way and alarms, at most a handful a site, whatever the round.
    assert max(max(each) for each in sizes.values()) < 20
