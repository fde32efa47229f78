"""One way of writing numbers, for the report and the terminal."""

import math

import pytest

from gossamer.evaluate.intervals import Interval
from gossamer.study import numerals as num


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.7049, ".705"), (0.0, ".000"), (1.0, "1.000"), (-0.044, "−.044"), (-0.0004, ".000"), (None, "–"),
     (math.nan, "–")],
)  # fmt: skip
def test_scores_have_three_decimals_and_no_leading_zero(value, text):
    assert num.score(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0521, "+.052"), (-0.0521, "−.052"), (0.0004, ".000"), (-1.0, "−1.000"), (math.nan, "–")],
)
def test_differences_carry_their_sign(value, text):
    assert num.gain(value) == text


def test_bounds_stand_in_brackets():
    interval = Interval(0.0, -0.0604, 0.012, 0.95, 9)
    assert num.gain_bounds(interval) == "[−.060, +.012]"
    assert num.score_bounds(Interval(0.7, 0.69, 0.72, 0.95, 9)) == "[.690, .720]"
    assert num.millimetre_bounds(Interval(6.0, 5.12, 7.38, 0.95, 9)) == "[5.1, 7.4]"
    assert num.score_bounds(Interval(math.nan, math.nan, math.nan, 0.95, 0)) == ""


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 MB"), (3_440_000, "3.4 MB"), (9_960_000, "10 MB"), (412_300_000, "412 MB"), (1_512_000_000, "1,512 MB"),
     (4_000, "<0.1 MB")],
)  # fmt: skip
def test_traffic_is_in_megabytes(size_bytes, text):
    assert num.megabytes(size_bytes) == text


@pytest.mark.parametrize(("seconds", "text"), [(47.6, "48 s"), (640, "10 min 40 s"), (10_850, "3 h 0 min"), (0, "0 s")])
def test_durations_have_two_units(seconds, text):
    assert num.duration(seconds) == text
