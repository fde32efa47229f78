import math

import numpy as np
import pytest

from gossamer.errors import UnknownMetricError
from gossamer.evaluate.score import mean_of, score_masks

DRAWN = np.pad(np.ones((2, 2, 2), dtype=bool), 2)
EMPTY = np.zeros_like(DRAWN)


@pytest.mark.parametrize(
    ("prediction", "reference", "outcome"),
    [
        (DRAWN, DRAWN, "scored"),
        (EMPTY, DRAWN, "missed"),
        (DRAWN, EMPTY, "false positive"),
        (EMPTY, EMPTY, "absent"),
    ],
)
def test_outcome_says_what_a_pair_counts_as(prediction, reference, outcome):
    assert score_masks(prediction, reference, (1, 1, 1), 1.0).outcome == outcome


def test_score_holds_the_metrics_asked_for_and_the_voxels():
    score = score_masks(DRAWN, DRAWN, (1, 1, 1), 1.0, ["dsc"])
    assert score.values == {"dsc": 1.0}
    assert (score.reference_voxels, score.predicted_voxels) == (8, 8)


def test_unknown_metric_is_refused():
    with pytest.raises(UnknownMetricError):
        score_masks(DRAWN, DRAWN, (1, 1, 1), 1.0, ["hd59"])


def test_mean_leaves_out_what_is_excluded():
    assert mean_of([0.5, math.nan, 1.0]) == 0.75
    assert mean_of([math.nan]) is None
