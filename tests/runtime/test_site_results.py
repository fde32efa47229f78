"""The table that every site ends with: means with counts, what is refused, who is absent."""

import io
import math

import pytest
from rich.console import Console

from gossamer.cli.site_table import results_table, what_was_cut_short
from gossamer.errors import NoticeError
from gossamer.evaluate.score import Score
from gossamer.runtime.site_results import federation_results, organ_results, result_notice
from gossamer.wire.messages import Notice

MODEL = "c" * 64


def score(dsc, predicted=10, reference=10):
    values = {"dsc": dsc, "surface_dsc": dsc / 2, "hd95_mm": math.nan if not predicted else 3.0}
    return Score(values, reference, predicted)


def told(site, organs=(), refused=False, rounds=2):
    content = result_notice(
        model_sha256=MODEL, cases=5, rounds=rounds, shares={"B": 3}, away={}, organs=tuple(organs), refused=refused
    )
    return Notice("f" * 64, "result", site, content, b"signature")


def results(**notices):
    return federation_results(
        federation="f" * 64, plan="e" * 64, model_sha256=MODEL, rounds=2, sites="ABC", told=notices
    )


def test_means_are_over_patients_and_a_missed_organ_counts_as_nothing_found():
    patients = [{"Liver": score(0.8)}, {"Liver": score(0.0, predicted=0), "Spleen": score(0.6)}]
    liver, spleen, stomach = organ_results(patients, ("Liver", "Spleen", "Stomach"), smallest_count=1)
    assert (liver.patients, liver.dsc, liver.surface_dsc, liver.hd95_mm, liver.missed) == (2, 0.4, 0.2, 3.0, 1)
    assert (spleen.patients, spleen.dsc, spleen.missed) == (1, 0.6, 0)
    assert (stomach.patients, stomach.dsc) == (0, None)


def test_a_mean_over_fewer_patients_than_the_policy_allows_is_kept_back():
    patients = [{"Liver": score(0.8), "Spleen": score(0.6)}, {"Liver": score(0.8)}]
    liver, spleen = organ_results(patients, ("Liver", "Spleen"), smallest_count=2)
    assert liver.patients == 2
    assert spleen.model_dump() == {
        "organ": "Spleen", "patients": None, "dsc": None, "surface_dsc": None, "hd95_mm": None, "missed": None
    }  # fmt: skip


def test_the_table_shows_scores_refusals_and_absent_sites():
    organs = organ_results([{"Liver": score(0.8)}, {"Liver": score(0.7)}], ("Liver", "Spleen"), 1)
    table = results(A=told("A", organs), B=told("B", organs, refused=True))
    assert table.absent == ("C",)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(results_table(table))
    lines = [line.split() for line in console.export_text().splitlines()]
    assert ["A", "5", "2", "0.750", "(2)", "–"] in lines
    assert ["B", "5", "2", "refused", "refused"] in lines
    assert ["C", "absent", "absent", "absent", "absent"] in lines


def test_what_is_refused_is_not_told():
    organs = organ_results([{"Liver": score(0.8)}], ("Liver",), 1)
    assert b"0.8" not in told("A", organs, refused=True).content
    assert b"0.8" in told("A", organs).content


def test_a_site_that_tells_something_else_is_named():
    with pytest.raises(NoticeError, match="site B"):
        results(B=Notice("f" * 64, "result", "B", b"[]", b"signature"))


@pytest.mark.parametrize(("counts", "missing"), [((2, 2, 2), 0), ((1, 4, 1), 0), ((1, 1, 1), 3), ((0, 2, 3), 1)])
def test_a_run_that_a_member_ended_early_says_so(counts, missing):
    table = results(**{site: told(site, rounds=rounds) for site, rounds in zip("ABC", counts, strict=True)})
    assert table.phases_missing == missing
    assert (f"found {6 - missing} by their own counts" in what_was_cut_short(table)) == bool(missing)


def test_what_an_absent_site_did_nobody_knows():
    assert results(A=told("A", rounds=1), B=told("B", rounds=1)).phases_missing == 0
