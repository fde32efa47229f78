"""What is kept of a run's looks: the best models, the curve, and organs that are stuck."""

from dataclasses import replace

import pytest
import torch

from gossamer.errors import StorageError
from gossamer.nets import build_network, parameters_of
from gossamer.segment.model_file import read_model
from gossamer.study import lookout as lookout_module
from gossamer.study.config import Schedule
from gossamer.study.jobs import make_job
from gossamer.study.lookout import Lookout, mean_of_organs, organ_means

THREE_LOOKS = {
    2: {"A": 0.5, "B": 0.1, "C": 0.2},
    5: {"A": 0.4, "B": 0.6, "C": 0.3},
    8: {"A": 0.1, "B": 0.2, "C": 0.9},
}
"""DSC by step and hospital: each hospital is best at another look."""

SCORED = {"A": ("A-val-0", "A-val-1"), "B": ("B-val-0",), "C": ("C-val-0",)}


@pytest.fixture
def params(toy_workspace):
    return parameters_of(build_network(toy_workspace.plan, 0))


@pytest.fixture
def scores(monkeypatch):
    """DSC by case and organ that validation finds; set by the test before each look."""
    found = {}

    def validate(network, cases, plan, fabric):
        return {case.id: dict(found.get(case.id, {})) for case in cases}

    monkeypatch.setattr(lookout_module, "validate", validate)
    return found


@pytest.fixture
def look_out(workspace, monkeypatch):
    """A lookout over one arm of ten steps, an exchange or a pause after each."""

    def make(arm, *, steps=10):
        federated = workspace.study.arms[arm].kind == "federated"
        study = workspace.study.model_copy(update={"steps": steps})
        job = make_job(study, workspace.sites, arm, Schedule(local_steps=1 if federated else None), seed=0)
        (workspace.folder / "run/models").mkdir(parents=True, exist_ok=True)
        return Lookout(job, workspace, workspace.folder / "run")

    monkeypatch.setattr("gossamer.study.jobs.STEPS_BETWEEN_LOOKS", 1)
    return make


def marked(params, value):
    """Parameters that can be told from others by their first bias."""
    return {**params, "head.bias": torch.full_like(params["head.bias"], float(value))}


def look(lookout, step, params):
    """A look at models that are all marked with the step."""
    lookout.note_losses(step - 1, [0.5] * len(lookout._job.learners))
    return lookout.look(step, dict.fromkeys(lookout._job.learners, marked(params, step)), bytes_sent=0)


def kept(lookout, learner):
    """The step whose model is kept."""
    return float(read_model(lookout.model_path(learner)).params["head.bias"][0])


def set_dsc(scores, **by_site):
    scores.update({case: {"Kidney_L": dsc} for site, dsc in by_site.items() for case in SCORED[site]})


def test_hospitals_that_train_alone_choose_alone(look_out, scores, params):
    lookout = look_out("local-only")
    for step, dsc in THREE_LOOKS.items():
        set_dsc(scores, **dsc)
        look(lookout, step, params)
    assert [kept(lookout, site) for site in "ABC"] == [2, 5, 8]
    assert lookout.best_step() == 5  # the median


def test_federated_hospitals_choose_one_step_together_by_all_patients(look_out, scores, params):
    lookout = look_out("gossip")
    for step, dsc in THREE_LOOKS.items():
        set_dsc(scores, **dsc)
        look(lookout, step, params)
    # over the patients, two of them A's: (.5 + .5 + .1 + .2) / 4, (.4 + .4 + .6 + .3) / 4, (.1 + .1 + .2 + .9) / 4
    assert [point.dsc for point in lookout.curve.points] == pytest.approx([0.325, 0.425, 0.325])
    assert [kept(lookout, site) for site in "ABC"] == [5, 5, 5]
    assert lookout.best_step() == 5


def test_first_of_equal_looks_is_kept(look_out, scores, params):
    lookout = look_out("pooled")
    set_dsc(scores, A=0.5, B=0.5, C=0.5)
    for step in (2, 4):
        look(lookout, step, params)
    assert kept(lookout, "pooled") == lookout.best_step() == 2


def test_model_says_of_which_step_and_cases_it_is(look_out, scores, params):
    lookout = look_out("local-only")
    set_dsc(scores, A=0.5, B=0.5, C=0.5)
    look(lookout, 4, params)
    record = read_model(lookout.model_path("C")).record
    assert (record.arm, record.steps, record.rounds, record.sites) == ("local-only", 4, 0, {"C": 1})
    assert record.annotated == {"Kidney_L": 1, "Kidney_R": 0, "Prostate": 1}


def test_model_says_what_the_data_it_learned_from_were_like(look_out, scores, params):
    """Five training cases of all hospitals are enough for percentiles of their voxels, one hospital's are not."""
    for arm, learner, cases in (("gossip", "C", 5), ("pooled", "pooled", 5), ("local-only", "C", 0)):
        lookout = look_out(arm)
        set_dsc(scores, A=0.5, B=0.5, C=0.5)
        look(lookout, 4, params)
        learned = read_model(lookout.model_path(learner)).learned
        assert learned.cases == cases
        assert (learned.hu is not None) == (cases > 0)
        assert learned.spacing_mm == (None, None, None)


def test_model_of_a_workspace_of_an_earlier_release_says_nothing_of_it(look_out, scores, params):
    lookout = look_out("gossip")
    lookout._workspace = replace(lookout._workspace, fingerprints={})
    set_dsc(scores, A=0.5, B=0.5, C=0.5)
    look(lookout, 4, params)
    assert read_model(lookout.model_path("C")).learned is None


def test_look_taken_again_replaces_itself_and_all_after_it(look_out, scores, params):
    lookout = look_out("gossip")
    for step, dsc in ((2, 0.3), (5, 0.9), (8, 0.4)):
        set_dsc(scores, A=dsc, B=dsc, C=dsc)
        look(lookout, step, params)
    again = look_out("gossip")  # as after an interruption: read from the disk
    assert again.curve == lookout.curve
    set_dsc(scores, A=0.9, B=0.9, C=0.9)
    look(again, 5, params)
    assert [point.step for point in again.curve.points] == [2, 5]
    set_dsc(scores, A=0.4, B=0.4, C=0.4)
    look(again, 8, params)
    assert again.curve.points == lookout.curve.points
    assert kept(again, "A") == 5


def test_loss_of_a_look_is_the_mean_of_all_rounds_since_the_look_before(look_out, scores, params):
    lookout = look_out("pooled")
    for index, loss in enumerate([9.0, 1.0, 2.0, 6.0]):
        lookout.note_losses(index, [loss])
        lookout.keep()
        if index in (0, 3):
            if index == 3:
                lookout = look_out("pooled")  # what was noted before an interruption counts
            lookout.look(index + 1, {"pooled": params}, bytes_sent=0)
    assert [point.loss for point in lookout.curve.points] == [9.0, 3.0]


def test_losses_of_rounds_gone_through_again_count_once(look_out, scores, params):
    lookout = look_out("pooled")
    for index, loss in ((0, 4.0), (1, 8.0), (0, 4.0), (1, 8.0)):
        lookout.note_losses(index, [loss])
    lookout.look(2, {"pooled": params}, bytes_sent=0)
    assert lookout.curve.points[0].loss == 6.0


def test_organ_stuck_after_a_fifth_is_said_once_and_noted(look_out, scores, params):
    lookout = look_out("gossip")
    scores.update({case: {"Kidney_L": 0.7, "Prostate": 0.0} for cases in SCORED.values() for case in cases})
    said = [look(lookout, step, params) for step in (1, 2, 5, 10)]
    assert [len(lines) for lines in said] == [0, 1, 0, 0]  # a tenth is too early, a fifth is due
    [line] = said[1]
    assert "Prostate is still at DSC 0 after 2 of 10 steps" in line
    assert "3 voxels on the plan's grid" in line
    assert lookout.curve.notes == (line,)


def test_organ_said_before_an_interruption_is_not_said_again(look_out, scores, params):
    scores.update({case: {"Prostate": 0.0} for cases in SCORED.values() for case in cases})
    [line] = look(look_out("gossip"), 2, params)
    again = look_out("gossip")
    assert look(again, 2, params) == ()
    assert again.curve.notes == (line,)


@pytest.mark.parametrize("steps", [5 * k for k in (1, 3, 7, 9, 31, 61)])
def test_exact_fifth_is_due_once_whatever_the_rounding(look_out, scores, params, steps):
    lookout = look_out("gossip", steps=steps)
    scores.update({case: {"Prostate": 0.0} for cases in SCORED.values() for case in cases})
    said = [look(lookout, step, params) for step in (steps // 5, steps)]
    assert [len(lines) for lines in said] == [1, 0]


def test_hospital_without_patients_to_choose_by_goes_by_all(look_out, scores, params):
    lookout = look_out("local-only")
    for step, dsc in ((2, 0.3), (5, 0.9), (8, 0.4)):
        set_dsc(scores, A=dsc, B=dsc)  # C's patient has no score
        look(lookout, step, params)
    assert kept(lookout, "C") == 5
    assert set(lookout.curve.points[0].site_dsc) == {"A", "B"}


def test_damaged_curve_is_named(look_out, workspace):
    look_out("pooled")
    (workspace.folder / "run/curve.json").write_text('{"points": [')
    with pytest.raises(StorageError, match=r"curve\.json"):
        look_out("pooled")


def test_means_are_over_those_who_have_the_organ():
    patients = [{"Liver": 0.2, "Spleen": 1.0}, {"Liver": 0.4}, {}]
    assert organ_means(patients) == pytest.approx({"Liver": 0.3, "Spleen": 1.0})
    assert mean_of_organs({"Liver": 0.3, "Spleen": 1.0}) == pytest.approx(0.65)
    assert mean_of_organs({}) == 0.0
