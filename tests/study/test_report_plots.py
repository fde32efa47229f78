"""Where a plot's words stand."""

import re
from itertools import pairwise

from gossamer.study.report.plots import CURVES_PX, FLOOR, LINE_PX, Curve, distance_plot


def test_names_of_curves_that_end_on_the_axis_stand_apart_and_above_it():
    arms = ("pooled", "fedavg", "gossip", "own")
    ends = ((0.0, 1.0), (100.0, FLOOR))
    curves = [Curve(arm, ends, (ends,)) for arm in arms]
    drawn = str(distance_plot(curves, {arm: n for n, arm in enumerate(arms)}, "agreement", "steps"))
    written = re.findall(r'<text[^>]* y="([\d.]+)"[^>]*class="name[^>]*>([^<]+)</text>', drawn)
    places = {words: float(y) for y, words in written}
    assert set(places) == set(arms)
    heights = sorted(places.values())
    assert all(lower - upper >= LINE_PX for upper, lower in pairwise(heights))
    assert heights[-1] <= CURVES_PX - 44  # the axis; its numbers stand below
