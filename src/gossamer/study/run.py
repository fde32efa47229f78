"""A study from beginning to end: prepare, run every arm, choose schedules, score, report.

Resumable: a run that has ended left ``run.json`` and is not run again; one that was cut off goes on from its last
checkpoint. Because a run's randomness follows from its seed and its steps alone, the results are those of an
unbroken study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gossamer.data.dataset import Dataset
from gossamer.gossip import GossipAlgorithm
from gossamer.only_writer import only_writer
from gossamer.study.config import Schedule, Study
from gossamer.study.course import finished_outcome, run_job
from gossamer.study.federation import require_gossip
from gossamer.study.forecast import Forecast, disk_bytes
from gossamer.study.jobs import Job, jobs_to_choose, jobs_to_repeat
from gossamer.study.numerals import megabytes
from gossamer.study.outcome import Outcome, refuse_private_pictures, write_outcome
from gossamer.study.results import RunResult, StudyResults
from gossamer.study.workspace import Workspace, make_folder, open_datasets, open_workspace
from gossamer.watch import Unwatched, Watch


def run_study(
    study: Study,
    *,
    home: Path,
    folder: Path,
    watch: Watch | None = None,
    pictures: bool = False,
    algorithms: Mapping[str, GossipAlgorithm] | None = None,
) -> StudyResults:
    """Run all arms and seeds of a study, or what is left of them.

    Args:
        study: what to run.
        home: folder that the study's relative paths start from.
        folder: where results go: ``results.json``, ``cases.csv``, ``report.html`` and the models.
        watch: told how it goes.
        pictures: whether the report shows CT slices; public or synthetic data only.
        algorithms: own algorithms, by the name that arms call them.

    Raises:
        ConfigurationError: the folder holds another study, or an arm cannot be; said before anything is trained.
        FolderBusyError: another process runs a study in the folder.
        DataError: data sets are missing or wrong.
        UsageError: pictures of data that is not public.
        StorageError: results cannot be written.
    """
    watch = watch or Unwatched()
    datasets = open_datasets(study, home)
    if pictures:
        refuse_private_pictures(datasets)
    algorithms = algorithms or {}
    jobs = planned_jobs(study, tuple(datasets), algorithms)
    make_folder(folder)
    with only_writer(folder):
        workspace = open_workspace(study, datasets, folder, watch)
        outcomes = _run_all(workspace, watch, algorithms, Forecast(len(jobs), jobs[0].samples, watch.say))
        return write_outcome(workspace, outcomes, pictures=pictures)


def _run_all(
    workspace: Workspace, watch: Watch, algorithms: Mapping[str, GossipAlgorithm], forecast: Forecast
) -> list[Outcome]:
    """Every schedule on the first seed, then each arm's best on the others."""
    study = workspace.study

    def run(job: Job) -> Outcome:
        if finished := finished_outcome(job, workspace):
            forecast.note_finished(finished.result)
            return finished
        with forecast.run(job.title):
            return run_job(job, workspace, watch, algorithms, forecast)

    first = [run(job) for job in jobs_to_choose(study, workspace.sites)]
    chosen = choose_schedules(study, [outcome.result for outcome in first])
    later = [run(job) for job in jobs_to_repeat(study, workspace.sites, chosen)]
    if not forecast.ran:
        watch.say(f"Nothing is left to do: all {len(first) + len(later)} runs were finished before.")
    return [_judged(outcome, chosen) for outcome in (*first, *later)]


def planned_jobs(study: Study, sites: tuple[str, ...], algorithms: Mapping[str, GossipAlgorithm]) -> list[Job]:
    """All runs of a study; those whose schedule is not chosen yet stand here with their arm's first.

    Raises:
        ScheduleError: steps do not divide, or an arm's algorithm and topology are unknown or do not go together.
    """
    any_schedule = {name: arm.schedules[0] for name, arm in study.arms.items()}
    jobs = [*jobs_to_choose(study, sites), *jobs_to_repeat(study, sites, any_schedule)]
    for job in jobs:
        require_gossip(job, algorithms)
    return jobs


def choose_schedules(study: Study, runs: Sequence[RunResult]) -> dict[str, Schedule]:
    """By arm the schedule that was best on validation patients, on the first seed; the first of equals."""
    return {
        name: max(arm.schedules, key=lambda schedule: _validation_score(runs, name, schedule))
        for name, arm in study.arms.items()
    }


def _validation_score(runs: Sequence[RunResult], arm: str, schedule: Schedule) -> float:
    [run] = [run for run in runs if (run.arm, run.schedule) == (arm, schedule.name)]
    return max(point.dsc for point in run.curve)


def _judged(outcome: Outcome, chosen: Mapping[str, Schedule]) -> Outcome:
    result = outcome.result
    return Outcome(result.model_copy(update={"chosen": result.schedule == chosen[result.arm].name}), outcome.rows)


def outline(study: Study, datasets: Mapping[str, Dataset]) -> str:
    """What a study will do, and how much of it, in a few lines.

    Args:
        study: the study file.
        datasets: by site (``open_datasets``).

    Raises:
        ConfigurationError: an arm, or the plan, cannot be.
    """
    jobs = planned_jobs(study, tuple(datasets), {})
    arms = ", ".join(
        f"{name} ({len(arm.schedules)} schedules)" if len(arm.schedules) > 1 else name
        for name, arm in study.arms.items()
    )
    return (
        f"{study.title}: {len(datasets)} hospitals, {len(study.structures)} structures\n"
        f"arms: {arms}; seeds: {', '.join(map(str, study.seeds))}\n"
        f"{len(jobs)} runs of {jobs[0].samples:,} patches each, {study.steps:,} for each hospital; "
        f"schedules are chosen on seed {study.seeds[0]}\n"
        f"disk: at most {megabytes(disk_bytes(study, datasets, jobs))}; time: measured on the first steps, told then"
    )
