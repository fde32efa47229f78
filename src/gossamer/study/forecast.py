"""What a study will cost: room on the disk before it begins, and time while it runs.

Both are estimates. All runs of a study see as many patches, so patches measure how far it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from gossamer.data.dataset import Dataset
from gossamer.data.fingerprint import HU_HIGHEST, HU_LOWEST, Fingerprint, fingerprint_without_image, merged
from gossamer.data.plan import Plan
from gossamer.data.planning import plan_from_fingerprint
from gossamer.data.prepared import prepared_bytes
from gossamer.nets import build_network
from gossamer.study.config import Study
from gossamer.study.jobs import Job
from gossamer.study.results import RunResult
from gossamer.watch import as_clock

GOT_GOING = 0.05
"""Share of the first run after which its pace tells something: the first steps are slower than the others."""

MODELS_IN_CHECKPOINT = 5
"""Copies of a model that a site's part of a checkpoint holds at most: the node's, the one it trains from, those in
its inbox and on its simulated disk, and the optimiser's two moments."""


class Forecast:
    """Says how long a whole study will still take; a ``gossamer.watch.Task`` of its patches.

    Attributes:
        ran: runs that were not finished before.
    """

    def __init__(
        self, runs: int, patches: int, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing is measured yet.

        Args:
            runs: of the whole study.
            patches: of each run.
            say: how a line is said.
            clock: seconds.
        """
        self._runs = runs
        self._patches = patches
        self._say = say
        self._clock = clock
        self._number = 0
        self.ran = 0
        self._left = float(runs * patches)
        self._measured = self._measured_s = 0.0
        self._began_s: float | None = None

    def note_finished(self, result: RunResult) -> None:
        """A run that was finished before counts with the time it took then."""
        self._number += 1
        self._left -= result.samples
        self._measured += result.samples
        self._measured_s += result.wall_s

    @contextmanager
    def run(self, title: str) -> Iterator[None]:
        """The next run begins, and ends with the block."""
        self._number += 1
        self.ran += 1
        left = f"; {self._left_words()}" if self._measured else ""
        self._say(f"run {self._number} of {self._runs}: {title}{left}")
        self._began_s = self._clock()
        yield
        self._measured_s += self._clock() - self._began_s
        self._began_s = None

    def advance(self, steps: float, note: str = "") -> None:
        """So many more patches were seen."""
        due = GOT_GOING * self._patches
        first = self._measured < due <= self._measured + steps
        self._measured += steps
        self._left -= steps
        if first:
            self._say(f"the whole study: {self._left_words()} (measured on the first {self._measured:.0f} patches)")

    def skip(self, steps: float) -> None:
        """So many patches had been seen before an interruption."""
        self._left -= steps

    def _left_words(self) -> str:
        running_s = 0.0 if self._began_s is None else self._clock() - self._began_s
        pace_s = (self._measured_s + running_s) / self._measured
        return f"about {as_clock(self._left * pace_s)} left"


def disk_bytes(study: Study, datasets: Mapping[str, Dataset], jobs: Sequence[Job]) -> int:
    """Most that a study takes of the disk: prepared cases, models, and the largest checkpoint while it is replaced.

    Args:
        study: the study file.
        datasets: by site.
        jobs: all its runs.

    Raises:
        PlanError: no plan can be made of these data.
    """
    plan = plan_without_images(study, datasets)
    prepared = prepared_bytes((case for dataset in datasets.values() for case in dataset.cases), plan)
    model = sum(weight.numel() * weight.element_size() for weight in build_network(plan).parameters())
    models = sum(len(job.learners) for job in jobs) * model
    checkpoint = 2 * MODELS_IN_CHECKPOINT * model * max(len(job.learners) for job in jobs)
    return prepared + models + checkpoint


def plan_without_images(study: Study, datasets: Mapping[str, Dataset]) -> Plan:
    """The study's plan but for its intensities: all else follows from the descriptions, without reading an image."""
    training = [case for dataset in datasets.values() for case in dataset.cases if case.split == "train"]
    any_contrast = Fingerprint(hu={HU_LOWEST: 1, HU_HIGHEST: 1})
    described = merged([*map(fingerprint_without_image, training), any_contrast])
    return plan_from_fingerprint(described, study.structures, study.plan)
