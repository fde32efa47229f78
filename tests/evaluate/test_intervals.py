import math

import numpy as np
import pytest
from scipy import stats

from gossamer.evaluate.intervals import mean_interval, paired_difference

NAN = math.nan


def generator(seed=0):
    return np.random.default_rng(seed)


def test_averages_over_organs_and_over_patients_are_those_counted_by_hand():
    # Two patients, two organs; the second organ is scored in the first patient only.
    scores = np.array([[[0.8, 0.2], [0.6, NAN]]])
    assert mean_interval(scores, "AA", generator(), average="organs").estimate == pytest.approx((0.7 + 0.2) / 2)
    assert mean_interval(scores, "AA", generator(), average="patients").estimate == pytest.approx((0.5 + 0.6) / 2)


def test_nothing_scored_gives_nan_and_no_patient():
    interval = mean_interval(np.full((1, 3, 2), NAN), "ABC", generator())
    assert math.isnan(interval.estimate)
    assert interval.patients == 0


def test_patients_without_any_score_are_not_counted():
    scores = np.array([[[0.8], [NAN], [0.6]]])
    assert mean_interval(scores, "AAA", generator()).patients == 2


def test_interval_of_a_large_sample_is_the_normal_one():
    values = generator(1).normal(0.7, 0.1, size=400)
    interval = mean_interval(values[None, :, None], ["A"] * 400, generator())
    half_width = 1.96 * values.std() / math.sqrt(400)
    assert interval.low == pytest.approx(values.mean() - half_width, abs=5e-4)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=5e-4)


def test_interval_stratified_by_site_is_as_narrow_as_the_patients_within_sites_allow():
    # Sites differ far more than their patients do: only the spread within a site may count.
    rng = generator(2)
    values = np.concatenate([rng.normal(0.2, 0.02, 100), rng.normal(0.9, 0.05, 300)])
    sites = ["A"] * 100 + ["B"] * 300
    error = math.sqrt(100 * values[:100].var() + 300 * values[100:].var()) / 400
    interval = mean_interval(values[None, :, None], sites, generator())
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * error, rel=0.04)


def test_interval_equals_that_of_scipy():
    values = generator(3).beta(8, 3, size=60)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=generator(5))
    ours = mean_interval(values[None, :, None], ["A"] * 60, generator(), resamples=20_000)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=1e-3)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=1e-3)


def test_spread_between_seeds_widens_the_interval_as_its_variance_says():
    seeds = np.array([0.60, 0.66, 0.69, 0.71, 0.64, 0.70])
    scores = np.repeat(seeds[:, None, None], 50, axis=1)
    interval = mean_interval(scores, ["A"] * 50, generator(), resamples=20_000)
    theirs = stats.bootstrap((seeds,), np.mean, n_resamples=20_000, method="percentile", rng=generator(5))
    assert interval.low == pytest.approx(theirs.confidence_interval.low, abs=2e-3)
    assert interval.high == pytest.approx(theirs.confidence_interval.high, abs=2e-3)


def test_average_over_organs_resamples_each_organs_own_patients():
    # Independent reference: the same bootstrap written as a plain loop.
    rng = generator(4)
    scores = rng.random((2, 40, 3))
    scores[:, rng.random(40) < 0.5, 1] = NAN
    sites = np.array(["A"] * 15 + ["B"] * 25)
    means = []
    for _ in range(3000):
        drawn = np.concatenate([rng.choice(np.flatnonzero(sites == s), (sites == s).sum()) for s in "AB"])
        resample = scores[rng.choice(2, 2)][:, drawn]
        means.append(np.mean([np.nanmean(resample[:, :, organ]) for organ in range(3)]))
    interval = mean_interval(scores, list(sites), generator())
    low, high = np.quantile(means, [0.025, 0.975])
    assert interval.low == pytest.approx(low, abs=5e-3)
    assert interval.high == pytest.approx(high, abs=5e-3)


def test_paired_difference_sees_what_patients_have_in_common():
    rng = generator(6)
    hard = rng.normal(0.7, 0.15, size=(1, 100, 1))
    theirs, ours = hard, hard + rng.normal(0.01, 0.005, size=hard.shape)
    interval = paired_difference(ours, theirs, ["A"] * 100, generator())
    assert interval.estimate == pytest.approx((ours - theirs).mean())
    assert 0.008 < interval.low < interval.high < 0.012


def test_paired_difference_counts_only_what_both_have_scored():
    ours, theirs = np.array([[[0.9], [0.5]]]), np.array([[[0.8], [NAN]]])
    interval = paired_difference(ours, theirs, "AA", generator())
    assert interval.estimate == pytest.approx(0.1)
    assert interval.patients == 1


def test_one_sided_bound_at_97_5_percent_is_the_lower_end_of_the_two_sided_95():
    scores = generator(7).random((1, 80, 2))
    two = mean_interval(scores, ["A"] * 80, generator())
    lower = mean_interval(scores, ["A"] * 80, generator(), confidence=0.975, sided="lower")
    upper = mean_interval(scores, ["A"] * 80, generator(), confidence=0.975, sided="upper")
    assert (lower.low, lower.high) == (pytest.approx(two.low), math.inf)
    assert (upper.low, upper.high) == (-math.inf, pytest.approx(two.high))


def test_same_generator_seed_gives_the_same_bits():
    scores = generator(8).random((3, 20, 4))
    sites = list("AABB" * 5)
    assert mean_interval(scores, sites, generator(9)) == mean_interval(scores, sites, generator(9))
    assert mean_interval(scores, sites, generator(9)).low != mean_interval(scores, sites, generator(10)).low


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 patients"):
        mean_interval(np.zeros((1, 3, 1)), "AB", generator())
    with pytest.raises(ValueError, match="one shape"):
        paired_difference(np.zeros((1, 2, 1)), np.zeros((1, 3, 1)), "AB", generator())
