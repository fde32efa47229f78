"""A study from beginning to end: prepare, run every arm, choose schedules, score, report.

Resumable: a run that has ended left ``run.json`` and is not run again; one that was cut off goes on from its last
checkpoint. Because a run's randomness follows from its seed and its steps alone, the results are those of an
unbroken study.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from gossamer.gossip import GossipAlgorithm
from gossamer.study.config import Schedule, Study
from gossamer.study.course import run_job
from gossamer.study.jobs import jobs_to_choose, jobs_to_repeat
from gossamer.study.outcome import Outcome, refuse_private_pictures, write_outcome
from gossamer.study.results import RunResult, StudyResults
from gossamer.study.watch import Unwatched, Watch
from gossamer.study.workspace import open_datasets, open_workspace


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
        ConfigurationError: the folder holds another study, or an arm cannot be.
        DataError: data sets are missing or wrong.
        UsageError: pictures of data that is not public.
        StorageError: results cannot be written.
    """
    watch = watch or Unwatched()
    datasets = open_datasets(study, home)
    if pictures:
        refuse_private_pictures(datasets)
    workspace = open_workspace(study, datasets, folder, watch)
    first = [run_job(job, workspace, watch, algorithms or {}) for job in jobs_to_choose(study, workspace.sites)]
    chosen = choose_schedules(study, [outcome.result for outcome in first])
    later = [run_job(job, workspace, watch, algorithms or {}) for job in jobs_to_repeat(study, workspace.sites, chosen)]
    outcomes = [_judged(outcome, chosen) for outcome in (*first, *later)]
    return write_outcome(workspace, outcomes, pictures=pictures)


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


def outline(study: Study, hospitals: Collection[str]) -> str:
    """What a study will do, in a few lines."""
    jobs = jobs_to_choose(study, tuple(hospitals))
    runs = len(jobs) + (len(study.seeds) - 1) * len(study.arms)
    arms = ", ".join(
        f"{name} ({len(arm.schedules)} schedules)" if len(arm.schedules) > 1 else name
        for name, arm in study.arms.items()
    )
    return (
        f"{study.title}: {len(hospitals)} hospitals, {len(study.structures)} structures\n"
        f"arms: {arms}; seeds: {', '.join(map(str, study.seeds))}\n"
        f"{runs} runs of {jobs[0].samples:,} patches each; schedules are chosen on seed {study.seeds[0]}"
    )
