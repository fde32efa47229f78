"""What the arms put together: who trains on what, how much it counts, who exchanges with whom."""

from dataclasses import replace

import pytest
import torch

from gossamer.errors import NoTrainingCaseError, ScheduleError
from gossamer.gossip.alone import Alone
from gossamer.gossip.sweep import Sweep
from gossamer.learn.recipe import Recipe
from gossamer.segment.model_file import read_model
from gossamer.study.config import Arm, Schedule
from gossamer.study.course import run_job
from gossamer.study.federation import federation_of, recipe_of, require_gossip
from gossamer.study.jobs import make_job

WITHOUT_EFFECT = {"body.body.model.0.conv.bias", "body.body.model.1.submodule.conv.bias", "body.mix.bias"}
"""Instance normalisation takes these away again: their gradient is rounding alone, of which Adam makes whole steps."""


def with_arm(workspace, name, *, steps=20, validations=1, **arm):
    """The workspace with one arm more, and a run of it."""
    built = Arm.model_validate(arm)
    arms = {**workspace.study.arms, name: built}
    study = workspace.study.model_copy(update={"arms": arms, "steps": steps, "validations": validations})
    workspace = replace(workspace, study=study)
    return workspace, make_job(study, workspace.sites, name, built.schedules[0], seed=0)


def job_of(workspace, arm):
    return make_job(workspace.study, workspace.sites, arm, workspace.study.arms[arm].schedules[0], seed=0)


def test_pooled_is_one_site_with_the_cases_of_all(workspace):
    federation = federation_of(job_of(workspace, "pooled"), workspace, {})
    assert list(federation.trainers) == ["pooled"]
    assert federation.masses["pooled"].body == 5  # 2 + 2 + 1 training cases
    assert isinstance(federation.topology, Alone)


def test_site_counts_by_its_cases_and_each_structure_by_those_drawn_for_it(workspace):
    masses = federation_of(job_of(workspace, "gossip"), workspace, {}).masses
    assert {site: mass.body for site, mass in masses.items()} == {"A": 2, "B": 2, "C": 1}
    assert {site: set(mass.rows.values()) for site, mass in masses.items()} == {
        "A": {(2.0, 2.0, 2.0)}, "B": {(2.0, 2.0, 2.0)}, "C": {(1.0, 0.0, 1.0)},
    }  # fmt: skip


def test_plain_averaging_counts_all_rows_like_the_body(workspace):
    plain, job = with_arm(workspace, "plain", kind="federated", label_aware=False, schedules=[{"local_steps": 10}])
    assert all(not mass.rows for mass in federation_of(job, plain, {}).masses.values())


def test_all_arms_of_a_seed_start_from_the_same_parameters(workspace):
    starts = [federation_of(job_of(workspace, arm), workspace, {}).params for arm in ("local-only", "pooled", "fedavg")]
    for name, tensor in starts[0].items():
        assert all(torch.equal(tensor, other[name]) for other in starts[1:])


def test_fedavg_goes_over_a_star_and_gossip_over_a_schedule_without_a_centre(workspace):
    fedavg, gossip = (federation_of(job_of(workspace, arm), workspace, {}) for arm in ("fedavg", "gossip"))
    assert (fedavg.algorithm.name, fedavg.topology.name) == ("fedavg", "star")
    assert (gossip.algorithm.name, gossip.topology.name) == ("sweep", "base")


def test_fedavg_over_a_star_and_an_exact_sweep_end_with_the_same_model(workspace, witness):
    models = {}
    for algorithm in ("fedavg", "sweep"):
        own, job = with_arm(workspace, algorithm, kind="federated", algorithm=algorithm, schedules=[{"local_steps": 5}])
        run_job(job, own, witness)
        place = own.folder / "runs" / job.name / "models"
        models[algorithm] = {site: read_model(place / f"{site}.safetensors") for site in own.sites}
    for site in "ABC":
        star, sweep = (models[algorithm][site] for algorithm in ("fedavg", "sweep"))
        assert star.record.steps == sweep.record.steps == 20
        for name, tensor in star.params.items():
            if name not in WITHOUT_EFFECT:
                torch.testing.assert_close(sweep.params[name], tensor, rtol=0, atol=1e-5)


def test_arm_and_schedule_take_the_place_of_the_recipe_s_numbers(workspace):
    own, job = with_arm(
        workspace, "prox", kind="federated", proximal_mu=0.1,
        schedules=[{"batch_size": 2, "local_steps": 5, "learning_rate": 0.5}],
    )  # fmt: skip
    recipe = recipe_of(job, Recipe(weight_decay=0.3))
    assert (recipe.batch_size, recipe.learning_rate, recipe.proximal_mu) == (2, 0.5, 0.1)
    assert recipe.weight_decay == 0.3
    assert recipe_of(job_of(own, "local-only"), Recipe(learning_rate=0.7)).learning_rate == 0.7


def test_own_algorithm_goes_by_the_name_the_arm_calls_it(workspace):
    own, job = with_arm(workspace, "mine", kind="federated", algorithm="my-sweep", schedules=[{"local_steps": 10}])
    mine = Sweep()
    assert federation_of(job, own, {"my-sweep": mine}).algorithm is mine
    with pytest.raises(ScheduleError, match="found 'my-sweep'; did you mean 'sweep'"):
        require_gossip(job, {})


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"algorithm": "fedavgg"}, "did you mean 'fedavg'"),
        ({"topology": "rign"}, "did you mean 'ring'"),
        ({"algorithm": "fedavg", "topology": "ring"}, "star"),
    ],
)
def test_arm_that_cannot_be_is_refused_before_it_begins(workspace, arm, message):
    _, job = with_arm(workspace, "new", kind="federated", schedules=[{"local_steps": 10}], **arm)
    with pytest.raises(ScheduleError, match=message):
        require_gossip(job, {})


def test_site_whose_training_cases_were_all_set_aside_is_named(workspace):
    empty = replace(workspace.prepared["C"], cases=workspace.prepared["C"].split("val"))
    broken = replace(workspace, prepared={**workspace.prepared, "C": empty})
    with pytest.raises(NoTrainingCaseError, match="site C"):
        federation_of(job_of(broken, "gossip"), broken, {})


def test_schedule_has_a_name_to_read_and_one_for_files():
    schedule = Schedule(batch_size=2, local_steps=5, learning_rate=3e-3)
    assert schedule.name == "2 patches a step, exchange every 5, rate 0.003"
    assert schedule.slug == "2-patches-a-step-exchange-every-5-rate-0.003"
