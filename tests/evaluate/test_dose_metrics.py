import pytest

from gossamer.errors import UnknownMetricError
from gossamer.evaluate.dose_metrics import parse_dose_metric, parse_dose_metrics


@pytest.mark.parametrize(
    ("text", "name", "kind", "at", "unit"),
    [
        ("mean", "D_mean", "mean", 0, "Gy"),
        ("Dmean", "D_mean", "mean", 0, "Gy"),
        ("Mean[Gy]", "D_mean", "mean", 0, "Gy"),
        ("d_max", "D_max", "dose at %", 0, "Gy"),
        ("Min", "D_min", "dose at %", 100, "Gy"),
        ("D0.03cc", "D0.03cc", "dose at cc", 0.03, "Gy"),
        ("d0.030 cc[Gy]", "D0.03cc", "dose at cc", 0.03, "Gy"),
        ("D_2%", "D2%", "dose at %", 2, "Gy"),
        ("D95%[Gy]", "D95%", "dose at %", 95, "Gy"),
        ("V20Gy", "V20Gy", "volume at Gy", 20, "%"),
        ("V20Gy[%]", "V20Gy", "volume at Gy", 20, "%"),
        ("v12.5gy[cc]", "V12.5Gycc", "volume at Gy", 12.5, "cc"),
        ("V20Gycc", "V20Gycc", "volume at Gy", 20, "cc"),
    ],
)
def test_notation_of_the_field_is_understood(text, name, kind, at, unit):
    metric = parse_dose_metric(text)
    assert (metric.name, metric.kind, metric.at, metric.unit) == (name, kind, at, unit)
    assert parse_dose_metric(metric.name) == metric


@pytest.mark.parametrize(
    "text", ["", "D", "D95", "D0cc", "D0%", "D101%", "V20", "V20%", "Dnancc", "D1e3cc", "V-1Gy", "mean2"]
)
def test_what_is_no_figure_is_refused_with_all_that_are(text):
    with pytest.raises(UnknownMetricError, match=r"D0\.03cc, D95%, V20Gy"):
        parse_dose_metric(text)


def test_one_figure_written_twice_is_taken_once():
    assert [m.name for m in parse_dose_metrics(["mean", "D95%", "D_mean", "V20Gy"])] == ["D_mean", "D95%", "V20Gy"]


def test_names_of_columns_say_which_and_in_what():
    assert parse_dose_metric("D95%").column("reference") == "D95%_reference_gy"
    assert parse_dose_metric("V20Gy").column("difference") == "V20Gy_difference_percent"
    assert parse_dose_metric("V20Gycc").column("prediction") == "V20Gycc_prediction_cc"
