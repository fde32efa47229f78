import math
import statistics

import numpy as np
import pytest
from tests.evaluate.solids import linear_dose

from gossamer.data.frame import Frame
from gossamer.evaluate.dose_effect import DoseEffect, Outside, dose_columns, dose_effect, summarise
from gossamer.evaluate.dose_metrics import parse_dose_metrics
from gossamer.evaluate.folders import OrganMasks

METRICS = parse_dose_metrics(["mean", "V50Gy"])
FRAME = Frame.canonical((10, 6, 6), (2.0, 2.0, 2.0), (-9.0, -5.0, -5.0))
"""Its middle is the world's origin, where the dose is 50 Gy."""


def slab(begin, end):
    mask = np.zeros(FRAME.shape, dtype=bool)
    mask[begin:end] = True
    return mask


def effect_of(prediction, reference, case="c1"):
    return dose_effect(OrganMasks(case, "Liver", prediction, reference, FRAME), linear_dose("head", 1.0), METRICS)


def test_difference_is_prediction_minus_reference():
    # Slices of 2 mm, dose 1 Gy a mm: the reference reaches from -4 to 4 mm, the prediction from 0 to 6.
    effect = effect_of(slab(5, 8), slab(3, 7))
    assert effect.reference == pytest.approx({"D_mean": 50.0, "V50Gy": 50.0}, abs=0.05)
    assert effect.prediction == pytest.approx({"D_mean": 53.0, "V50Gy": 100.0}, abs=0.05)
    assert effect.difference("D_mean") == pytest.approx(3.0, abs=1e-3)
    assert not effect.missed
    assert list(effect.fields(METRICS)) == list(dose_columns(METRICS))
    assert effect.fields(METRICS)["D_mean_difference_gy"] == effect.difference("D_mean")


def test_a_missed_organ_is_counted_and_not_imputed():
    nothing = slab(0, 0)
    assert math.isnan(effect_of(nothing, slab(3, 7)).difference("D_mean"))
    effects = [effect_of(slab(5, 8), slab(3, 7)), effect_of(nothing, slab(0, 2)), effect_of(slab(0, 3), nothing)]
    mean, _ = summarise(effects, METRICS)
    assert (mean.difference.patients, mean.missed, mean.limits) == (1, 1, None)
    assert math.isnan(mean.difference.low)
    assert mean.reference == pytest.approx(50.0, abs=1e-3)


def test_limits_of_agreement_are_those_of_bland_and_altman():
    differences = [1.0, -2.0, 4.0, 0.5, 1.5]
    effects = [
        DoseEffect(
            f"c{n}", "Liver", {"D_mean": 30.0, "V50Gy": 1.0}, {"D_mean": 30.0 + d, "V50Gy": 1.0}, Outside(0, 0), False
        )
        for n, d in enumerate(differences)
    ]
    mean, volume = summarise(effects, METRICS)
    sd = statistics.stdev(differences)
    assert mean.difference.estimate == pytest.approx(1.0)
    assert mean.limits == pytest.approx((1.0 - 1.96 * sd, 1.0 + 1.96 * sd))
    assert (mean.reference, mean.prediction) == pytest.approx((30.0, 31.0))
    # The bootstrap interval of a mean of five is about as wide as 1.96 standard errors (n in the place of n - 1).
    wide = 1.96 * statistics.pstdev(differences) / math.sqrt(5)
    assert (mean.difference.high - mean.difference.low) / 2 == pytest.approx(wide, rel=0.15)
    assert volume.limits == (0.0, 0.0)


def test_an_organ_that_no_pair_has_is_summed_up_to_nothing():
    mean, _ = summarise([effect_of(slab(0, 0), slab(3, 7))], METRICS)
    assert mean.difference.patients == 0
    assert math.isnan(mean.difference.estimate)
    assert math.isnan(mean.reference)
