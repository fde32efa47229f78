from dataclasses import replace

import numpy as np
import pytest
import torch

from gossamer.errors import PlanError, ScheduleError
from gossamer.learn.trainer import SegmentationTrainer
from gossamer.learn.validate import mean_by_structure, validate
from gossamer.nets import build_network, load_parameters, parameters_of


@pytest.fixture(scope="module")
def trainer_of(toy_plan, toy_recipe, fabric):
    def make(cases, recipe=toy_recipe, seed=1):
        return SegmentationTrainer(cases, toy_plan, recipe, seed=seed, site="A", total_steps=60, fabric=fabric)

    return make


@pytest.fixture(scope="module")
def dsc_of(toy_plan, fabric, unseen_cases):
    def score(params):
        network = build_network(toy_plan)
        load_parameters(network, params)
        return mean_by_structure(validate(network, unseen_cases, toy_plan, fabric), toy_plan.structures)

    return score


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def start(toy_plan):
    return parameters_of(build_network(toy_plan, seed=7))


def test_a_toy_is_learnt_in_sixty_steps(toy_cases, trainer_of, dsc_of, start):
    trainer = trainer_of(toy_cases)
    result = trainer.fit(start, steps=60, round_index=0)
    assert (result.steps, result.samples) == (60, 120)
    assert min(dsc_of(result.params).values()) > 0.8


def test_an_organ_erased_from_half_of_the_cases_and_declared_so_is_still_learnt(
    half_drawn_cases, trainer_of, dsc_of, start
):
    """Counted as background where it was not drawn, it would be pushed to nothing in half of the patches."""
    trainer = trainer_of(half_drawn_cases)
    result = trainer.fit(start, steps=60, round_index=0)
    assert dsc_of(result.params)["Kidney_R"] > 0.8


def test_the_same_seed_gives_the_same_bits(toy_cases, trainer_of, start):
    once, again, other = (trainer_of(toy_cases, seed=seed).fit(start, steps=3, round_index=0) for seed in (1, 1, 2))
    assert equal(once.params, again.params)
    assert once.loss == again.loss
    assert not equal(once.params, other.params)


def test_the_global_random_state_is_neither_read_nor_changed(toy_cases, trainer_of, start):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002  # the global state is what this test watches
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    trainer_of(toy_cases).fit(start, steps=2, round_index=0)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_restored_after_a_stop_it_goes_on_with_the_same_bits(toy_cases, trainer_of, start):
    unbroken = trainer_of(toy_cases)
    middle = unbroken.fit(start, steps=3, round_index=0)
    kept = unbroken.state()
    end = unbroken.fit(middle.params, steps=2, round_index=1)
    restarted = trainer_of(toy_cases)
    restarted.restore(kept)
    assert equal(restarted.fit(middle.params, steps=2, round_index=1).params, end.params)
    assert equal(restarted.state().tensors, unbroken.state().tensors)
    forgetful = trainer_of(toy_cases)
    assert not equal(forgetful.fit(middle.params, steps=2, round_index=1).params, end.params)


def test_restoring_the_state_before_the_first_step_forgets_all(toy_cases, trainer_of, start):
    trainer = trainer_of(toy_cases)
    fresh = trainer.state()
    first = trainer.fit(start, steps=2, round_index=0)
    trainer.restore(fresh)
    assert equal(trainer.fit(start, steps=2, round_index=0).params, first.params)


def test_a_state_once_taken_does_not_change_when_training_goes_on(toy_cases, trainer_of, start):
    trainer = trainer_of(toy_cases)
    result = trainer.fit(start, steps=1, round_index=0)
    kept = trainer.state()
    copies = {name: tensor.clone() for name, tensor in kept.tensors.items()}
    params = {name: tensor.clone() for name, tensor in result.params.items()}
    trainer.fit(result.params, steps=1, round_index=1)
    assert equal(copies, kept.tensors)
    assert equal(params, result.params)
    assert set(kept.tensors) == {f"{moment}.{name}" for name in start for moment in ("exp_avg", "exp_avg_sq")}


def test_how_steps_fall_into_rounds_does_not_matter(toy_cases, trainer_of, start):
    whole = trainer_of(toy_cases).fit(start, steps=4, round_index=0)
    parts = trainer_of(toy_cases)
    half = parts.fit(start, steps=2, round_index=0)
    assert equal(parts.fit(half.params, steps=2, round_index=1).params, whole.params)


def test_one_step_equals_plain_pytorch(toy_cases, toy_plan, still, trainer_of, start):
    """The same step written with nothing of ours but the patch and the loss."""
    from gossamer.learn.batch import batch_of
    from gossamer.learn.losses import segmentation_loss
    from gossamer.learn.patches import PatchMaker

    result = trainer_of(toy_cases, still).fit(start, steps=1, round_index=0)
    network = build_network(toy_plan)
    load_parameters(network, start)
    maker = PatchMaker(toy_cases, toy_plan, still, 1, "A")
    batch = batch_of([maker.patch(0), maker.patch(1)], torch.device("cpu"))
    optimizer = torch.optim.AdamW(network.parameters(), 0.04 * still.learning_rate, betas=(0.9, 0.99))
    segmentation_loss(network(batch.images), batch.targets, batch.annotated, still.dice).backward()
    optimizer.step()
    for name, tensor in parameters_of(network).items():
        torch.testing.assert_close(result.params[name], tensor, rtol=1e-4, atol=1e-6)


def test_the_proximal_term_keeps_the_parameters_nearer(toy_cases, toy_recipe, trainer_of, start):
    def distance(recipe):
        end = trainer_of(toy_cases, recipe).fit(start, steps=8, round_index=0).params
        return sum(float((end[name] - start[name]).square().sum()) for name in start)

    assert distance(replace(toy_recipe, proximal_mu=10.0)) < 0.7 * distance(toy_recipe)


def test_parameters_of_another_network_are_refused(toy_cases, trainer_of, start):
    with pytest.raises(PlanError, match=r"head\.bias"):
        trainer_of(toy_cases).fit(
            {name: tensor for name, tensor in start.items() if name != "head.bias"}, steps=1, round_index=0
        )


def test_a_loss_that_is_no_number_stops_the_run_and_says_what_to_do(toy_cases, trainer_of, start):
    broken = start | {"head.bias": torch.full_like(start["head.bias"], float("nan"))}
    with pytest.raises(ScheduleError, match="learning rate"):
        trainer_of(toy_cases).fit(broken, steps=1, round_index=0)


def test_teachers_are_refused_rather_than_ignored(toy_cases, trainer_of, start):
    with pytest.raises(ScheduleError, match="teachers"):
        trainer_of(toy_cases).fit(start, steps=1, round_index=0, teachers=[start])
