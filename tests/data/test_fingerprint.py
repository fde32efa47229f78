import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.data.fingerprint import Fingerprint, fingerprint_of_case, mean_and_sd, merged, percentile
from gossamer.errors import PlanError

counts = st.dictionaries(st.integers(-1024, 3071), st.integers(1, 10**6), max_size=8)
axis = st.dictionaries(st.integers(1, 120), st.integers(1, 50), max_size=4)
fingerprints = st.builds(
    Fingerprint,
    cases=st.integers(0, 100),
    annotated=st.dictionaries(st.sampled_from(["Liver", "Spleen", "Stomach"]), st.integers(1, 100)),
    hu=counts,
    spacing=st.tuples(axis, axis, axis),
    extent=st.tuples(axis, axis, axis),
)


@given(fingerprints, fingerprints, fingerprints)
def test_fingerprints_add_in_any_order_and_grouping(a, b, c):
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + Fingerprint() == a
    assert (a + b).to_json() == (b + a).to_json()


@given(fingerprints)
def test_a_fingerprint_read_back_is_itself(fingerprint):
    assert Fingerprint.from_json(fingerprint.to_json()) == fingerprint


@given(st.lists(st.lists(st.integers(-1024, 3071), min_size=1, max_size=40), min_size=1, max_size=4))
def test_merged_histograms_give_the_pooled_mean_and_spread(sites):
    pooled = np.concatenate(sites)
    histograms = [
        Fingerprint(hu={int(v): int(n) for v, n in zip(*np.unique(s, return_counts=True), strict=True)}) for s in sites
    ]
    hu = merged(histograms).hu
    assert mean_and_sd(hu, -1024, 3071) == pytest.approx((pooled.mean(), pooled.std()), abs=1e-9)
    clipped = pooled.clip(-100, 250)
    assert mean_and_sd(hu, -100, 250) == pytest.approx((clipped.mean(), clipped.std()), abs=1e-9)
    for per_mille in (5, 500, 995):
        assert percentile(hu, per_mille) == np.percentile(pooled, per_mille / 10, method="inverted_cdf")


def test_two_sites_spread_is_not_the_mean_of_their_spreads():
    """Means 50 and 100, spread 30 each: sqrt(30^2 + 25^2) = 39.05, not 30."""
    one, other = ({50 - 30: 1, 50 + 30: 1}, {100 - 30: 1, 100 + 30: 1})
    pooled = merged([Fingerprint(hu=one), Fingerprint(hu=other)])
    assert mean_and_sd(pooled.hu, -1024, 3071) == pytest.approx((75.0, 39.0512), abs=1e-4)


def test_a_case_is_counted_by_hand():
    voxels = np.array([[[-1000.0, 10.4], [10.6, 5000.0]]])
    liver = np.array([[[False, True], [True, False]]])
    spleen = np.array([[[False, False], [True, True]]])
    print_ = fingerprint_of_case(voxels, {"Liver": liver, "Spleen": spleen}, (3.0, 0.9765625, 0.5))
    assert print_ == Fingerprint(
        cases=1,
        annotated={"Liver": 1, "Spleen": 1},
        hu={10: 1, 11: 1, 3071: 1},
        spacing=({60: 1}, {20: 1}, {10: 1}),
        extent=({3: 1}, {2: 1}, {1: 1}),
    )


@given(fingerprints, st.integers(1, 20))
def test_no_count_below_the_minimum_is_shared(fingerprint, minimum):
    shared = fingerprint.suppressed(minimum)
    cells = [shared.annotated, shared.hu, *shared.spacing, *shared.extent]
    assert all(count >= minimum for cell in cells for count in cell.values())
    assert shared.cases == 0 or shared.cases >= minimum
    assert fingerprint.suppressed(1) == fingerprint
    assert all(fingerprint.hu[hu] == count for hu, count in shared.hu.items())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        Fingerprint().to_json().replace('"cases":0', '"cases":-1'),
        Fingerprint().to_json().replace('"cases":0', '"cases":1.5'),
        Fingerprint().to_json().replace('"cases":0', '"cases":true'),
        Fingerprint().to_json().replace('"format":1', '"format":2'),
        Fingerprint().to_json().replace('"hu":[]', '"hu":[[0,-3]]'),
        Fingerprint().to_json().replace('"spacing":[[],[],[]]', '"spacing":[[],[]]'),
    ],
)
def test_what_is_no_fingerprint_is_refused(text):
    with pytest.raises(PlanError, match="fingerprint of format 1"):
        Fingerprint.from_json(text)


def test_a_fingerprint_holds_whole_counts_only():
    """No field a patient could be read from: only counts, and no more than the stated ones."""
    voxels = np.zeros((2, 2, 2))
    print_ = fingerprint_of_case(voxels, {"Liver": voxels == 0}, (1.0, 1.0, 1.0))
    assert set(json.loads(print_.to_json())) == {"format", "cases", "annotated", "hu", "spacing", "extent"}


def test_a_percentile_of_nothing_is_refused():
    with pytest.raises(PlanError, match="no count"):
        percentile({}, 500)
