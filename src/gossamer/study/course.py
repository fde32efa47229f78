"""The course of one run: simulate its federation, look at it on the way, score it at the end.

Everything a run needs to go on after an interruption lies in its folder: the simulation's checkpoint, the curve and
the best models so far, and the time spent. Curve and time are written just before each checkpoint, so that neither is
ever older than it. A run with a ``run.json`` is finished.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from gossamer.atomic import write_atomically
from gossamer.documents import parse_json
from gossamer.errors import StorageError
from gossamer.gossip import GossipAlgorithm, Params, Trainer, TrainerState, TrainResult
from gossamer.node.kinds import make_node
from gossamer.runtime.machines import MACHINES
from gossamer.runtime.rounds import RoundReport
from gossamer.runtime.simulation import Simulation, SimulationResult
from gossamer.study.federation import Federation, agreement_of, federation_of
from gossamer.study.jobs import Job
from gossamer.study.lookout import MODELS, Lookout
from gossamer.study.outcome import CASES, Outcome, training_image_bytes
from gossamer.study.results import RunResult
from gossamer.study.scores import VALIDATION_SET, CaseScore, read_cases, summarise, write_cases
from gossamer.study.scoring import RunName, patients_of, score_patients
from gossamer.study.workspace import Workspace, make_folder
from gossamer.watch import Task, Unwatched, Watch

RUN = "run.json"
SPENT = "spent.json"
CHECKPOINT = "checkpoint.safetensors"

CHECKPOINTS = 12
"""In a run: an interruption costs a twelfth of it at most, and writing them next to nothing."""

Record = TypeVar("Record", bound=BaseModel)


class Spent(BaseModel):
    """Time that a run has taken, over all its interruptions; ``spent.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wall_s: float = 0.0
    cpu_s: float = 0.0


def finished_outcome(job: Job, workspace: Workspace) -> Outcome | None:
    """What a run left that has ended; None where it has not.

    Raises:
        StorageError: what it left is damaged.
    """
    place = _place(job, workspace)
    if not (place / RUN).exists():
        return None
    (place / CHECKPOINT).unlink(missing_ok=True)  # there still if the run was cut off between its last two acts
    return Outcome(_read(place / RUN, RunResult), read_cases(place / CASES))


def run_job(
    job: Job,
    workspace: Workspace,
    watch: Watch,
    algorithms: Mapping[str, GossipAlgorithm] | None = None,
    study_task: Task | None = None,
) -> Outcome:
    """Run a job to its end, or what is left of it.

    Args:
        job: the run.
        workspace: the study it belongs to.
        watch: told how it goes.
        algorithms: own algorithms, by the name that arms call them.
        study_task: of the study as a whole; told of patches too.

    Raises:
        ScheduleError: the arm's algorithm, topology or rounds do not go together.
        StorageError: results cannot be written, or a checkpoint is damaged.
    """
    if finished := finished_outcome(job, workspace):
        return finished
    course = _Course(job, workspace, watch, study_task or Unwatched())
    make_folder(course.place / MODELS)
    return course.run(algorithms or {})


def look_rounds(rounds: int, looks: int) -> frozenset[int]:
    """The rounds after which to validate, counted from 0: evenly spread, the last one among them."""
    ends = (round(rounds * (k + 1) / looks) for k in range(looks))
    return frozenset(end - 1 for end in ends if end)


class _Course:
    """One run under way."""

    def __init__(self, job: Job, workspace: Workspace, watch: Watch, study_task: Task) -> None:
        self.job = job
        self.workspace = workspace
        self.watch = watch
        self.study_task = study_task
        self.place = _place(job, workspace)

    def run(self, algorithms: Mapping[str, GossipAlgorithm]) -> Outcome:
        stopwatch = _Stopwatch(_read(self.place / SPENT, Spent) if (self.place / SPENT).exists() else Spent())
        lookout = Lookout(self.job, self.workspace, self.place)
        federation = federation_of(self.job, self.workspace, algorithms)
        try:
            simulated = self._simulate(federation, lookout, stopwatch)
        finally:
            for trainer in federation.trainers.values():
                trainer.close()
        models = {hospital: lookout.model_path(self.job.model_of(hospital)) for hospital in self.workspace.sites}
        rows = self._score(models)
        write_cases(self.place / CASES, rows)
        result = self._result(lookout, simulated, rows, models, spent=stopwatch.read())
        write_atomically(self.place / RUN, result.model_dump_json(indent=1) + "\n")
        (self.place / CHECKPOINT).unlink(missing_ok=True)
        return Outcome(result, tuple(rows))

    def _simulate(self, federation: Federation, lookout: Lookout, stopwatch: _Stopwatch) -> SimulationResult:
        job = self.job
        agreement = agreement_of(
            job, federation.algorithm, federation.topology, federation.masses, self._federation_hash()
        )
        nodes = [make_node(site, agreement, mass, federation.params) for site, mass in federation.masses.items()]
        looks = look_rounds(job.rounds, self.workspace.study.validations)
        every = max(1, job.rounds // CHECKPOINTS)
        images_sent = sum(_images_sent(self.workspace).values()) if job.arm.kind == "pooled" else 0

        with self.watch.task(job.title, job.samples) as task:

            def on_round(report: RoundReport) -> None:
                lookout.note_losses(report.round_index, report.loss.values())
                if report.round_index in looks:
                    task.advance(0, "validating")
                    step = (report.round_index + 1) * job.local_steps
                    params = {str(site): own for site, own in report.params.items()}
                    sent = images_sent + sum(report.bytes_sent.values())
                    for line in lookout.look(step, params, bytes_sent=sent):
                        self.watch.say(f"{job.arm_name}: {line}")
                if (report.round_index + 1) % every == 0:  # a checkpoint follows
                    lookout.keep()
                    write_atomically(self.place / SPENT, stopwatch.read().model_dump_json())

            batch_size, tasks = job.schedule.batch_size, (task, self.study_task)
            trainers = {site: _Counted(trainer, batch_size, tasks) for site, trainer in federation.trainers.items()}
            simulation = Simulation(
                nodes, trainers, local_steps=job.local_steps, machines=MACHINES[job.arm.machines], seed=job.seed
            )
            return simulation.run(on_round, checkpoint=self.place / CHECKPOINT, checkpoint_every_rounds=every)

    def _federation_hash(self) -> str:
        """What makes this run's messages and checkpoints its own."""
        return hashlib.sha256(f"{self.workspace.study_sha256} {self.job.name}".encode()).hexdigest()

    def _score(self, models: Mapping[str, Path]) -> list[CaseScore]:
        job, workspace = self.job, self.workspace
        patients = {}
        for hospital, (dataset, cases) in patients_of(workspace.datasets, "val", workspace.plan.structures).items():
            usable = {case.id for case in workspace.prepared[hospital].cases}  # a case set aside cannot be read here
            patients[hospital] = dataset, [case for case in cases if case.id in usable]
        with self.watch.task(f"scoring {job.arm_name}", sum(len(cases) for _, cases in patients.values())) as task:
            return score_patients(
                RunName(VALIDATION_SET, job.arm_name, job.schedule.name, job.seed),
                models=models,
                patients=patients,
                tolerance_mm=workspace.tolerance_mm,
                recipe=workspace.study.recipe,
                on_patient=lambda: task.advance(1),
            )

    def _result(
        self,
        lookout: Lookout,
        simulated: SimulationResult,
        rows: Sequence[CaseScore],
        models: Mapping[str, Path],
        *,
        spent: Spent,
    ) -> RunResult:
        job, workspace = self.job, self.workspace
        relative = {hospital: path.relative_to(workspace.folder).as_posix() for hospital, path in models.items()}
        pooled = job.arm.kind == "pooled"
        return RunResult(
            arm=job.arm_name,
            schedule=job.schedule.name,
            seed=job.seed,
            chosen=True,
            steps_per_site=job.steps,
            batch_size=job.schedule.batch_size,
            samples=job.samples,
            rounds=job.rounds if job.arm.kind == "federated" else 0,
            bytes_sent=_images_sent(workspace) if pooled else {str(s): n for s, n in simulated.bytes_sent.items()},
            wall_s=spent.wall_s,
            cpu_s=spent.cpu_s,
            simulated_s=simulated.virtual_s,
            best_step=lookout.best_step(),
            sites=summarise(rows, structures=workspace.plan.structures, models=relative),
            curve=lookout.curve.points,
            notes=lookout.curve.notes,
        )


class _Stopwatch:
    """Time since it was made, on top of what was spent before."""

    def __init__(self, before: Spent) -> None:
        self._before = before
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def read(self) -> Spent:
        return Spent(
            wall_s=self._before.wall_s + time.perf_counter() - self._wall_s,
            cpu_s=self._before.cpu_s + time.process_time() - self._cpu_s,
        )


class _Counted:
    """A trainer that tells how it gets on; otherwise the trainer it wraps."""

    def __init__(self, trainer: Trainer, batch_size: int, tasks: Sequence[Task]) -> None:
        self._trainer = trainer
        self._batch_size = batch_size
        self._tasks = tasks
        self._step = 0

    def fit(self, params: Params, *, steps: int, round_index: int, teachers: Sequence[Params] = ()) -> TrainResult:
        result = self._trainer.fit(params, steps=steps, round_index=round_index, teachers=teachers)
        self._step += steps
        for task in self._tasks:
            task.advance(result.samples, f"loss {result.loss:.3f}")
        return result

    def state(self) -> TrainerState:
        return self._trainer.state()

    def restore(self, state: TrainerState) -> None:
        self._trainer.restore(state)
        step = int(state.values["step"])
        for task in self._tasks:
            task.skip((step - self._step) * self._batch_size)
        self._step = step


def _place(job: Job, workspace: Workspace) -> Path:
    return workspace.folder / "runs" / job.name


def _images_sent(workspace: Workspace) -> dict[str, int]:
    """What pooling costs: every hospital sends its training images."""
    return {site: training_image_bytes(dataset) for site, dataset in workspace.datasets.items()}


def _read(path: Path, kind: type[Record]) -> Record:
    return parse_json(path.read_text(encoding="utf-8"), kind, path.name, StorageError)
