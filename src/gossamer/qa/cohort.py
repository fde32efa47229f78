"""What stands out among the cases of a hospital: statistics of each organ, and cases far from the others.

Law: a case is named an outlier where its modified z-score, 0.6745 (x - median) / MAD, is beyond 3.5; of volumes after
taking logarithms, since they spread by factors. Below eight cases nothing is said: the median absolute deviation of
fewer says little. It is never smaller than a floor, below which differences are drawing, not error.

Source: B. Iglewicz and D. C. Hoaglin, "How to Detect and Handle Outliers", ASQC 1993, section 3.4.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from gossamer.qa.facts import CaseFacts, OrganFacts

FEWEST_CASES = 8

BEYOND = 3.5

MAD_OF_SIGMA = 0.6745
"""Median absolute deviation of a normal distribution of spread one."""

FLOORS = {"volume_ml": 0.05, "hu_median": 3.0}
"""Of the MAD: 5 % of a volume, 3 HU; scanners and hands differ by as much between days."""

ALIKE = 0.985
"""Correlation of two bodies from which on they may be one. Between the 200 patients of OpenKBP it is at most .970; of
one CT with noise of 20 HU added at least .994, less a slice at least .993, and on another grid beyond this for four of
five: so it finds one examination sent twice, mostly, and never says that two are one."""

What = Literal["volume_ml", "hu_median"]

WORDS: Mapping[What, tuple[str, str]] = {"volume_ml": ("volume", "ml"), "hu_median": ("median", "HU")}


@dataclass(frozen=True)
class Spread:
    """How values are distributed."""

    count: int
    lowest: float
    quartile_1: float
    median: float
    quartile_3: float
    highest: float


@dataclass(frozen=True)
class OrganStatistics:
    """An organ over the cases in which it was drawn.

    Attributes:
        drawn, complete: cases in which it was drawn, and in which it is to be scored.
        volume_ml: over the cases in which it is complete; None without any.
        hu_median: over those in which it was drawn.
        reach_first, reach_last: cases in which it reaches the scan's lowest, or highest, slice.
    """

    organ: str
    drawn: int
    complete: int
    volume_ml: Spread | None
    hu_median: Spread
    reach_first: int
    reach_last: int


@dataclass(frozen=True)
class Outlier:
    """A case that lies far from the others."""

    case: str
    organ: str
    what: What
    value: float
    median: float
    score: float

    @property
    def sentence(self) -> str:
        """For people."""
        word, unit = WORDS[self.what]
        digits = 0 if self.what == "hu_median" else 1
        side = "above" if self.score > 0 else "below"
        return (
            f"{self.organ}: {word} {self.value:.{digits}f} {unit}, far {side} the median {self.median:.{digits}f} "
            f"(score {self.score:+.1f})"
        ).replace("-", "\u2212")


@dataclass(frozen=True)
class Cohort:
    """All that is to be said of a hospital's cases.

    Attributes:
        organs: in the order of the table of names.
        outliers: the furthest first.
        spacing_mm, extent_mm: by axis z, y, x.
        same_ct: groups of cases whose CTs are equal to the voxel.
        alike: pairs of cases whose bodies look alike, with their correlation.
    """

    site: str
    cases: int
    splits: Mapping[str, int]
    organs: tuple[OrganStatistics, ...]
    outliers: tuple[Outlier, ...]
    spacing_mm: Mapping[str, Spread]
    extent_mm: Mapping[str, Spread]
    same_ct: tuple[tuple[str, ...], ...]
    alike: tuple[tuple[str, str, float], ...]
    looks: Mapping[str, tuple[str, ...]]


def cohort_of(site: str, facts: Sequence[CaseFacts], structures: Sequence[str]) -> Cohort:
    """Sum up the cases of a hospital.

    Args:
        site: the hospital.
        facts: of at least one case.
        structures: drawn in at least one of them, in the order to list them.
    """
    organs = {name: {one.case: one.organs[name] for one in facts if name in one.organs} for name in structures}
    outliers = [outlier for name, drawn in organs.items() for outlier in _outliers(name, drawn)]
    same = _same_ct(facts)
    axes = dict(enumerate("zyx"))
    return Cohort(
        site=site,
        cases=len(facts),
        splits={split: sum(one.split == split for one in facts) for split in ("train", "val", "test")},
        organs=tuple(_statistics(name, tuple(drawn.values())) for name, drawn in organs.items() if drawn),
        outliers=tuple(sorted(outliers, key=lambda outlier: -abs(outlier.score))),
        spacing_mm={name: spread([one.spacing_mm[axis] for one in facts]) for axis, name in axes.items()},
        extent_mm={name: spread([one.extent_mm[axis] for one in facts]) for axis, name in axes.items()},
        same_ct=same,
        alike=tuple(_alike(facts, same)),
        looks={one.case: one.looks for one in facts if one.looks},
    )


def spread(values: Sequence[float]) -> Spread:
    """The distribution of at least one value."""
    return Spread(len(values), *(float(part) for part in np.percentile(values, [0, 25, 50, 75, 100])))


def scores(values: Sequence[float], floor: float) -> list[float]:
    """Modified z-scores; the median absolute deviation counts for at least ``floor``."""
    away = np.array(values) - np.median(values)
    return [float(score) for score in MAD_OF_SIGMA * away / max(float(np.median(np.abs(away))), floor)]


def _statistics(name: str, drawn: Sequence[OrganFacts]) -> OrganStatistics:
    volumes = [organ.volume_ml for organ in drawn if organ.complete]
    return OrganStatistics(
        organ=name,
        drawn=len(drawn),
        complete=len(volumes),
        volume_ml=spread(volumes) if volumes else None,
        hu_median=spread([organ.hu_median for organ in drawn]),
        reach_first=sum(organ.reaches_first for organ in drawn),
        reach_last=sum(organ.reaches_last for organ in drawn),
    )


def _outliers(name: str, drawn: Mapping[str, OrganFacts]) -> Iterator[Outlier]:
    volumes = {case: organ.volume_ml for case, organ in drawn.items() if organ.complete}
    medians = {case: organ.hu_median for case, organ in drawn.items()}
    measured: tuple[tuple[What, dict[str, float], list[float]], ...] = (
        ("volume_ml", volumes, [float(np.log(volume)) for volume in volumes.values()]),
        ("hu_median", medians, list(medians.values())),
    )
    for what, by_case, scaled in measured:
        if len(by_case) < FEWEST_CASES:
            continue
        median = float(np.median(list(by_case.values())))
        for (case, value), score in zip(by_case.items(), scores(scaled, FLOORS[what]), strict=True):
            if abs(score) > BEYOND:
                yield Outlier(case, name, what, value, median, score)


def _same_ct(facts: Sequence[CaseFacts]) -> tuple[tuple[str, ...], ...]:
    by_hash: dict[str, list[str]] = {}
    for one in facts:
        by_hash.setdefault(one.voxels_sha256, []).append(one.case)
    return tuple(tuple(cases) for cases in by_hash.values() if len(cases) > 1)


def _alike(facts: Sequence[CaseFacts], same: Sequence[Sequence[str]]) -> Iterator[tuple[str, str, float]]:
    """Pairs of bodies that look alike, without those known to be the same."""
    raw = np.stack([np.frombuffer(base64.b64decode(one.thumbnail), np.int8) for one in facts]).astype(np.float32)
    away = raw - raw.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(away, axis=1, keepdims=True)
    units = away / np.where(lengths > 0, lengths, np.inf)
    known = {pair for group in same for pair in combinations(group, 2)}
    for i, j in np.argwhere(np.triu(units @ units.T, 1) > ALIKE):
        pair = facts[i].case, facts[j].case
        if pair not in known:
            yield (*pair, float(units[i] @ units[j]))
