"""What a study will cost: room, known before it begins, and time, measured while it runs."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from gossamer.errors import PlanError
from gossamer.nets import build_network
from gossamer.study.forecast import Forecast, disk_bytes, plan_without_images
from gossamer.study.run import outline, planned_jobs
from gossamer.study.workspace import make_plan


@pytest.fixture
def clock():
    return SimpleNamespace(s=0.0)


@pytest.fixture
def forecast(witness, clock):
    """Of four runs of 100 patches."""
    return Forecast(4, 100, witness.say, lambda: clock.s)


def finished(samples=100, wall_s=50.0):
    return SimpleNamespace(samples=samples, wall_s=wall_s)


def test_first_run_begins_without_a_guess_and_tells_when_it_has_got_going(forecast, clock, witness):
    with forecast.run("local-only, seed 0"):
        assert witness.said == ["run 1 of 4: local-only, seed 0"]
        clock.s = 2.0
        forecast.advance(4)
        assert len(witness.said) == 1
        clock.s = 3.0
        forecast.advance(4)
        # 8 patches in 3 s; 392 left: 147 s
        assert witness.said[1] == "the whole study: about 0:02:27 left (measured on the first 8 patches)"
        forecast.advance(50)
    assert len(witness.said) == 2


def test_each_later_run_begins_with_the_time_left_for_the_whole_study(forecast, clock, witness):
    with forecast.run("one"):
        forecast.advance(100)
        clock.s = 60.0  # validation and scoring take time too
    with forecast.run("two"):
        forecast.advance(100)
        clock.s = 300.0
    with forecast.run("three"):
        pass
    # 100 patches in 60 s, 300 left: 180 s; then 200 in 300 s, 200 left: 300 s
    assert witness.said[-2:] == ["run 2 of 4: two; about 0:03:00 left", "run 3 of 4: three; about 0:05:00 left"]


def test_runs_finished_before_count_with_the_time_they_took_then(forecast, witness):
    forecast.note_finished(finished())
    forecast.note_finished(finished(wall_s=150.0))
    with forecast.run("three"):
        pass
    assert witness.said == ["run 3 of 4: three; about 0:03:20 left"]  # 200 patches in 200 s, 200 left


def test_patches_seen_before_an_interruption_are_not_left_and_not_measured(forecast, clock, witness):
    with forecast.run("one"):
        forecast.skip(90)
        clock.s = 5.0
        forecast.advance(10)
    assert witness.said[1] == "the whole study: about 0:02:30 left (measured on the first 10 patches)"  # 300 at .5 s


def test_plan_without_images_is_the_plan_but_for_intensities(toy_workspace):
    study, plan = toy_workspace.study, toy_workspace.plan
    study = study.model_copy(update={"plan": replace(study.plan, spacing_mm=None, patch_size=None, patch_voxels=4096)})
    ours = plan_without_images(study, toy_workspace.datasets)
    theirs = make_plan(study, toy_workspace.datasets)
    intensities = {name: getattr(theirs, name) for name in ("hu_low", "hu_high", "hu_mean", "hu_sd")}
    assert replace(ours, **intensities) == theirs
    assert ours.structures == plan.structures


def test_disk_counts_prepared_cases_models_and_a_checkpoint_twice(toy_workspace):
    study, datasets = toy_workspace.study, toy_workspace.datasets
    jobs = planned_jobs(study, tuple(datasets), {})
    # 11 patients of 16 x 18 x 20 voxels at 2 mm, each two bytes of intensity and one of labels
    prepared = (5 + 4 + 2) * 16 * 18 * 20 * 3
    model = 4 * sum(weight.numel() for weight in build_network(toy_workspace.plan).parameters())
    # on seed 0 three models each for local-only, fedavg and twice gossip, one each for twice pooled; on seed 1 one
    # schedule each
    models = (3 + 3 + 3 + 3 + 1 + 1) + (3 + 3 + 3 + 1)
    assert disk_bytes(study, datasets, jobs) == prepared + model * (models + 2 * 5 * 3)


def test_study_leaves_no_more_than_was_told(toy_settings, toy_workspace, finished_study):
    told = disk_bytes(toy_settings, toy_workspace.datasets, planned_jobs(toy_settings, ("A", "B", "C"), {}))
    kept = [*finished_study.folder.rglob("*.npy"), *finished_study.folder.rglob("*.safetensors")]
    assert told / 4 < sum(path.stat().st_size for path in kept) <= told


def test_outline_tells_arms_runs_patches_and_disk(toy_settings, toy_workspace):
    lines = outline(toy_settings, toy_workspace.datasets).splitlines()
    assert lines[0] == "Three toy hospitals: 3 hospitals, 3 structures"
    assert lines[1] == "arms: local-only, pooled (2 schedules), fedavg, gossip (2 schedules); seeds: 0, 1"
    assert lines[2] == "10 runs of 60 patches each, 20 for each hospital; schedules are chosen on seed 0"
    assert lines[3].startswith("disk: at most ")


def test_structure_that_nobody_drew_is_refused_before_an_image_is_read(toy_settings, toy_workspace):
    study = toy_settings.model_copy(update={"structures": ("Kidney_L", "Liver")})
    with pytest.raises(PlanError, match="Liver"):
        outline(study, toy_workspace.datasets)
