"""What stands before a node's mean: a liar's share counts little, an honest one whole, and nothing is forgotten."""

from dataclasses import replace

import pytest
import torch

from gossamer.errors import ScheduleError, StorageError
from gossamer.gossip import Mass, Share, SiteId, build_gossip
from gossamer.gossip.clipping import ClippingGuard
from gossamer.node.agreement import Agreement
from gossamer.node.events import Judged, PeerJoined, Received, Started, Trained
from gossamer.node.gate import Gate
from gossamer.node.kinds import make_node, node_from
from gossamer.node.snapshot import SNAPSHOT_KINDS
from gossamer.wire.messages import Envelope, News, ShareMessage
from gossamer.wire.values import pack, unpack

FEDERATION = "f" * 64
NAMES = [SiteId(name) for name in "ABCD"]
PACES = pytest.mark.parametrize("pace", ["lockstep", "asynchronous"])
SIZE = 64


def agree_on(pace="lockstep", *, guard=True, joins_later=frozenset(), sites=NAMES):
    asynchronous = pace == "asynchronous"
    algorithm, topology = build_gossip("pushsum" if asynchronous else "sweep", sites, 5, asynchronous=asynchronous)
    masses = {site: Mass(10.0) for site in sites if site not in joins_later}
    return Agreement(
        FEDERATION, algorithm, topology, 6, pace=pace, guard=ClippingGuard() if guard else None, masses=masses,
        joins_later=joins_later,
    )  # fmt: skip


def params_of(value):
    return {"x": torch.full((SIZE,), float(value))}


def node_at(agreement, site="A"):
    return make_node(SiteId(site), agreement, Mass(10.0), params_of(0))


def after_a_phase(agreement, step=1.0):
    """A node whose first local phase moved every entry by ``step``."""
    node = node_at(agreement)
    node.handle(Started(), 0.0)
    node.handle(Trained(0, params_of(step), params_of(0)), 1.0)
    return node


def share_of(agreement, value, *, sender="B", mass=5.0, number=0):
    envelope = Envelope(FEDERATION, SiteId(sender), SiteId("A"), number)
    if agreement.pace == "lockstep":
        return ShareMessage(envelope, Share(params_of(value), Mass(mass)))
    return ShareMessage(envelope, Share(params_of(value), Mass(mass)), 0, "answer", News((1,) * 4, (1,) * 4))


def judged_in(actions):
    return [action.report for action in actions if isinstance(action, Judged)]


def value_at(node):
    return float(node.snapshot().state.params["x"].mean())


@PACES
def test_a_share_far_off_counts_only_as_far_as_the_guard_lets_it(pace):
    agreement = agree_on(pace)
    node = after_a_phase(agreement)
    judged = judged_in(node.handle(Received(SiteId("B"), share_of(agreement, 1000.0)), 2.0))
    assert [report.sender for report in judged] == ["B"]
    assert 0 < judged[0].factor < 0.01
    assert 1.0 < value_at(node) < 5.0


@PACES
def test_an_honest_share_counts_whole_and_nothing_is_told_of_it(pace):
    plain, guarded = (after_a_phase(agree_on(pace, guard=guard)) for guard in (False, True))
    message = share_of(guarded.agreement, 1.5)
    assert judged_in(guarded.handle(Received(SiteId("B"), message), 2.0)) == []
    plain.handle(Received(SiteId("B"), message), 2.0)
    assert torch.equal(plain.snapshot().state.params["x"], guarded.snapshot().state.params["x"])
    assert plain.snapshot().state.mass == guarded.snapshot().state.mass


@PACES
def test_numbers_that_are_none_are_refused_and_the_mass_is_kept(pace):
    agreement = agree_on(pace)
    node = after_a_phase(agreement)
    held, value = node.snapshot().state.mass.body, value_at(node)
    (report,) = judged_in(node.handle(Received(SiteId("B"), share_of(agreement, float("nan"))), 2.0))
    assert "finite" in report.refused
    assert value_at(node) == value
    handed_on = 0.5 if pace == "lockstep" else 1.0  # there the next exchange has begun
    assert node.snapshot().state.mass.body == (held + 5.0) * handed_on


@PACES
def test_more_mass_than_can_be_is_not_believed(pace):
    agreement = agree_on(pace)
    node = after_a_phase(agreement)
    (report,) = judged_in(node.handle(Received(SiteId("B"), share_of(agreement, 1.0, mass=1e6)), 2.0))
    assert "mass" in report.refused
    assert node.snapshot().state.mass.body <= 40.0


def test_hardly_any_mass_is_not_believed_either():
    """Or a liar would drain the others, whose steps grow as their weight falls."""
    agreement = agree_on("asynchronous")
    node = after_a_phase(agreement)
    held = node.snapshot().state.mass.body
    node.handle(Received(SiteId("B"), share_of(agreement, 1.0, mass=1e-6)), 2.0)
    assert node.snapshot().state.mass.body == held + 10.0 / 16


@PACES
def test_what_the_guard_remembers_survives_a_stop(pace):
    agreement = agree_on(pace)
    node = after_a_phase(agreement)
    node.handle(Received(SiteId("B"), share_of(agreement, 1000.0)), 2.0)
    kept = unpack(pack(node.snapshot(), SNAPSHOT_KINDS).to_bytes(), SNAPSHOT_KINDS)
    again = node_from(agreement, kept)
    assert kept.guard is not None
    assert kept.guard.phases == 1
    assert again.snapshot().guard == node.snapshot().guard


def test_a_snapshot_of_a_run_without_a_guard_is_none_of_one_with_a_guard():
    node = after_a_phase(agree_on(guard=False))
    with pytest.raises(StorageError, match="own folder"):
        node_from(agree_on(), node.snapshot())


def test_where_training_began_elsewhere_the_guard_sees_the_step_and_not_the_leap():
    """A site that did not trust the estimate began from its own: the leap there is no measure of what is usual."""
    seen = {}
    for pace in ("lockstep", "asynchronous"):
        node = node_at(agree_on(pace))
        node.handle(Started(), 0.0)
        node.handle(Trained(0, params_of(101), params_of(0), params_of(100)), 1.0)
        seen[pace] = value_at(node), node.snapshot().guard.moved["x"][0]
    first = 0.75  # of an asynchronous step: the others are taken to have done two phases already
    assert seen == {"lockstep": (101.0, 8.0), "asynchronous": (first * 101.0, first * 8.0)}


def test_a_site_that_joins_later_is_let_in_by_the_cases_it_tells_of():
    agreement = agree_on("asynchronous", joins_later=frozenset({SiteId("D")}))
    node = after_a_phase(agreement)
    assert node.handle(PeerJoined(SiteId("D"), Mass(30.0)), 2.0) == []
    message = share_of(agreement, 1.0, sender="D", mass=25.0)
    assert judged_in(node.handle(Received(SiteId("D"), message), 3.0)) == []


def test_a_guard_asks_for_the_cases_of_all():
    with pytest.raises(ScheduleError, match="site A, B, C, D"):
        replace(agree_on(), masses={})


def test_last_words_are_clipped_around_their_median_so_that_all_end_with_the_same():
    agreement = agree_on("asynchronous")
    words = {
        site: Share(params_of(value), Mass(10.0)) for site, value in zip(NAMES, (1.0, 1.1, 0.9, 500.0), strict=True)
    }
    kept = {}
    for me in NAMES:
        gate = Gate(me, agreement, node_at(agreement, me).snapshot().state)
        kept[me] = gate.let_in_last(words)
        assert [each.report.sender for each in gate.take_judged()] == ["D"]
    assert float(kept["A"]["D"].params["x"].mean()) < 2.0
    assert all(torch.equal(kept["A"][site].params["x"], kept[me][site].params["x"]) for me in NAMES for site in NAMES)
    assert kept["A"]["B"].params is words[NAMES[1]].params


def test_a_last_word_that_is_no_number_is_left_out():
    agreement = agree_on("asynchronous")
    words = {site: Share(params_of(1.0), Mass(10.0)) for site in NAMES[:3]} | {
        NAMES[3]: Share(params_of(float("inf")), Mass(10.0))
    }
    gate = Gate(NAMES[0], agreement, node_at(agreement).snapshot().state)
    assert sorted(gate.let_in_last(words)) == ["A", "B", "C"]


def test_of_two_last_words_nobody_can_say_which_is_off():
    agreement = agree_on("asynchronous")
    words = {site: Share(params_of(value), Mass(10.0)) for site, value in zip(NAMES, (1.0, 9.0), strict=False)}
    assert Gate(NAMES[0], agreement, node_at(agreement).snapshot().state).let_in_last(words) is words
