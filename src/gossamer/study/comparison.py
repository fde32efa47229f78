"""The arms of a study side by side: the numbers that the report and the terminal show.

Law: every number rests on the rows of ``cases.csv`` and on the runs that ``results.json`` marks as chosen. The unit
is the patient, scored with the model of his own hospital. A mean is over organs, each organ's over the patients in
whom it is complete, over all seeds. Intervals are those of ``gossamer.evaluate.intervals``, made when first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Literal

import numpy as np

from gossamer.evaluate.intervals import RESAMPLES, Interval, Scores, mean_interval, paired_difference
from gossamer.study.results import RunResult, StudyResults
from gossamer.study.scores import VALIDATION_SET, CaseScore

Metric = Literal["dsc", "surface_dsc", "hd95_mm"]
METRICS: tuple[Metric, ...] = ("dsc", "surface_dsc", "hd95_mm")

POOLED = "pooled"
BOOTSTRAP_SEED = 20_240_101
"""Any number does; it is fixed so that a report drawn again is the same to the digit."""

PART_RESAMPLES = 2_000
"""For single organs, hospitals and seeds, of which there are many: their bounds are read to two decimals."""


@dataclass(frozen=True)
class ScoreTable:
    """Scores of several arms on the same patients, as arrays [seed, patient, organ].

    Attributes:
        rows: of one set, each arm under one schedule, drawn organs only.
        structures: the organs.
    """

    rows: tuple[CaseScore, ...]
    structures: tuple[str, ...]

    @cached_property
    def arms(self) -> frozenset[str]:
        """Those that have scores."""
        return frozenset(row.arm for row in self.rows)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Sorted."""
        return tuple(sorted({row.seed for row in self.rows}))

    @cached_property
    def patients(self) -> tuple[tuple[str, str], ...]:
        """Site and case, sorted."""
        return tuple(sorted({(row.site, row.case) for row in self.rows}))

    @cached_property
    def patient_sites(self) -> tuple[str, ...]:
        """The site of each patient."""
        return tuple(site for site, _ in self.patients)

    def array(self, arm: str, metric: Metric) -> Scores:
        """Scores of one arm [seed, patient, organ]; nan where an organ is not scored."""
        return self._arrays[arm, metric]

    @cached_property
    def _arrays(self) -> Mapping[tuple[str, Metric], Scores]:
        shape = len(self.seeds), len(self.patients), len(self.structures)
        arrays = {(arm, metric): np.full(shape, np.nan) for arm in self.arms for metric in METRICS}
        seeds, patients, organs = (
            {name: i for i, name in enumerate(axis)} for axis in (self.seeds, self.patients, self.structures)
        )
        for row in self.rows:
            place = seeds[row.seed], patients[row.site, row.case], organs[row.organ]
            for metric in METRICS:
                arrays[row.arm, metric][place] = getattr(row, metric)
        return arrays


@dataclass(frozen=True)
class OrganFindings:
    """One organ under one arm.

    Attributes:
        missed: predictions without a voxel, of ``scored``.
        scored: patients times seeds.
    """

    dsc: Interval
    surface_dsc: Interval
    hd95_mm: Interval
    missed: int
    scored: int


@dataclass(frozen=True)
class ArmFindings:
    """One arm under its chosen schedule.

    Attributes:
        runs: one a seed.
        scores: of all arms on the same patients.
    """

    runs: tuple[RunResult, ...]
    scores: ScoreTable

    @property
    def arm(self) -> str:
        """Its name."""
        return self.runs[0].arm

    @property
    def schedule(self) -> str:
        """The schedule it is judged by."""
        return self.runs[0].schedule

    @cached_property
    def dsc(self) -> Interval:
        """Mean DSC over organs."""
        return self._interval("dsc")

    @cached_property
    def surface_dsc(self) -> Interval:
        """Mean surface DSC over organs."""
        return self._interval("surface_dsc")

    @cached_property
    def hd95_mm(self) -> Interval:
        """Mean HD95 over organs."""
        return self._interval("hd95_mm")

    @cached_property
    def to_pooled(self) -> Interval | None:
        """DSC minus the pooled arm's; None for pooled itself, or where it was not scored."""
        if self.arm == POOLED or POOLED not in self.scores.arms:
            return None
        return difference(self.scores, self.arm, POOLED)

    @cached_property
    def seed_dsc(self) -> Mapping[int, float]:
        """Mean DSC of each seed that was scored."""
        parts = {seed: self._part("dsc", seed=seed) for seed in self.scores.seeds}
        return {seed: part.estimate for seed, part in parts.items() if part.patients}

    @cached_property
    def site_dsc(self) -> Mapping[str, Interval]:
        """DSC on each site's own patients, mean over organs."""
        return {site: self._part("dsc", site=site) for site in dict.fromkeys(self.scores.patient_sites)}

    @cached_property
    def organs(self) -> Mapping[str, OrganFindings]:
        """By structure."""
        return {organ: self._organ(organ) for organ in self.scores.structures}

    @property
    def worst_site(self) -> str:
        """Where the mean DSC is lowest."""
        scored = {site: dsc.estimate for site, dsc in self.site_dsc.items() if dsc.patients}
        return min(scored, key=scored.__getitem__)

    @property
    def busiest_bytes(self) -> float:
        """What the site that sends most sends, mean over the seeds."""
        return fmean(max(run.bytes_sent.values(), default=0) for run in self.runs)

    def _organ(self, organ: str) -> OrganFindings:
        rows = [row for row in self.scores.rows if (row.arm, row.organ) == (self.arm, organ)]
        return OrganFindings(
            dsc=self._part("dsc", organ=organ),
            surface_dsc=self._part("surface_dsc", organ=organ),
            hd95_mm=self._part("hd95_mm", organ=organ),
            missed=sum(row.missed for row in rows),
            scored=len(rows),
        )

    def _part(
        self, metric: Metric, *, seed: int | None = None, site: str | None = None, organ: str | None = None
    ) -> Interval:
        """Mean over one seed, site or organ alone."""
        table = self.scores
        seeds = [i for i, other in enumerate(table.seeds) if seed in {None, other}]
        patients = [i for i, other in enumerate(table.patient_sites) if site in {None, other}]
        organs = [i for i, other in enumerate(table.structures) if organ in {None, other}]
        scores = table.array(self.arm, metric)[np.ix_(seeds, patients, organs)]
        sites = [table.patient_sites[i] for i in patients]
        return mean_interval(scores, sites, _rng(), resamples=PART_RESAMPLES)

    def _interval(self, metric: Metric) -> Interval:
        array = self.scores.array(self.arm, metric)
        return mean_interval(array, self.scores.patient_sites, _rng(), resamples=RESAMPLES)


@dataclass(frozen=True)
class Comparison:
    """All arms on one set of patients.

    Attributes:
        set_name: ``val``, or the name of a locked set.
        arms: in the order of the study.
        scores: what they rest on.
    """

    set_name: str
    arms: tuple[ArmFindings, ...]
    scores: ScoreTable

    @cached_property
    def patients(self) -> Mapping[str, int]:
        """Number of patients by site."""
        sites = self.scores.patient_sites
        return {site: sites.count(site) for site in dict.fromkeys(sites)}

    @cached_property
    def organ_patients(self) -> Mapping[str, int]:
        """Number of patients in whom each structure is complete."""
        places = {(row.organ, row.site, row.case) for row in self.scores.rows}
        return {organ: sum(place[0] == organ for place in places) for organ in self.scores.structures}


def compare(results: StudyResults, cases: Sequence[CaseScore], set_name: str = VALIDATION_SET) -> Comparison:
    """Compare the arms of a study, each under its chosen schedule.

    Args:
        results: of the study.
        cases: the rows of its ``cases.csv``.
        set_name: which of its sets.
    """
    chosen: dict[str, list[RunResult]] = {}
    for run in results.runs:
        if run.chosen:
            chosen.setdefault(run.arm, []).append(run)
    schedules = {(arm, runs[0].schedule) for arm, runs in chosen.items()}
    rows = tuple(
        row
        for row in cases
        if row.set == set_name and (row.arm, row.schedule) in schedules and row.reference_voxels > 0
    )
    table = ScoreTable(rows, results.structures)
    arms = tuple(ArmFindings(tuple(runs), table) for arm, runs in chosen.items() if arm in table.arms)
    return Comparison(set_name, arms, table)


def difference(scores: ScoreTable, ours: str, theirs: str) -> Interval:
    """Mean DSC of the arm ``ours`` minus that of ``theirs``, paired by patient, organ and seed."""
    return paired_difference(
        scores.array(ours, "dsc"), scores.array(theirs, "dsc"), scores.patient_sites, _rng(), resamples=RESAMPLES
    )


def set_names(results: StudyResults) -> tuple[str, ...]:
    """The sets that were scored: locked ones, which training never saw, before validation."""
    return (*(locked.set_name for locked in results.locked), VALIDATION_SET)


def _rng() -> np.random.Generator:
    return np.random.default_rng(BOOTSTRAP_SEED)
