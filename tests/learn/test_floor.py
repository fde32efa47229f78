"""A site does not train on from a model that is much worse on its own patients than what it had."""

import math
import threading

import pytest
import torch

from gossamer.gossip import TrainerState, TrainResult
from gossamer.learn.floor import FlooredTrainer, floor_under
from gossamer.learn.trainer import SegmentationTrainer
from gossamer.nets import build_network, parameters_of


class Halving:
    """Halves the distance to 0 in each phase; the loss is that distance."""

    def __init__(self):
        self.began, self.phases = [], 0

    def fit(self, params, *, steps, round_index, teachers=()):
        self.began.append(float(params["x"]))
        self.phases += 1
        return TrainResult({"x": params["x"] / 2}, steps, steps, 0.0)

    def state(self):
        return TrainerState({"moment": torch.ones(1)}, {"phases": self.phases})

    def restore(self, state):
        assert set(state.tensors) == {"moment"}
        self.phases = state.values["phases"]


def floored():
    trainer = Halving()
    return FlooredTrainer(trainer, lambda params: abs(float(params["x"]))), trainer


def at(value):
    return {"x": torch.tensor(float(value))}


def fit(trainer, value):
    return trainer.fit(at(value), steps=1, round_index=0)


def test_the_first_phase_and_each_that_is_no_worse_begin_where_they_are_told():
    trainer, inner = floored()
    assert [fit(trainer, value).began for value in (8.0, 4.0, 3.0)] == [None] * 3  # best 2 of 8: up to 3.5
    assert inner.began == [8.0, 4.0, 3.0]
    assert trainer.held == 0


@pytest.mark.parametrize("spoilt", [100.0, -100.0, math.nan, math.inf])
def test_an_estimate_that_lost_most_of_the_gain_is_not_trained_on(spoilt):
    trainer, inner = floored()
    fit(trainer, 8.0)
    result = fit(trainer, spoilt)
    assert float(result.began["x"]) == inner.began[1] == 4.0
    assert float(result.params["x"]) == 2.0
    assert trainer.held == 1


def test_slow_decay_is_stopped_at_the_best_there_was():
    """Each round a little worse: what counts is not the round before but the best of all."""
    trainer, inner = floored()
    fit(trainer, 8.0)
    fit(trainer, 4.0)
    for _ in range(20):
        fit(trainer, inner.began[-1] * 1.4)
    assert max(inner.began[2:]) <= 4.0


def test_what_a_floor_knows_survives_a_stop():
    trainer, _ = floored()
    fit(trainer, 8.0)
    fit(trainer, 1000.0)
    again, inner = floored()
    again.restore(trainer.state())
    assert (again.held, inner.phases) == (1, 2)
    assert float(again.best["x"]) == 2.0
    assert again.falls_through(at(8.0))
    assert not again.falls_through(at(2.1))


def test_a_floor_without_a_phase_lets_all_through():
    trainer, _ = floored()
    assert not trainer.falls_through(at(math.nan))
    trainer.restore(trainer.state())
    assert trainer.best == {}


@pytest.fixture(scope="module")
def on_patients(toy_cases, unseen_cases, toy_plan, toy_recipe, fabric):
    def build(cases=unseen_cases):
        inner = SegmentationTrainer(toy_cases, toy_plan, toy_recipe, seed=1, site="A", total_steps=40, fabric=fabric)
        return inner, floor_under(inner, cases, toy_plan, toy_recipe, seed=1, site="A")

    return build


def test_on_patients_the_bits_are_those_without_a_floor_until_a_model_is_spoilt(on_patients, toy_plan):
    start = parameters_of(build_network(toy_plan, seed=7))
    plain, _ = on_patients()
    _, trainer = on_patients()
    for round_index in range(2):
        wanted = plain.fit(start, steps=10, round_index=round_index).params
        found = trainer.fit(start, steps=10, round_index=round_index)
        assert found.began is None
        assert all(torch.equal(found.params[name], wanted[name]) for name in wanted)
        start = wanted
    spoilt = {name: -tensor for name, tensor in start.items()}
    result = trainer.fit(spoilt, steps=1, round_index=2)
    assert all(torch.equal(result.began[name], start[name]) for name in start)
    assert trainer.falls_through(spoilt)


def test_a_site_without_validation_patients_has_no_floor(on_patients):
    assert on_patients(cases=[])[1] is None


def test_a_model_is_judged_after_the_phase_that_goes_on_not_in_it():
    """Without a common clock the run may be over while a site still trains; there is one network."""
    began, goes_on = threading.Event(), threading.Event()

    class Slow(Halving):
        def fit(self, params, **about):
            began.set()
            goes_on.wait(60)
            return super().fit(params, **about)

    inner = Slow()
    trainer = FlooredTrainer(inner, lambda params: abs(float(params["x"])))
    training = threading.Thread(target=fit, args=(trainer, 8.0))
    training.start()
    assert began.wait(60)
    judged = []
    judging = threading.Thread(target=lambda: judged.append((trainer.falls_through(at(9.0)), inner.phases)))
    judging.start()
    goes_on.set()
    training.join(60)
    judging.join(60)
    assert judged == [(True, 1)]
