"""From scores of single organs to a table: each organ's means, and the averages with their intervals."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gossamer.evaluate.dose_effect import DoseEffect, dose_columns
from gossamer.evaluate.dose_metrics import DoseMetric
from gossamer.evaluate.folders import OrganResult
from gossamer.evaluate.intervals import Average, Interval, mean_interval
from gossamer.evaluate.score import mean_of

_SEED = 0
"""Of the resamples: the same scores give the same interval."""


@dataclass(frozen=True)
class OrganSummary:
    """One organ over all cases.

    Attributes:
        organ: TG-263 name.
        patients: cases in whom the reference has it.
        means: by metric, over the cases where it has a value; None where there is none.
        missed: cases in whom nothing was predicted.
        false_positives: cases in whom it was predicted and the reference is empty.
    """

    organ: str
    patients: int
    means: dict[str, float | None]
    missed: int
    false_positives: int


def by_organ(results: Iterable[OrganResult], metrics: Sequence[str]) -> list[OrganSummary]:
    """Means of each organ, in the order of their names."""
    rows: dict[str, list[OrganResult]] = {}
    for result in results:
        rows.setdefault(result.organ, []).append(result)
    return [
        OrganSummary(
            organ=organ,
            patients=sum(row.score.reference_voxels > 0 for row in rows[organ]),
            means={metric: mean_of(row.score.values[metric] for row in rows[organ]) for metric in metrics},
            missed=sum(row.score.outcome == "missed" for row in rows[organ]),
            false_positives=sum(row.score.outcome == "false positive" for row in rows[organ]),
        )
        for organ in sorted(rows)
    ]


def overall(results: Sequence[OrganResult], metric: str, average: Average) -> Interval:
    """The average of a metric over organs or patients, with its 95 % bootstrap interval over patients."""
    cases = sorted({result.case for result in results})
    organs = sorted({result.organ for result in results})
    scores = np.full((1, len(cases), len(organs)), np.nan)
    for result in results:
        scores[0, cases.index(result.case), organs.index(result.organ)] = result.score.values[metric]
    return mean_interval(scores, [""] * len(cases), np.random.default_rng(_SEED), average=average)


def to_csv(
    results: Iterable[OrganResult],
    metrics: Sequence[str],
    effects: Iterable[DoseEffect] = (),
    figures: Sequence[DoseMetric] = (),
) -> str:
    """A line for each case and organ; a metric without a value is an empty field.

    Args:
        results: what is written.
        metrics: of the results.
        effects: dose figures of the same cases and organs, as far as they have a dose.
        figures: of the effects; without them no columns of doses are written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    doses = {(effect.case, effect.organ): effect.fields(figures) for effect in effects}
    columns = dose_columns(figures) if figures else ()
    writer.writerow(
        ["case", "organ", *metrics, "tolerance_mm", "reference_voxels", "predicted_voxels", "outcome", *columns]
    )
    for result in results:
        score, dose = result.score, doses.get((result.case, result.organ), {})
        writer.writerow(
            [
                result.case,
                result.organ,
                *(_field(score.values[metric]) for metric in metrics),
                result.tolerance_mm,
                score.reference_voxels,
                score.predicted_voxels,
                score.outcome,
                *(_field(dose.get(column, math.nan)) for column in columns),
            ]
        )
    return text.getvalue()


def _field(value: float) -> float | str:
    return "" if math.isnan(value) else value
