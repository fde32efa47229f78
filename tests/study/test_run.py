"""A whole study: equal compute, schedules chosen on validation, and every problem said before the first step."""

import json
import shutil

import pytest

from gossamer.errors import ConfigurationError, DatasetError, NoTrainingCaseError, ScheduleError, UsageError
from gossamer.runtime import simulation
from gossamer.study.config import Study, read_study
from gossamer.study.course import run_job
from gossamer.study.federation import federation_of
from gossamer.study.jobs import make_job
from gossamer.study.results import StudyResults
from gossamer.study.run import choose_schedules, run_study


def test_results_follow_their_schema(finished_study):
    text = (finished_study.folder / "results.json").read_text()
    assert StudyResults.model_validate_json(text) == finished_study.results
    assert json.loads(text)["format"] == 1


def test_every_arm_schedule_and_seed_sees_as_many_patches(finished_study):
    runs = finished_study.results.runs
    assert len(runs) == 6 + 4  # all schedules on seed 0, one of each arm on seed 1
    assert {run.samples for run in runs} == {3 * 20}
    for run in runs:
        trainers = 1 if run.arm == "pooled" else 3
        assert run.steps_per_site * run.batch_size * trainers == run.samples
        assert run.curve[-1].samples == run.samples


def test_chosen_schedule_is_the_best_on_validation_and_covers_all_seeds(finished_study):
    runs = finished_study.results.runs
    for arm in ("local-only", "pooled", "fedavg", "gossip"):
        tried = [run for run in runs if (run.arm, run.seed) == (arm, 0)]
        best = max(tried, key=lambda run: max(point.dsc for point in run.curve))
        chosen = [run for run in runs if run.arm == arm and run.chosen]
        assert {run.schedule for run in chosen} == {best.schedule}
        assert sorted(run.seed for run in chosen) == [0, 1]


def test_schedule_is_chosen_by_the_best_look_and_the_first_of_equals(toy_settings, finished_study):
    def tried(schedule, *dsc):
        run = next(run for run in finished_study.results.runs if run.schedule == schedule and run.arm == "gossip")
        return run.model_copy(update={"curve": tuple(run.curve[0].model_copy(update={"dsc": score}) for score in dsc)})

    often, seldom = (schedule.name for schedule in toy_settings.arms["gossip"].schedules)
    study = toy_settings.model_copy(update={"arms": {"gossip": toy_settings.arms["gossip"]}})
    assert choose_schedules(study, [tried(often, 0.6, 0.1), tried(seldom, 0.5, 0.5)])["gossip"].name == often
    assert choose_schedules(study, [tried(often, 0.4, 0.5), tried(seldom, 0.7, 0.0)])["gossip"].name == seldom
    assert choose_schedules(study, [tried(often, 0.5, 0.1), tried(seldom, 0.1, 0.5)])["gossip"].name == often


def test_pooled_sends_its_images_and_hospitals_alone_send_nothing(finished_study, toy_home):
    runs = finished_study.results.runs
    images = {
        site: sum(path.stat().st_size for path in (toy_home / "data" / site).glob("*-train-*/ct.nii.gz"))
        for site in "ABC"
    }
    assert all(run.bytes_sent == images for run in runs if run.arm == "pooled")
    assert all(run.bytes_sent == {"A": 0, "B": 0, "C": 0} for run in runs if run.arm == "local-only")


@pytest.mark.parametrize("arm", ["fedavg", "gossip"])
def test_federated_sites_send_the_very_bytes_of_their_frames(workspace, witness, monkeypatch, arm):
    lengths = []
    encode = simulation.encode

    def counted(message):
        frame = encode(message)
        lengths.append(len(b"".join(bytes(piece) for piece in frame.pieces())))
        return frame

    monkeypatch.setattr(simulation, "encode", counted)
    job = make_job(workspace.study, workspace.sites, arm, workspace.study.arms[arm].schedules[0], 0)
    result = run_job(job, workspace, witness).result
    assert sum(result.bytes_sent.values()) == sum(lengths) == result.curve[-1].bytes_sent
    model = (workspace.folder / result.sites[0].model).stat().st_size
    shares = [length for length in lengths if length > model / 2]
    receipts = [length for length in lengths if length <= model / 2]
    topology = federation_of(job, workspace, {}).topology
    exchanges = (result.rounds - 1) * topology.exchanges_per_round + topology.final_exchanges
    transfers = sum(
        to != site for exchange in range(exchanges) for site in "ABC" for to in topology.mixing(site, exchange)
    )
    assert len(shares) == transfers > 0
    assert arm == "gossip" or transfers == 4 * result.rounds  # over a star two sites send up, and two get it back
    assert len(receipts) == len(shares)


def test_organ_that_is_stuck_is_said_once_a_run_and_stands_in_its_notes(finished_study):
    noted = []
    for run in finished_study.results.runs:
        due = next(point for point in run.curve if point.step >= run.steps_per_site / 5)
        stuck = [organ for organ, dsc in due.organ_dsc.items() if dsc < 0.01]
        assert [note.split(" is still at DSC 0")[0] for note in run.notes] == stuck
        noted.extend(run.notes)
    assert any("Prostate" in note for note in noted)
    said = [line for line in finished_study.watch.said if "still at DSC 0" in line]
    assert [line.partition(": ")[2] for line in said] == noted


def test_each_run_is_announced_and_the_time_left_told(finished_study):
    said = [line for line in finished_study.watch.said if line.startswith("run ")]
    assert [line.split(":")[0] for line in said] == [f"run {k} of 10" for k in range(1, 11)]
    assert said[0] == "run 1 of 10: local-only, 1 patch a step, seed 0"
    assert all(" left" in line for line in said[1:])
    assert sum("the whole study: about" in line for line in finished_study.watch.said) == 1


def test_every_task_comes_to_its_end(finished_study):
    assert {task.what for task in finished_study.watch.tasks} >= {"reading fingerprints", "preparing cases"}
    for task in finished_study.watch.tasks:
        assert task.done + task.skipped == task.total, task.what


@pytest.mark.usefixtures("quick_intervals")
def test_finished_study_has_nothing_left_to_do(own_finished, toy_settings, toy_home, finished_study, witness):
    before = {path: path.read_bytes() for path in own_finished.rglob("*") if path.is_file()}
    results = run_study(toy_settings, home=toy_home, folder=own_finished, watch=witness, pictures=True)
    assert results == finished_study.results
    assert witness.said == ["Nothing is left to do: all 10 runs were finished before."]
    assert {path: path.read_bytes() for path in own_finished.rglob("*") if path.is_file()} == before


def test_results_keep_the_versions_their_runs_ran_under(own_finished, toy_settings, toy_home, monkeypatch):
    monkeypatch.setattr("gossamer.study.outcome.__version__", "99.0")
    results = run_study(toy_settings, home=toy_home, folder=own_finished)
    assert results.gossamer_version != "99.0"


def test_lost_run_is_run_again_and_the_rest_is_kept(own_finished, toy_settings, toy_home, finished_study, witness):
    shutil.rmtree(own_finished / "runs/local-only--1-patch-a-step--seed-1")
    results = run_study(toy_settings, home=toy_home, folder=own_finished, watch=witness)
    timed = {"runs": {"__all__": {"wall_s", "cpu_s"}}}
    assert results.model_dump(exclude=timed) == finished_study.results.model_dump(exclude=timed)
    assert [line[:25] for line in witness.said if line.startswith("run ")] == ["run 7 of 10: local-only, "]


@pytest.fixture
def no_folder(tmp_path):
    """Where a study's results would go, had it begun."""
    folder = tmp_path / "out"
    yield folder
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"gossip": {"algorithm": "swep"}}, "did you mean 'sweep'"),
        ({"gossip": {"topology": "hypercub"}}, "did you mean 'hypercube'"),
        ({"gossip": {"schedules": [{"local_steps": 7}]}}, "6 left over; choose steps as a multiple of 7"),
        ({"local-only": {"schedules": [{"batch_size": 3}]}}, "choose steps as a multiple of 60"),
    ],
)
def test_arm_that_cannot_be_is_refused_before_anything_is_prepared(toy_settings, toy_home, no_folder, changed, message):
    raw = toy_settings.model_dump()
    for arm, change in changed.items():
        raw["arms"][arm].update(change)
    with pytest.raises(ScheduleError, match=message):
        run_study(Study.model_validate(raw), home=toy_home, folder=no_folder)


def test_pictures_of_private_data_are_refused_before_anything_is_prepared(toy_settings, own_home, no_folder):
    description = own_home / "data/B/dataset.json"
    description.write_text(description.read_text().replace('"public": true', '"public": false'))
    with pytest.raises(UsageError, match="found datasets not declared public, of B; leave out --images"):
        run_study(toy_settings, home=own_home, folder=no_folder, pictures=True)


def test_absent_dataset_is_named(toy_settings, own_home, no_folder):
    shutil.rmtree(own_home / "data/B")
    with pytest.raises(DatasetError, match=r"dataset B: wanted a folder with dataset\.json"):
        run_study(toy_settings, home=own_home, folder=no_folder)


def test_site_without_a_training_case_is_named(toy_settings, own_home, no_folder):
    description = own_home / "data/C/dataset.json"
    description.write_text(description.read_text().replace('"split": "train"', '"split": "test"'))
    with pytest.raises(NoTrainingCaseError, match="site C: wanted cases of split 'train'"):
        run_study(toy_settings, home=own_home, folder=no_folder)


def test_folder_of_another_study_is_refused_and_left_as_it_was(own_finished, toy_settings, toy_home):
    other = toy_settings.model_copy(update={"steps": 40})
    before = (own_finished / "results.json").read_bytes()
    with pytest.raises(ConfigurationError, match="results of another study file, or of other data; give another --out"):
        run_study(other, home=toy_home, folder=own_finished)
    assert (own_finished / "results.json").read_bytes() == before


def test_study_file_moved_with_its_data_is_the_same_study(own_finished, own_home, witness):
    run_study(read_study(own_home / "study.toml"), home=own_home, folder=own_finished, watch=witness)
    assert witness.said[-1].startswith("Nothing is left to do")


def test_seeds_and_recipe_are_those_of_the_file(toy_settings, finished_study):
    assert finished_study.results.seeds == toy_settings.seeds
    assert finished_study.results.environment["threads"] == "1"
