"""The runs of a study: which there are, in which order, and how long each trains.

Each arm tries its schedules on the first seed; the one that is best on validation patients is the arm's, and the
other seeds run it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gossamer.errors import ScheduleError
from gossamer.study.config import Arm, Schedule, Study

STEPS_BETWEEN_LOOKS = 20
"""Steps after which an arm without exchanges comes up for air: to show how it gets on, and to be kept."""


@dataclass(frozen=True)
class Job:
    """One arm, one schedule, one seed.

    Attributes:
        arm_name: the study file's name of the arm.
        arm: what it does.
        schedule: how it spends its compute.
        seed: of initial parameters, patches and augmentation.
        learners: hospitals whose cases train one model, by the model's name. One hospital each, but for pooled.
        steps: optimiser steps of each learner.
    """

    arm_name: str
    arm: Arm
    schedule: Schedule
    seed: int
    learners: Mapping[str, tuple[str, ...]]
    steps: int

    @property
    def name(self) -> str:
        """Names the run's folder."""
        return f"{self.arm_name}--{self.schedule.slug}--seed-{self.seed}"

    @property
    def title(self) -> str:
        """Names the run to people."""
        return f"{self.arm_name}, {self.schedule.name}, seed {self.seed}"

    @property
    def local_steps(self) -> int:
        """Optimiser steps between two exchanges, or between two looks where there is no exchange."""
        return self.schedule.local_steps or STEPS_BETWEEN_LOOKS

    @property
    def rounds(self) -> int:
        """Local phases of a run."""
        return self.steps // self.local_steps

    @property
    def samples(self) -> int:
        """Patches seen by all learners together."""
        return self.steps * self.schedule.batch_size * len(self.learners)

    def model_of(self, hospital: str) -> str:
        """The learner whose model serves a hospital's patients."""
        return next(name for name, hospitals in self.learners.items() if hospital in hospitals)


def make_job(study: Study, hospitals: tuple[str, ...], arm_name: str, schedule: Schedule, seed: int) -> Job:
    """A run whose compute equals every other's: ``steps`` patches for each hospital.

    Raises:
        ScheduleError: the steps do not divide into whole batches and rounds.
    """
    arm = study.arms[arm_name]
    learners = {"pooled": hospitals} if arm.kind == "pooled" else {hospital: (hospital,) for hospital in hospitals}
    patches = study.steps * len(hospitals) // len(learners)
    grain = schedule.batch_size * (schedule.local_steps or STEPS_BETWEEN_LOOKS)
    if patches % grain:
        raise ScheduleError(
            f"arm {arm_name!r}: wanted {patches} patches a model to divide into rounds of {grain} "
            f"({schedule.name}); found {patches % grain} left over; choose steps as a multiple of {grain}"
        )
    return Job(arm_name, arm, schedule, seed, learners, patches // schedule.batch_size)


def jobs_to_choose(study: Study, hospitals: tuple[str, ...]) -> list[Job]:
    """Every schedule of every arm, on the first seed."""
    return [
        make_job(study, hospitals, name, schedule, study.seeds[0])
        for name, arm in study.arms.items()
        for schedule in arm.schedules
    ]


def jobs_to_repeat(study: Study, hospitals: tuple[str, ...], chosen: Mapping[str, Schedule]) -> list[Job]:
    """The chosen schedule of every arm, on the other seeds."""
    return [make_job(study, hospitals, name, chosen[name], seed) for seed in study.seeds[1:] for name in study.arms]
