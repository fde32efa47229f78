"""Gossip without a common clock: nobody waits long, nothing is lost for good, all end with one model."""

import random

import pytest
import torch

from gossamer.errors import LedgerError, ScheduleError
from gossamer.gossip import Mass, SiteId, build_gossip
from gossamer.node.agreement import Agreement
from gossamer.node.events import Finish, PeerStarted, Persist, Received, Send, Started, Train, Trained, Woke
from gossamer.node.kinds import make_node, node_from
from gossamer.node.patience import MOST_IDLE
from gossamer.node.snapshot import SNAPSHOT_KINDS
from gossamer.wire.messages import News, Receipt, ShareMessage
from gossamer.wire.values import pack, unpack

FEDERATION = "f" * 64


def agree_on(sites="ABCD", *, rounds=6, topology=None):
    names = [SiteId(site) for site in sites]
    algorithm, schedule = build_gossip("pushsum", names, 5, topology=topology, asynchronous=True)
    return Agreement(FEDERATION, algorithm, schedule, rounds, resend_after_s=30.0, pace="asynchronous")


def node_at(agreement, site, cases=1.0, value=0.0):
    return make_node(SiteId(site), agreement, Mass(cases, {"rows": (cases, 0.0)}), params_of(value))


def params_of(value):
    return {"x": torch.full((2,), value), "rows": torch.full((2,), value)}


class Clinic:
    """Sites with speeds of their own on a clock; lines take ``delay_s``, lose, and are cut where ``is_up`` says so."""

    def __init__(self, agreement, phase_s, *, delay_s=0.1, loss=0.0, seed=0, is_up=lambda a, b, now: True):
        self.agreement, self.phase_s, self.delay_s, self.loss = agreement, phase_s, delay_s, loss
        self.chance, self.is_up, self.now, self.order = random.Random(seed), is_up, 0.0, 0
        self.agenda, self.models, self.idle, self.busy, self.waiting = [], {}, {}, {}, {}
        self.nodes = {site: node_at(agreement, site, 1.0 + k) for k, site in enumerate(agreement.topology.sites)}
        self.disks, self.trainings = {}, dict.fromkeys(self.nodes, 0)
        for site in self.nodes:
            self.idle[site] = self.busy[site] = 0.0
            self.hand_in(site, Started())

    def note(self, at_s, site, event):
        self.order += 1
        self.agenda.append((at_s, self.order, site, event))

    def hand_in(self, site, event):
        for action in self.nodes[site].handle(event, self.now):
            match action:
                case Persist(snapshot):
                    self.disks[site] = pack(snapshot, SNAPSHOT_KINDS).to_bytes()
                case Send(to, message):
                    if self.is_up(site, to, self.now) and self.chance.random() >= self.loss:
                        self.note(self.now + self.delay_s, to, Received(site, message))
                case Train(round_index, params):
                    self.idle[site] += self.now - self.waiting.pop(site, self.now)
                    self.busy[site] += self.phase_s[site]
                    made = {name: 0.9 * each + 0.1 * (ord(site) - 64) for name, each in params.items()}
                    self.note(self.now + self.phase_s[site], site, Trained(round_index, made, params))
                case Finish(params):
                    self.models[site] = params
        if isinstance(event, Trained):
            self.trainings[site] += 1
            if self.nodes[site].snapshot().phase == "exchanging":
                self.waiting[site] = self.now

    def run(self, until=lambda clinic: len(clinic.models) == len(clinic.nodes), most_events=20_000):
        for _ in range(most_events):
            if until(self):
                return self
            alarms = [(node.wake_at_s, -1, site, Woke()) for site, node in self.nodes.items() if node.wake_at_s]
            at_s, order, site, event = min([*self.agenda, *alarms], key=lambda each: each[:2])
            if order >= 0:
                self.agenda.remove((at_s, order, site, event))
            self.now = max(self.now, at_s)
            self.hand_in(site, event)
        raise AssertionError("the sites do not come to an end")

    def power_cut(self, site, disk=None):
        self.agenda = [each for each in self.agenda if each[2] != site or not isinstance(each[3], Trained)]
        self.nodes[site] = node_from(self.agreement, unpack(disk or self.disks[site], SNAPSHOT_KINDS))
        self.hand_in(site, Started())


def mass_on(clinic):
    """All mass: at the sites, and in what was sent and is not yet taken."""
    held = [node.snapshot().state.mass.body for node in clinic.nodes.values()]
    flying = [
        each.share.mass.body
        for node in clinic.nodes.values()
        for each in node.snapshot().outstanding
        if each.exchange > clinic.nodes[each.receiver].snapshot().afoot.taken.get(node.site, -1)
    ]
    return sum(held) + sum(flying)


def same_bits(models):
    first, *others = models.values()
    return all(torch.equal(first[name], other[name]) for other in others for name in first)


def test_one_to_twenty_all_stay_in_the_model_and_the_fastest_idles_a_tenth_at_most():
    speeds = {"A": 1.0, "B": 1.02, "C": 1.04, "D": 20.0}
    clinic = Clinic(agree_on(rounds=40), speeds, delay_s=0.01).run()
    assert same_bits(clinic.models)
    assert clinic.idle["A"] <= 0.1 * (clinic.busy["A"] + clinic.idle["A"])
    assert clinic.trainings["D"] >= 2
    absorbed = clinic.nodes["A"].absorbed
    assert all(absorbed[peer] > 0 for peer in "BCD")
    # All together did as much as in lockstep, and the slow one delayed nobody.
    assert sum(clinic.nodes["A"].snapshot().afoot.census[0].values()) == pytest.approx(160, abs=4)
    assert clinic.now < 40 * 1.5
    assert all(node.rounds_away() == {} for node in clinic.nodes.values())


def test_slow_sites_patients_count_more_than_its_share_of_the_phases():
    speeds = {"A": 1.0, "B": 1.0, "C": 1.0, "D": 20.0}
    clinic = Clinic(agree_on(rounds=60), speeds, delay_s=0.01).run()
    phases = clinic.nodes["A"].snapshot().afoot.census[0]
    masses = {site: 1.0 + k for k, site in enumerate("ABCD")}
    by_phases = sum(masses[s] * phases[s] * (ord(s) - 64) for s in "ABCD") / sum(masses[s] * phases[s] for s in "ABCD")
    by_patients = sum(masses[s] * (ord(s) - 64) for s in "ABCD") / 10
    assert by_phases < float(clinic.models["A"]["x"][0]) <= by_patients


def test_equal_speeds_end_near_the_mean_weighted_by_cases():
    clinic = Clinic(agree_on(rounds=80), dict(zip("ABCD", (1.0, 1.01, 1.02, 1.03), strict=True)), delay_s=0.01).run()
    assert float(clinic.models["A"]["x"][0]) == pytest.approx(3.0, abs=0.1)
    # The second row of masses is zero at all sites: nobody drew it.
    assert float(clinic.models["A"]["rows"][1]) == 0.0


@pytest.mark.parametrize("topology", ["rotation", "exponential", "matching", "ring", "mesh", "epidemic"])
def test_mass_is_neither_lost_nor_made_while_messages_are_lost_and_power_fails(topology):
    agreement = agree_on("ABCDE", rounds=30, topology=topology)
    clinic = Clinic(agreement, dict(zip("ABCDE", (1, 2, 3, 5, 8), strict=True)), loss=0.3, seed=3)
    for step in range(250):
        count = step
        clinic.run(until=lambda c: c.order > 0 and c.chance.random() < 0.5)
        if count % 25 == 7:
            clinic.power_cut("ABCDE"[count // 25 % 5])
        if any(node.snapshot().phase in ("lingering", "finished") for node in clinic.nodes.values()):
            break
        assert mass_on(clinic) == pytest.approx(15.0, rel=1e-9)
    clinic.run()
    assert len(clinic.models) == 5


def test_absent_site_costs_nobody_time_and_is_named():
    def is_up(a, b, now):
        return "D" not in (a, b)

    clinic = Clinic(agree_on(rounds=10), dict.fromkeys("ABCD", 10.0), is_up=is_up)
    clinic.run(until=lambda c: {"A", "B", "C"} <= set(c.models))
    assert same_bits({site: clinic.models[site] for site in "ABC"})
    assert all(set(clinic.nodes[site].rounds_away()) == {"D"} for site in "ABC")
    # Three do the work of four: 40 local phases of 10 s by three, and little more.
    assert clinic.now < 1.25 * 40 * 10.0 / 3 + 4 * 10.0
    # A site alone ends too, after all rounds, and knows whom it missed.
    clinic.run()
    assert set(clinic.nodes["D"].rounds_away()) == {"A", "B", "C"}


def test_site_that_is_back_after_days_takes_the_others_model_and_rolls_nobody_back():
    def is_up(a, b, now):
        return "D" not in (a, b) or not 25.0 < now < 350.0

    clinic = Clinic(agree_on(rounds=40), {"A": 5.0, "B": 5.1, "C": 5.2, "D": 5.3}, is_up=is_up)
    clinic.run(until=lambda c: c.now > 340)
    ahead = float(clinic.nodes["A"].snapshot().state.params["x"][0])
    clinic.is_up = lambda a, b, now: True
    for site, peer in ((a, b) for a in "ABCD" for b in "ABCD" if a != b and "D" in (a, b)):
        clinic.hand_in(site, PeerStarted(SiteId(peer)))
    clinic.run()
    assert same_bits(clinic.models)
    assert float(clinic.models["A"]["x"][0]) == pytest.approx(ahead, abs=0.8)
    assert clinic.nodes["A"].rounds_away()["D"] >= 10


def test_site_that_comes_when_all_is_over_ends_with_the_same_model():
    clinic = Clinic(agree_on(rounds=8), dict.fromkeys("ABCD", 5.0), is_up=lambda a, b, now: "D" not in (a, b))
    clinic.run(until=lambda c: {"A", "B", "C"} <= set(c.models) and "D" not in c.models)
    clinic.is_up = lambda a, b, now: True
    for site in "ABC":
        clinic.hand_in(site, PeerStarted(SiteId("D")))
    clinic.run()
    assert same_bits(clinic.models)


def test_partition_and_heal_both_sides_train_on_and_meet_again():
    def is_up(a, b, now):
        return not 20 < now < 120 or (a in "AB") == (b in "AB")

    clinic = Clinic(agree_on(rounds=60), dict(zip("ABCD", (2.0, 2.1, 2.2, 2.3), strict=True)), is_up=is_up)
    clinic.run(until=lambda c: c.now > 118)
    apart = {site: float(node.snapshot().state.params["x"][0]) for site, node in clinic.nodes.items()}
    assert all(count > 40 for count in clinic.trainings.values())
    assert abs(apart["A"] - apart["C"]) > 0.3
    # Resending waits for 30 s at first, then longer: a real line says when a peer is back.
    clinic.run(until=lambda c: c.now > 120.5)
    for a in "ABCD":
        for b in "ABCD":
            if (a in "AB") != (b in "AB"):
                clinic.hand_in(a, PeerStarted(SiteId(b)))
    clinic.run(until=lambda c: c.now > 121 + 4 * 2.3)
    together = {site: float(node.snapshot().state.params["x"][0]) for site, node in clinic.nodes.items()}
    assert max(together.values()) - min(together.values()) < 0.5 * abs(apart["A"] - apart["C"])
    clinic.run()
    assert same_bits(clinic.models)


def test_site_set_back_to_a_backup_numbers_on_and_catches_up():
    clinic = Clinic(agree_on(rounds=40), {"A": 2.0, "B": 2.1, "C": 2.2, "D": 2.3})
    clinic.run(until=lambda c: c.now > 6)
    backup = clinic.disks["D"]
    clinic.run(until=lambda c: c.now > 60)
    before = dict(clinic.nodes["A"].snapshot().afoot.taken)
    clinic.power_cut("D", backup)
    clinic.run()
    assert same_bits(clinic.models)
    assert clinic.nodes["A"].snapshot().afoot.taken["D"] > before["D"]


def test_run_goes_on_to_the_same_bits_from_any_snapshot():
    speeds = {"A": 2.0, "B": 3.1, "C": 4.2, "D": 9.3}
    straight = Clinic(agree_on(rounds=8), speeds, loss=0.2, seed=4).run()
    broken = Clinic(agree_on(rounds=8), speeds, loss=0.2, seed=4)
    while len(broken.models) < 4:
        broken.run(until=lambda c: c.order % 7 == 3 or len(c.models) == 4)
        site = "ABCD"[broken.order % 4]
        live = pack(broken.nodes[site].snapshot(), SNAPSHOT_KINDS).to_bytes()
        broken.nodes[site] = node_from(broken.agreement, unpack(live, SNAPSHOT_KINDS))
        before = broken.order
        broken.run(until=lambda c, before=before: c.order > before or len(c.models) == 4)
    assert all(torch.equal(broken.models[site]["x"], straight.models[site]["x"]) for site in "ABCD")


def test_crossing_swaps_count_as_answers():
    agreement = agree_on("AB", rounds=2)
    a, b = node_at(agreement, "A"), node_at(agreement, "B")
    for node in (a, b):
        node.handle(Started(), 0.0)
    sent = {}
    for node in (a, b):
        actions = node.handle(Trained(0, params_of(1.0), params_of(0.0)), 10.0)
        (sent[node.site],) = [each.message for each in actions if isinstance(each, Send)]
        assert node.waits_for == (("B",) if node is a else ("A",))
    actions = a.handle(Received(SiteId("B"), sent["B"]), 10.1)
    assert [type(each) for each in actions] == [Persist, Send, Train]
    assert isinstance(actions[1].message, Receipt)
    assert a.waits_for == ()


def test_wait_after_a_phase_is_a_tenth_of_it_and_then_training_goes_on():
    node = node_at(agree_on("AB", rounds=5), "A")
    node.handle(Started(), 100.0)
    node.handle(Trained(0, params_of(1.0), params_of(0.0)), 150.0)
    assert node.wake_at_s == 150.0 + MOST_IDLE * 50.0
    assert node.handle(Woke(), 154.9) == []
    assert [type(each) for each in node.handle(Woke(), 155.0)] == [Persist, Train]


@pytest.fixture
def share(share_from):
    def build(number, role, news=None, value=1.0):
        plain = share_from("B", "A", number, value)
        return ShareMessage(plain.envelope, plain.share, 0, role, news or News((0, 0), (0, 0)))

    return build


def test_share_that_comes_while_training_is_answered_absorbed_and_kept(share):
    node = node_at(agree_on("AB", rounds=5), "A")
    node.handle(Started(), 0.0)
    actions = node.handle(Received(SiteId("B"), share(0, "swap", value=4.0)), 1.0)
    assert [type(each) for each in actions] == [Persist, Send, Send]
    receipt, answer = actions[1].message, actions[2].message
    assert isinstance(receipt, Receipt)
    assert (answer.role, float(answer.share.params["x"][0]), answer.share.mass.body) == ("answer", 0.0, 0.5)
    # 0.5 of its own at 0 and 1 of the other's at 4.
    assert float(node.snapshot().state.params["x"][0]) == pytest.approx(8 / 3)
    # The same again: a receipt, nothing else.
    assert [type(each) for each in node.handle(Received(SiteId("B"), share(0, "swap", value=4.0)), 2.0)] == [Send]
    # The step is added to what has come meanwhile.
    weight = node.snapshot().state.mass.body
    node.handle(Trained(0, params_of(1.0), params_of(0.0)), 5.0)
    part = (0.5 + 2) / (1 + 2)
    assert float(node.snapshot().state.params["x"][0]) == pytest.approx(8 / 3 + part * 1 / weight)


def test_step_from_an_estimate_that_was_given_up_is_not_taken(share):
    node = node_at(agree_on("AB", rounds=50), "A")
    node.handle(Started(), 0.0)
    node.handle(Received(SiteId("B"), share(0, "swap", News((0, 40), (0, 40)), value=4.0)), 1.0)
    caught_up = float(node.snapshot().state.params["x"][0])
    assert caught_up == pytest.approx(4.0, abs=0.2)
    node.handle(Trained(0, params_of(9.0), params_of(0.0)), 5.0)
    assert float(node.snapshot().state.params["x"][0]) == caught_up
    assert node.local_phases == 0


def test_messages_of_lockstep_or_with_counts_of_other_sites_are_refused(share, picture):
    node = node_at(agree_on("AB"), "A")
    node.handle(Started(), 0.0)
    before = picture(node)
    for message in (share(0, "step"), share(0, "swap", News((1, 1, 1), (1, 1, 1)))):
        with pytest.raises(LedgerError, match="shares of the asynchronous pace"):
            node.handle(Received(SiteId("B"), message), 1.0)
    assert picture(node) == before


def test_peer_cannot_raise_another_sites_own_count(share):
    node = node_at(agree_on("AB", rounds=10), "A")
    node.handle(Started(), 0.0)
    node.handle(Received(SiteId("B"), share(0, "swap", News((10**8, 5), (0, 0)))), 1.0)
    assert (node.snapshot().phase, node.local_phases) == ("training", 0)


def test_one_fast_site_of_four_never_idles():
    clinic = Clinic(agree_on(rounds=20), {"A": 1.0, "B": 5.0, "C": 10.0, "D": 20.0}, delay_s=0.01).run()
    assert same_bits(clinic.models)
    assert clinic.idle["A"] <= 0.1 * (clinic.busy["A"] + clinic.idle["A"])
    assert clinic.trainings["A"] > 40
    assert clinic.now < 80 / (1 + 1 / 5 + 1 / 10 + 1 / 20) * 1.2


def test_receipt_far_beyond_all_numbers_is_refused(receipt_from):
    node = node_at(agree_on("AB"), "A")
    node.handle(Started(), 0.0)
    with pytest.raises(LedgerError, match="receipts for what was sent"):
        node.handle(Received(SiteId("B"), receipt_from("B", "A", 10**12)), 1.0)


@pytest.mark.parametrize("algorithm", ["sweep", "rolling-sweep", "dpsgd", "fedavg"])
def test_algorithm_that_needs_a_common_clock_is_refused(algorithm):
    chosen, schedule = build_gossip(algorithm, [SiteId(site) for site in "ABCD"], 0)
    with pytest.raises(ScheduleError, match="needs no common clock"):
        Agreement(FEDERATION, chosen, schedule, 3, pace="asynchronous")
