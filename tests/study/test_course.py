"""One run, cut off wherever it may be, ends with the files and numbers of a run that was not."""

import errno
import hashlib
import os
import stat
from dataclasses import replace
from types import SimpleNamespace

import pytest

from gossamer.atomic import write_atomically
from gossamer.errors import DiskFullError, StorageError
from gossamer.learn.trainer import SegmentationTrainer
from gossamer.runtime import simulation
from gossamer.study import course, jobs, lookout
from gossamer.study.config import Schedule
from gossamer.study.course import finished_outcome, look_rounds, run_job
from gossamer.study.forecast import MODELS_IN_CHECKPOINT
from gossamer.study.jobs import make_job
from gossamer.study.scores import CaseScore

STEPS = 3
"""One step a round: as many places to cut at as there are in a long run."""


class PowerCut(BaseException):
    """What a kill is to the disk: nothing after it is written."""


@pytest.fixture
def quick(monkeypatch, workspace):
    """Runs of three rounds whose validation and scores are made of the parameters, for the price of a hash."""

    def validate(network, cases, plan, fabric):
        digit = hashlib.sha256(network.state_dict()["head.bias"].numpy().tobytes()).digest()[0]
        return {case.id: {"Kidney_L": digit / 255} for case in cases}

    def score_patients(name, *, models, patients, on_patient, **_):
        return [
            CaseScore(**vars(name), site=site, case=case.id, organ="Kidney_L", dsc=path.read_bytes()[-1] / 255,
                      surface_dsc=0.5, hd95_mm=1.0, reference_voxels=10, predicted_voxels=10)
            for site, path in models.items() for case in patients[site][1]
        ]  # fmt: skip

    monkeypatch.setattr(lookout, "validate", validate)
    monkeypatch.setattr(course, "score_patients", score_patients)
    monkeypatch.setattr(jobs, "STEPS_BETWEEN_LOOKS", 1)
    return replace(workspace, study=workspace.study.model_copy(update={"steps": STEPS, "validations": 2}))


def job_of(workspace, arm):
    schedule = Schedule(local_steps=1) if workspace.study.arms[arm].kind == "federated" else Schedule()
    return make_job(workspace.study, workspace.sites, arm, schedule, seed=0)


def in_folder(workspace, name):
    return replace(workspace, folder=workspace.folder / name)


def what_is_there(job, workspace, outcome):
    """The numbers and files of a run, but for the time it took."""
    place = workspace.folder / "runs" / job.name
    timed = {"run.json", "spent.json"}
    return (
        outcome.result.model_dump(exclude={"wall_s", "cpu_s"}),
        outcome.rows,
        {
            path.relative_to(place): path.name in timed or path.read_bytes()
            for path in place.rglob("*")
            if path.is_file()
        },
    )


@pytest.fixture
def disk(monkeypatch):
    """A disk that loses power at the n-th write of a file, before the file is in its place."""
    disk = SimpleNamespace(writes=0, fails_at=None, error=PowerCut())

    def flush(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            return
        disk.writes += 1
        if disk.writes - 1 == disk.fails_at:
            raise disk.error

    monkeypatch.setattr("gossamer.atomic.os.fsync", flush)
    return disk


def test_run_that_loses_power_at_any_write_ends_as_if_it_had_not(quick, disk, witness):
    job = job_of(quick, "local-only")
    whole = in_folder(quick, "whole")
    expected = what_is_there(job, whole, run_job(job, whole, witness))
    writes = disk.writes
    # losses and time of each round and a checkpoint of it, two looks, a model or three, the scores, the result
    assert writes >= STEPS * 3 + 2 * 1 + 3 + 2
    for cut in range(writes):
        mine = in_folder(quick, f"cut-{cut}")
        disk.writes, disk.fails_at = 0, cut
        with pytest.raises(PowerCut):
            run_job(job, mine, witness)
        disk.fails_at = None
        assert what_is_there(job, mine, run_job(job, mine, witness)) == expected, f"cut at write {cut}"


def test_the_simulated_time_is_that_of_the_arm_s_machines(quick, witness):
    arm = quick.study.arms["gossip"].model_copy(update={"machines": "alike"})
    alike = replace(quick, study=quick.study.model_copy(update={"arms": {"gossip": arm}}))
    found = run_job(job_of(alike, "gossip"), in_folder(alike, "alike"), witness).result
    assert 3 * 1.0 < found.simulated_s < 10.0  # three steps of a second, and exchanges of a fifth


def test_run_interrupted_after_any_local_phase_ends_as_if_it_had_not(quick, witness):
    job = job_of(quick, "gossip")
    whole = in_folder(quick, "whole")
    expected = what_is_there(job, whole, run_job(job, whole, witness))

    class Interrupting:
        def __init__(self, after):
            self.left = after

        def advance(self, steps, note=""):
            self.left -= 1
            if self.left == 0:
                raise PowerCut

        def skip(self, steps):
            pass

    for phase in range(1, STEPS * 3 + 1):
        mine = in_folder(quick, f"phase-{phase}")
        with pytest.raises(PowerCut):
            run_job(job, mine, witness, study_task=Interrupting(phase))
        assert what_is_there(job, mine, run_job(job, mine, witness)) == expected, f"interrupted in phase {phase}"


def test_two_cuts_in_a_row_are_borne_like_one(quick, disk, witness):
    job = job_of(quick, "local-only")
    whole, mine = in_folder(quick, "whole"), in_folder(quick, "cut")
    expected = what_is_there(job, whole, run_job(job, whole, witness))
    for cut in (10, 1, 0):
        disk.writes, disk.fails_at = 0, cut
        with pytest.raises(PowerCut):
            run_job(job, mine, witness)
    disk.fails_at = None
    assert what_is_there(job, mine, run_job(job, mine, witness)) == expected


def test_resumed_run_shows_what_was_done_before_and_comes_to_the_whole(quick, disk, witness):
    job = job_of(quick, "gossip")
    disk.fails_at = 6  # losses, time and checkpoint of the first round are there, and the second is under way
    with pytest.raises(PowerCut):
        run_job(job, quick, witness)
    disk.fails_at = None
    run_job(job, quick, witness)
    first, second = (task for task in witness.tasks if task.total == job.samples)
    assert first.skipped == 0
    assert second.skipped > 0
    assert second.skipped + second.done == job.samples == 3 * STEPS


def test_full_disk_is_an_error_of_its_own_and_keeps_what_was_there(quick, disk, witness):
    job = job_of(quick, "local-only")
    whole = in_folder(quick, "whole")
    expected = what_is_there(job, whole, run_job(job, whole, witness))
    disk.writes, disk.fails_at, disk.error = 0, 9, OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(DiskFullError, match="found no room on its disk; free some and run the same command again"):
        run_job(job, quick, witness)
    assert not list(quick.folder.rglob(".*.part"))  # a full disk needs the room
    disk.fails_at = None
    assert what_is_there(job, quick, run_job(job, quick, witness)) == expected


@pytest.mark.parametrize("arm", ["local-only", "fedavg", "gossip"])
def test_checkpoint_is_no_larger_than_the_forecast_takes_it_for(quick, witness, monkeypatch, arm):
    sizes = []

    def write(path, pieces):
        whole = b"".join(map(bytes, pieces))
        sizes.append(len(whole))
        write_atomically(path, whole)

    monkeypatch.setattr(simulation, "write_atomically", write)
    job = job_of(quick, arm)
    run_job(job, quick, witness)
    assert len(sizes) == STEPS
    model = (quick.folder / "runs" / job.name / "models/A.safetensors").stat().st_size
    assert max(sizes) <= MODELS_IN_CHECKPOINT * 3 * model


def test_finished_run_is_read_not_run(quick, disk, witness):
    job = job_of(quick, "pooled")
    assert finished_outcome(job, quick) is None
    outcome = run_job(job, quick, witness)
    disk.writes = 0
    assert run_job(job, quick, witness) == outcome == finished_outcome(job, quick)
    assert disk.writes == 0


def test_checkpoint_left_by_a_cut_after_the_last_write_is_removed(quick, witness):
    job = job_of(quick, "pooled")
    outcome = run_job(job, quick, witness)
    left = quick.folder / "runs" / job.name / "checkpoint.safetensors"
    assert not left.exists()
    left.write_bytes(b"large")
    assert finished_outcome(job, quick) == outcome
    assert not left.exists()


def test_time_of_all_sittings_is_counted(quick, witness):
    job = job_of(quick, "pooled")
    place = quick.folder / "runs" / job.name
    place.mkdir(parents=True)
    (place / "spent.json").write_text('{"wall_s": 1000.0, "cpu_s": 500.0}')
    result = run_job(job, quick, witness).result
    assert 1000 < result.wall_s < 1300
    assert 500 < result.cpu_s < 800


def test_pooled_run_has_sent_all_images_before_its_first_step(quick, witness):
    result = run_job(job_of(quick, "pooled"), quick, witness).result
    images = {
        site: sum(
            (dataset.folder / case.id / "ct.nii.gz").stat().st_size for case in dataset.cases if case.split == "train"
        )
        for site, dataset in quick.datasets.items()
    }
    assert result.bytes_sent == images
    assert {point.bytes_sent for point in result.curve} == {sum(images.values())}


def test_trainers_are_closed_however_a_run_ends(quick, disk, witness, monkeypatch):
    closed = []

    def close(trainer):
        closed.append(trainer)

    monkeypatch.setattr(SegmentationTrainer, "close", close)
    job = job_of(quick, "gossip")
    disk.fails_at = 0
    with pytest.raises(PowerCut):
        run_job(job, quick, witness)
    assert len(closed) == 3
    disk.fails_at = None
    run_job(job, quick, witness)
    assert len(set(map(id, closed))) == 6


def test_damaged_file_of_a_run_is_named(quick, witness):
    job = job_of(quick, "pooled")
    run_job(job, quick, witness)
    (quick.folder / "runs" / job.name / "run.json").write_text('{"arm": "poo')
    with pytest.raises(StorageError, match=r"run\.json"):
        run_job(job, quick, witness)


@pytest.mark.parametrize(
    ("rounds", "looks", "after"),
    [
        (12, 3, {3, 7, 11}),
        (10, 4, {1, 4, 7, 9}),
        (2, 7, {0, 1}),
        (1, 1, {0}),
        (280, 7, {40 * k - 1 for k in range(1, 8)}),
    ],
)
def test_looks_are_spread_evenly_and_end_with_the_last_round(rounds, looks, after):
    # (10, 4): a quarter is 2.5 rounds, and Python rounds 2.5 to 2 and 7.5 to 8
    assert look_rounds(rounds, looks) == after
