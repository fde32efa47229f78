import csv
import io
import math

import pytest

from gossamer.evaluate.folders import OrganResult
from gossamer.evaluate.score import Score
from gossamer.evaluate.summary import by_organ, overall, to_csv

RESULTS = [
    OrganResult("c1", "Liver", 5.0, Score({"dsc": 0.9, "hd95_mm": 4.0}, 100, 90)),
    OrganResult("c1", "Spleen", 3.0, Score({"dsc": 0.0, "hd95_mm": math.nan}, 50, 0)),
    OrganResult("c2", "Liver", 5.0, Score({"dsc": 0.7, "hd95_mm": 8.0}, 100, 120)),
    OrganResult("c3", "Spleen", 3.0, Score({"dsc": math.nan, "hd95_mm": math.nan}, 0, 7)),
]


def test_means_of_organs_leave_out_what_has_no_value_and_count_what_was_missed():
    liver, spleen = by_organ(RESULTS, ["dsc", "hd95_mm"])
    assert (liver.organ, liver.patients, liver.means, liver.missed) == (
        "Liver",
        2,
        {"dsc": pytest.approx(0.8), "hd95_mm": 6.0},
        0,
    )
    assert (spleen.patients, spleen.means) == (1, {"dsc": 0.0, "hd95_mm": None})
    assert (spleen.missed, spleen.false_positives) == (1, 1)


def test_overall_averages_are_those_counted_by_hand():
    assert overall(RESULTS, "dsc", "organs").estimate == pytest.approx((0.8 + 0.0) / 2)
    patients = overall(RESULTS, "dsc", "patients")
    assert patients.estimate == pytest.approx((0.45 + 0.7) / 2)
    assert patients.patients == 2


def test_table_has_a_row_for_each_case_and_organ_and_empty_fields_for_what_has_no_value():
    rows = list(csv.DictReader(io.StringIO(to_csv(RESULTS, ["dsc", "hd95_mm"]))))
    assert len(rows) == 4
    assert rows[0] == {
        "case": "c1",
        "organ": "Liver",
        "dsc": "0.9",
        "hd95_mm": "4.0",
        "tolerance_mm": "5.0",
        "reference_voxels": "100",
        "predicted_voxels": "90",
        "outcome": "scored",
    }
    assert (rows[1]["hd95_mm"], rows[1]["outcome"]) == ("", "missed")
