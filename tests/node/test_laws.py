"""The law of ``node.py`` over random runs: any order, loss, repeats, late timers and power cuts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.gossip import weighted_mean
from gossamer.node.events import Finish, Persist, Received, Send, Train, Woke
from gossamer.wire.messages import Receipt, ShareMessage

LAW = settings(max_examples=20, deadline=None)

FEDERATIONS = [
    ("AB", "sweep", None), ("ABC", "sweep", "base"), ("ABCD", "sweep", "hypercube"), ("ABCD", "sweep", "mesh"),
    ("ABC", "pushsum", "exponential"), ("ABCD", "pushsum", "epidemic"), ("ABCD", "dpsgd", "ring"),
    ("ABC", "fedavg", "star"), ("ABC", "rolling-sweep", None),
]  # fmt: skip

federations = st.sampled_from(FEDERATIONS)
seeds = st.integers(0, 2**32)
parts = st.sampled_from([0.0, 0.1, 0.3])


def bits(models):
    return {
        site: {name: tensor.numpy().tobytes() for name, tensor in model.items()}
        for site, model in sorted(models.items())
    }


@LAW
@given(federation=federations, seed=seeds, loss=parts, repeats=parts, power_cuts=parts)
def test_what_happens_on_the_way_does_not_change_a_bit(agree, fake_link, federation, seed, **faults):
    agreement = agree(*federation, rounds=3)
    clean = fake_link(agreement, 0).run()
    faulty = fake_link(agreement, seed, **faults).run()
    assert len(clean.finished) == len(federation[0])
    assert bits(faulty.finished) == bits(clean.finished)
    for node in faulty.nodes.values():
        assert (node.snapshot().inbox, node.snapshot().outstanding) == ({}, ())


@LAW
@given(federation=federations, seed=seeds, loss=parts, power_cuts=parts)
def test_disk_comes_before_wire(agree, fake_link, federation, seed, **faults):
    disk = {}

    def watch(node, event, now, actions):
        assert [isinstance(action, Persist) for action in actions].count(True) <= 1
        for place, action in enumerate(actions):
            match action:
                case Persist(snapshot):
                    assert place == 0
                    disk[node.site] = snapshot
                case Send(to, ShareMessage(envelope, share, attempt)):
                    kept = {(each.exchange, each.receiver): each.share for each in disk[node.site].outstanding}
                    # Its first sending comes with its Persist; whatever is sent again was kept then.
                    assert kept[envelope.exchange, to] is share or attempt > 0
                case Send(to, Receipt(envelope)):
                    kept = disk[node.site]
                    absorbed = envelope.exchange < kept.exchange
                    assert absorbed or to in kept.inbox[envelope.exchange]
                case Train() | Finish():
                    assert isinstance(actions[0], Persist)
        if not isinstance(event, Woke | Received):
            assert not actions or isinstance(actions[0], Persist)

    fake_link(agree(*federation), seed, repeats=0.2, watch=watch, **faults).run()
    assert sorted(disk) == list(federation[0])


@LAW
@given(federation=federations, seed=seeds)
def test_without_restarts_each_site_trains_each_round_once_and_finishes_once(agree, fake_link, federation, seed):
    asked = {}

    def watch(node, event, now, actions):
        asked.setdefault(node.site, []).extend(
            action.round_index if isinstance(action, Train) else "Finish"
            for action in actions
            if isinstance(action, Train | Finish)
        )

    fake_link(agree(*federation, rounds=3), seed, loss=0.2, repeats=0.3, watch=watch).run()
    assert asked == {site: [0, 1, 2, "Finish"] for site in federation[0]}


@LAW
@given(seed=seeds, topology=st.sampled_from(["exponential", "epidemic", "matching", "mesh"]), power_cuts=parts)
def test_mass_of_pushsum_is_neither_lost_nor_doubled(agree, fake_link, seed, topology, power_cuts):
    link = fake_link(agree("ABCD", "pushsum", topology, rounds=3), seed, loss=0.3, repeats=0.5, power_cuts=power_cuts)
    own = {site: node.snapshot().state.own for site, node in link.nodes.items()}
    link.run()
    states = [node.snapshot().state for node in link.nodes.values()]
    # 1 + 2 + 3 + 4 cases; the second row is nobody's.
    assert sum(mass.body for mass in own.values()) == 10.0
    assert sum(state.mass.body for state in states) == pytest.approx(10.0, abs=1e-9)
    assert sum(state.mass.rows["rows"][0] for state in states) == pytest.approx(10.0, abs=1e-9)
    assert sum(state.mass.rows["rows"][1] for state in states) == 0.0


@LAW
@given(seed=seeds, power_cuts=parts)
def test_sweep_ends_with_what_a_server_would_compute(agree, fake_link, train, seed, power_cuts):
    sites, rounds = "ABCD", 3
    link = fake_link(agree(sites, "sweep", "hypercube", rounds=rounds), seed, loss=0.2, power_cuts=power_cuts)
    masses = [node.snapshot().state.own for node in link.nodes.values()]
    model = link.nodes["A"].snapshot().state.params
    for round_index in range(rounds):
        model = weighted_mean([train(site, Train(round_index, model)) for site in sites], masses)
    link.run()
    for found in link.finished.values():
        for name, tensor in model.items():
            seen = slice(0, 1) if name == "rows" else slice(None)
            torch.testing.assert_close(found[name][seen], tensor[seen], rtol=1e-6, atol=1e-6)
