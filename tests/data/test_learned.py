"""The summary of the training data that stays with a model: right numbers, and none of a patient."""

import pytest
from pydantic import ValidationError

from gossamer.data.fingerprint import Fingerprint
from gossamer.data.learned import HU_PER_MILLE, Learned, learned_from


def fingerprint(spacing_bins, extents_mm, hu=None):
    """Of cases alike along all axes; spacing in twentieths of a millimetre."""
    count = {key: values.count(key) for values in (spacing_bins, extents_mm) for key in values}
    spacing, extent = ({key: count[key] for key in values} for values in (spacing_bins, extents_mm))
    return Fingerprint(len(spacing_bins), {}, hu or {0: 1}, (spacing,) * 3, (extent,) * 3)


def test_ranges_leave_out_four_cases_at_each_end_and_are_rounded_outwards():
    # the 5th smallest is 2.05 mm and 171 mm, the 5th largest 3.05 mm and 299 mm
    summary = learned_from(
        fingerprint([20] * 4 + [41] * 3 + [61] * 3 + [99] * 4, [90] * 4 + [171, 299] * 3 + [500] * 4)
    )
    assert summary.spacing_mm == ((2.0, 3.25),) * 3
    assert summary.extent_mm == ((160.0, 300.0),) * 3
    assert summary.cases == 14


def test_percentiles_are_those_of_the_pooled_voxels():
    hu = dict.fromkeys(range(1000), 7)
    summary = learned_from(fingerprint([50] * 10, [100] * 10, hu))
    assert summary.hu == (4, 49, 249, 499, 749, 949, 994)
    assert len(HU_PER_MILLE) == 7


def test_few_cases_are_not_summed_up():
    assert learned_from(fingerprint([50] * 4, [100] * 4)) == Learned(
        cases=0, spacing_mm=(None,) * 3, extent_mm=(None,) * 3, hu=None
    )
    nine = learned_from(fingerprint([50] * 9, [100] * 9))
    assert (nine.cases, nine.spacing_mm[0], nine.hu is None) == (9, None, False)


def test_no_single_patients_value_shows_in_a_range():
    """Whatever one patient's values are, the summary is the same."""
    others = [40, 45, 50, 55, 60, 65] * 3
    summaries = {learned_from(fingerprint([*others, own], [100] * 19)).spacing_mm for own in (1, 20, 80, 500)}
    assert len(summaries) <= 2  # below all others, or above all


def test_cells_that_sites_suppressed_stay_away():
    merged = fingerprint([50] * 10 + [80] * 4, [100] * 14).suppressed(5)
    assert learned_from(merged).spacing_mm == ((2.5, 2.5),) * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"spacing_mm": ((3.0, 2.0), None, None)},
        {"extent_mm": ((-1.0, 2.0), None, None)},
        {"spacing_mm": ((float("nan"), 2.0), None, None)},
        {"hu": (1, 2, 3)},
        {"hu": (7, 6, 5, 4, 3, 2, 1)},
        {"cases": -1},
        {"patient": "x"},
    ],
)
def test_a_summary_that_is_none_is_refused(changes):
    fine = {"cases": 9, "spacing_mm": (None,) * 3, "extent_mm": (None,) * 3, "hu": None}
    assert Learned(**fine)
    with pytest.raises(ValidationError):
        Learned(**{**fine, **changes})
