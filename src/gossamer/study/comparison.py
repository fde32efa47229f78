"""The arms of a study side by side: the numbers that the report and the terminal show.

Law: every number rests on the rows of ``cases.csv`` and on the runs that ``results.json`` marks as chosen. The unit
is the patient, scored with the model of his own hospital. A mean is over organs, each organ's over the patients in
whom it is complete, over all seeds. Intervals are those of ``gossamer.evaluate.intervals``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gossamer.evaluate.intervals import Interval, Scores, mean_interval, paired_difference
from gossamer.study.results import RunResult, StudyResults
from gossamer.study.scores import VALIDATION_SET, CaseScore

Metric = Literal["dsc", "surface_dsc", "hd95_mm"]

POOLED = "pooled"
BOOTSTRAP_SEED = 20_240_101
"""Any number does; it is fixed so that a report drawn again is the same to the digit."""


PART_RESAMPLES = 2_000
"""For single organs, hospitals and seeds, of which there are many: their bounds are read to two decimals."""


@dataclass(frozen=True)
class OrganFindings:
    """One organ under one arm."""

    dsc: Interval
    surface_dsc: Interval
    hd95_mm: Interval
    missed: int
    """Predictions without a voxel, of ``scored``."""
    scored: int
    """Patients times seeds."""


@dataclass(frozen=True)
class ArmFindings:
    """One arm under its chosen schedule.

    Attributes:
        runs: one a seed.
        dsc: mean over organs; likewise ``surface_dsc`` and ``hd95_mm``.
        to_pooled: DSC minus the pooled arm's, paired; None for pooled itself, or where it was not run.
        seed_dsc: mean DSC of each seed.
        organs: by structure.
        site_dsc: DSC on each site's own patients, mean over organs.
    """

    arm: str
    schedule: str
    runs: tuple[RunResult, ...]
    dsc: Interval
    surface_dsc: Interval
    hd95_mm: Interval
    to_pooled: Interval | None
    seed_dsc: Mapping[int, float]
    organs: Mapping[str, OrganFindings]
    site_dsc: Mapping[str, Interval]

    @property
    def worst_site(self) -> str:
        """Where the mean DSC is lowest."""
        scored = {site: dsc.estimate for site, dsc in self.site_dsc.items() if dsc.patients}
        return min(scored, key=scored.__getitem__)

    @property
    def busiest_bytes(self) -> float:
        """What the site that sends most sends, mean over the seeds."""
        return float(np.mean([max(run.bytes_sent.values(), default=0) for run in self.runs]))


@dataclass(frozen=True)
class Comparison:
    """All arms on one set of patients.

    Attributes:
        set_name: ``val``, or the name of a locked set.
        patients: number by site.
        organ_patients: patients in whom each structure is complete.
        seeds: those that were scored.
        arms: in the order of the study.
        scores: DSC of each arm, [seed, patient, organ].
        patient_sites: site of each patient in ``scores``.
    """

    set_name: str
    patients: Mapping[str, int]
    organ_patients: Mapping[str, int]
    seeds: tuple[int, ...]
    arms: tuple[ArmFindings, ...]
    scores: Mapping[str, Scores]
    patient_sites: tuple[str, ...]

    def arm(self, name: str) -> ArmFindings | None:
        """The arm of this name, if it was run."""
        return next((arm for arm in self.arms if arm.arm == name), None)

    def difference(self, ours: str, theirs: str) -> Interval:
        """Mean DSC of ``ours`` minus that of ``theirs``, paired by patient, organ and seed."""
        return paired_difference(self.scores[ours], self.scores[theirs], self.patient_sites, _rng())


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
    rows = [row for row in cases if row.set == set_name and (row.arm, row.schedule) in schedules]
    table = _Table.of(rows, results)
    scored = {row.arm for row in rows}
    pooled = table.array(POOLED, "dsc") if POOLED in scored else None
    sites = table.sites
    return Comparison(
        set_name=set_name,
        patients={site: sites.count(site) for site in dict.fromkeys(sites)},
        organ_patients={
            organ: len({(row.site, row.case) for row in rows if row.organ == organ and row.reference_voxels > 0})
            for organ in results.structures
        },
        seeds=table.seeds,
        arms=tuple(_findings(table, tuple(runs), pooled) for arm, runs in chosen.items() if arm in scored),
        scores={arm: table.array(arm, "dsc") for arm in chosen if arm in scored},
        patient_sites=sites,
    )


def set_names(results: StudyResults) -> tuple[str, ...]:
    """The sets that were scored: locked ones, which training never saw, before validation."""
    return (*(locked.set_name for locked in results.locked), VALIDATION_SET)


@dataclass(frozen=True)
class _Table:
    """Rows of one set as arrays [seed, patient, organ], all arms on the same axes."""

    rows: Sequence[CaseScore]
    seeds: tuple[int, ...]
    patients: tuple[tuple[str, str], ...]
    organs: tuple[str, ...]

    @classmethod
    def of(cls, rows: Sequence[CaseScore], results: StudyResults) -> _Table:
        return cls(
            rows=rows,
            seeds=tuple(sorted({row.seed for row in rows})),
            patients=tuple(sorted({(row.site, row.case) for row in rows})),
            organs=results.structures,
        )

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(site for site, _ in self.patients)

    def array(self, arm: str, metric: Metric) -> Scores:
        """Scores of one arm; nan where an organ is not scored."""
        scores = np.full((len(self.seeds), len(self.patients), len(self.organs)), np.nan)
        seeds, patients, organs = (
            {name: i for i, name in enumerate(axis)} for axis in (self.seeds, self.patients, self.organs)
        )
        for row in self.rows:
            if row.arm == arm and row.reference_voxels > 0:
                place = seeds[row.seed], patients[row.site, row.case], organs[row.organ]
                scores[place] = getattr(row, metric)
        return scores


def _findings(table: _Table, runs: tuple[RunResult, ...], pooled: Scores | None) -> ArmFindings:
    arm = runs[0].arm
    dsc = table.array(arm, "dsc")
    sites = np.asarray(table.sites)
    return ArmFindings(
        arm=arm,
        schedule=runs[0].schedule,
        runs=runs,
        dsc=_interval(dsc, sites),
        surface_dsc=_interval(table.array(arm, "surface_dsc"), sites),
        hd95_mm=_interval(table.array(arm, "hd95_mm"), sites),
        to_pooled=None if pooled is None or arm == POOLED else paired_difference(dsc, pooled, table.sites, _rng()),
        seed_dsc={seed: _part(dsc[[i]], sites).estimate for i, seed in enumerate(table.seeds)},
        organs={organ: _organ_findings(table, arm, i) for i, organ in enumerate(table.organs)},
        site_dsc={site: _part(dsc[:, sites == site], sites[sites == site]) for site in dict.fromkeys(table.sites)},
    )


def _organ_findings(table: _Table, arm: str, index: int) -> OrganFindings:
    rows = [row for row in table.rows if row.arm == arm and row.organ == table.organs[index] and row.reference_voxels]
    only = [index]
    sites = np.asarray(table.sites)
    return OrganFindings(
        dsc=_part(table.array(arm, "dsc")[..., only], sites),
        surface_dsc=_part(table.array(arm, "surface_dsc")[..., only], sites),
        hd95_mm=_part(table.array(arm, "hd95_mm")[..., only], sites),
        missed=sum(row.missed for row in rows),
        scored=len(rows),
    )


def _interval(scores: Scores, sites: NDArray[np.str_]) -> Interval:
    return mean_interval(scores, sites.tolist(), _rng())


def _part(scores: Scores, sites: NDArray[np.str_]) -> Interval:
    return mean_interval(scores, sites.tolist(), _rng(), resamples=PART_RESAMPLES)


def _rng() -> np.random.Generator:
    return np.random.default_rng(BOOTSTRAP_SEED)
