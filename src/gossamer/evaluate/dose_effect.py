"""What automatic contours do to dose figures: each on the reference, on the prediction, and their difference.

Law: a difference is prediction minus reference, and exists where both masks have voxels whose dose is known. A missed
organ has no dose; it is counted and never imputed, and what is summed up is summed up over the pairs alone.

Source of the limits of agreement: Bland & Altman, Lancet 1986;327:307-310: mean difference ± 1.96 standard deviations.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gossamer.data.dose import DoseGrid
from gossamer.evaluate.dose_metrics import DoseMetric, Unit
from gossamer.evaluate.dvh import Dvh, dose_volume_histogram
from gossamer.evaluate.folders import OrganMasks
from gossamer.evaluate.intervals import Interval, mean_interval

LIMITS = 1.96
"""Standard deviations that hold 95 % of a normal distribution."""

_SEED = 0
"""Of the resamples: the same doses give the same interval."""


@dataclass(frozen=True)
class Outside:
    """Shares of both masks that lie outside the dose grid, where nothing is known; nan of an empty mask."""

    reference: float
    prediction: float


@dataclass(frozen=True)
class DoseEffect:
    """Dose figures of one organ of one case.

    Attributes:
        case: the case.
        organ: TG-263 name.
        reference: by name of the metric, on the reference's mask; nan where there is none.
        prediction: the same on the predicted mask.
        outside: how much of both is unknown.
        missed: whether the reference has the organ, and nothing was predicted.
    """

    case: str
    organ: str
    reference: Mapping[str, float]
    prediction: Mapping[str, float]
    outside: Outside
    missed: bool

    def difference(self, name: str) -> float:
        """Prediction minus reference; nan unless both are known."""
        return self.prediction[name] - self.reference[name]

    def fields(self, metrics: Sequence[DoseMetric]) -> dict[str, float]:
        """All of it by the names that columns have."""
        values = [
            value
            for name in (metric.name for metric in metrics)
            for value in (self.reference[name], self.prediction[name], self.difference(name))
        ]
        return dict(zip(dose_columns(metrics), [*values, self.outside.reference, self.outside.prediction], strict=True))


@dataclass(frozen=True)
class DoseSummary:
    """One metric of one organ over all cases that have both values.

    Attributes:
        organ: TG-263 name.
        metric: its name.
        unit: of all that follows.
        reference: mean on the references; nan without pairs, as the next one.
        prediction: mean on the predictions.
        difference: their mean difference and its 95 % bootstrap interval over patients, nan of fewer than two pairs;
            ``patients`` counts the pairs.
        limits: lower and upper limit of agreement; None of fewer than two pairs.
        missed: cases in whom nothing was predicted.
    """

    organ: str
    metric: str
    unit: Unit
    reference: float
    prediction: float
    difference: Interval
    limits: tuple[float, float] | None
    missed: int


def dose_columns(metrics: Iterable[DoseMetric]) -> tuple[str, ...]:
    """Names of the columns: three of each metric, and the shares outside the dose grid."""
    columns = [metric.column(which) for metric in metrics for which in ("reference", "prediction", "difference")]
    return (*columns, "outside_dose_reference", "outside_dose_prediction")


def dose_effect(masks: OrganMasks, dose: DoseGrid, metrics: Iterable[DoseMetric]) -> DoseEffect:
    """Take the dose figures of both masks of an organ."""
    metrics = tuple(metrics)
    reference = dose_volume_histogram(masks.reference, masks.frame, dose)
    prediction = dose_volume_histogram(masks.prediction, masks.frame, dose)
    return DoseEffect(
        case=masks.case,
        organ=masks.organ,
        reference=_values(reference, metrics),
        prediction=_values(prediction, metrics),
        outside=Outside(reference.outside_share, prediction.outside_share),
        missed=not math.isnan(reference.outside_share) and math.isnan(prediction.outside_share),
    )


def summarise(effects: Sequence[DoseEffect], metrics: Iterable[DoseMetric]) -> list[DoseSummary]:
    """Sum up over cases: a line for each organ, in the order of their names, and metric."""
    metrics = tuple(metrics)
    rows: dict[str, list[DoseEffect]] = {}
    for effect in effects:
        rows.setdefault(effect.organ, []).append(effect)
    return [_summary(organ, rows[organ], metric) for organ in sorted(rows) for metric in metrics]


def _values(histogram: Dvh, metrics: Sequence[DoseMetric]) -> dict[str, float]:
    return {metric.name: histogram.value(metric) for metric in metrics}


def _summary(organ: str, effects: Sequence[DoseEffect], metric: DoseMetric) -> DoseSummary:
    pairs = [effect for effect in effects if not math.isnan(effect.difference(metric.name))]
    differences = [effect.difference(metric.name) for effect in pairs]
    scores = np.asarray(differences, dtype=np.float64).reshape(1, -1, 1)
    mean = mean_interval(scores, [""] * len(pairs), np.random.default_rng(_SEED))
    limits = None
    if len(pairs) < 2:
        mean = replace(mean, low=math.nan, high=math.nan)
    else:
        away = LIMITS * statistics.stdev(differences)
        limits = mean.estimate - away, mean.estimate + away
    return DoseSummary(
        organ=organ,
        metric=metric.name,
        unit=metric.unit,
        reference=_mean(effect.reference[metric.name] for effect in pairs),
        prediction=_mean(effect.prediction[metric.name] for effect in pairs),
        difference=mean,
        limits=limits,
        missed=sum(effect.missed for effect in effects),
    )


def _mean(values: Iterable[float]) -> float:
    values = tuple(values)
    return math.fsum(values) / len(values) if values else math.nan
