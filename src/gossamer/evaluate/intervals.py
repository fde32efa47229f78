"""Means over organs and patients, and how sure they are: a bootstrap over patients, stratified by site.

The unit is the patient. Scores are an array [seed, patient, organ] with nan where an organ of a patient is not
scored, so that every patient may have its own organs. A resample draws, with replacement, as many patients of
each site as there are, and as many seeds; all organs of a patient and all sites of a seed stay together.

Source: percentile intervals as in Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13, 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""[seed, patient, organ]; nan where excluded."""

Average = Literal["organs", "patients"]
"""``organs``: mean over organs of each organ's mean over patients. ``patients``: mean over patients of each
patient's mean over its organs."""

Sided = Literal["two", "lower", "upper"]

RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds that hold it at the stated confidence.

    Attributes:
        estimate: from the scores themselves; nan if nothing is scored.
        low: lower bound; −inf if one-sided upwards.
        high: upper bound; inf if one-sided downwards.
        confidence: probability that such bounds hold the truth.
        patients: patients with at least one score.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    patients: int


def mean_interval(
    scores: Scores,
    sites: Sequence[str],
    rng: np.random.Generator,
    *,
    average: Average = "organs",
    confidence: float = 0.95,
    sided: Sided = "two",
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean score and its bootstrap interval.

    Args:
        scores: float64 [seed, patient, organ], nan where excluded.
        sites: the site of each patient.
        rng: source of the resamples.
        average: over organs (each organ counts alike) or over patients (each patient counts alike).
        confidence: of the interval, in (0, 1); ``sided="lower"`` puts all the rest below the lower bound.
        sided: ``two``, or only a ``lower`` or ``upper`` bound.
        resamples: bootstrap resamples.

    Raises:
        ValueError: ``scores`` is not [seed, patient, organ], or ``sites`` is not one per patient.
    """
    if scores.ndim != 3 or scores.shape[1] != len(sites):
        raise ValueError(f"wanted scores [seed, {len(sites)} patients, organ]; found shape {scores.shape}")
    patients = int((~np.isnan(scores)).any(axis=(0, 2)).sum())
    if patients == 0:
        return Interval(np.nan, np.nan, np.nan, confidence, 0)
    seed_weights = _draws(np.zeros(len(scores), dtype=np.intp), resamples, rng)
    patient_weights = _draws(np.unique(list(sites), return_inverse=True)[1], resamples, rng)
    means = _weighted_means(scores, seed_weights, patient_weights, average)
    once = np.ones((1, scores.shape[0])), np.ones((1, scores.shape[1]))
    estimate = float(_weighted_means(scores, *once, average)[0])
    low, high = _bounds(means, confidence, sided)
    return Interval(estimate, low, high, confidence, patients)


def paired_difference(
    ours: Scores,
    theirs: Scores,
    sites: Sequence[str],
    rng: np.random.Generator,
    *,
    average: Average = "organs",
    confidence: float = 0.95,
    sided: Sided = "two",
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean of ``ours − theirs`` over the same seeds, patients and organs, with its bootstrap interval.

    A score counts only where both have it. Arguments otherwise as in :func:`mean_interval`; a one-sided lower
    bound at 97.5 % (``confidence=0.975, sided="lower"``) is what a non-inferiority margin is held against.

    Raises:
        ValueError: the two differ in shape, or ``sites`` is not one per patient.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"wanted paired scores of one shape; found {ours.shape} and {theirs.shape}")
    return mean_interval(
        ours - theirs, sites, rng, average=average, confidence=confidence, sided=sided, resamples=resamples
    )


def _draws(stratum: NDArray[np.intp], resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each unit is drawn, [resample, unit]: within each stratum with replacement, as many as there are."""
    weights = np.zeros((resamples, len(stratum)))
    for which in np.unique(stratum):
        members = np.flatnonzero(stratum == which)
        share = np.full(len(members), 1.0 / len(members))
        weights[:, members] = rng.multinomial(len(members), share, size=resamples)
    return weights


def _weighted_means(
    scores: Scores, seed_weights: NDArray[np.float64], patient_weights: NDArray[np.float64], average: Average
) -> NDArray[np.float64]:
    """The mean of each resample [resample]; what a resample does not hold is left out of it."""
    if average == "patients":
        counts = (~np.isnan(scores)).sum(axis=2)
        sums = np.nansum(scores, axis=2)
        scores = np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)[..., None]
    seeds, patients, organs = scores.shape
    by_patient = scores.transpose(1, 0, 2).reshape(patients, seeds * organs)

    def contract(values: NDArray[np.float64]) -> NDArray[np.float64]:
        per_seed = (patient_weights @ values).reshape(-1, seeds, organs)
        return np.asarray(np.einsum("rs,rso->ro", seed_weights, per_seed))

    total = contract(np.nan_to_num(by_patient))
    weight = contract((~np.isnan(by_patient)).astype(np.float64))
    held = weight > 0
    organ_means = np.divide(total, weight, out=np.zeros_like(total), where=held)
    organs_held = held.sum(axis=1)
    out = np.full(len(organ_means), np.nan)
    return np.asarray(np.divide(organ_means.sum(axis=1), organs_held, out=out, where=organs_held > 0))


def _bounds(means: NDArray[np.float64], confidence: float, sided: Sided) -> tuple[float, float]:
    rest = 1.0 - confidence
    if sided == "lower":
        return float(np.nanquantile(means, rest)), np.inf
    if sided == "upper":
        return -np.inf, float(np.nanquantile(means, confidence))
    low, high = np.nanquantile(means, [rest / 2, 1 - rest / 2])
    return float(low), float(high)
