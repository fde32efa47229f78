"""Which runs a study has, and that all spend the same compute."""

import pytest

from gossamer.errors import ScheduleError
from gossamer.study.config import Study
from gossamer.study.jobs import jobs_to_choose, jobs_to_repeat, make_job

HOSPITALS = ("A", "B", "C", "D")

STUDY = Study.model_validate(
    {
        "title": "four hospitals",
        "datasets": ["A", "B", "C", "D"],
        "structures": ["Brainstem"],
        "seeds": [3, 5, 8],
        "steps": 200,
        "arms": {
            "local-only": {"kind": "local-only", "schedules": [{}]},
            "pooled": {"kind": "pooled", "schedules": [{}, {"batch_size": 4}]},
            "gossip": {"kind": "federated", "schedules": [{"local_steps": 5}, {"local_steps": 20}]},
        },
    }
)


def test_every_arm_and_schedule_sees_as_many_patches():
    for job in jobs_to_choose(STUDY, HOSPITALS):
        assert job.samples == 4 * 200
        assert job.rounds * job.local_steps == job.steps


def test_pooled_takes_n_times_the_steps_or_n_times_the_batch():
    long, wide = (make_job(STUDY, HOSPITALS, "pooled", s, 0) for s in STUDY.arms["pooled"].schedules)
    assert (long.steps, wide.steps) == (800, 200)
    assert long.learners == {"pooled": HOSPITALS}


def test_schedules_are_tried_on_the_first_seed_and_the_chosen_one_repeated_on_the_others():
    first = jobs_to_choose(STUDY, HOSPITALS)
    assert {job.seed for job in first} == {3}
    assert len(first) == 5
    chosen = {name: arm.schedules[-1] for name, arm in STUDY.arms.items()}
    later = jobs_to_repeat(STUDY, HOSPITALS, chosen)
    assert [job.seed for job in later] == [5, 5, 5, 8, 8, 8]
    assert len({job.name for job in first + later}) == 11


def test_each_hospital_is_served_by_its_own_model_or_the_pooled_one():
    local, pooled = (
        make_job(STUDY, HOSPITALS, arm, STUDY.arms[arm].schedules[0], 0) for arm in ("local-only", "pooled")
    )
    assert [local.model_of(h) for h in HOSPITALS] == list(HOSPITALS)
    assert {pooled.model_of(h) for h in HOSPITALS} == {"pooled"}


def test_steps_that_do_not_divide_into_rounds_are_refused_with_the_multiple_to_choose():
    study = STUDY.model_copy(update={"steps": 203})
    with pytest.raises(ScheduleError, match="3 left over; choose steps as a multiple of 5"):
        make_job(study, HOSPITALS, "gossip", study.arms["gossip"].schedules[0], 0)
