"""The report as a file: it stands alone, is well-formed, and every number in it can be computed otherwise."""

import math
import re
from collections import defaultdict
from dataclasses import replace
from statistics import fmean
from xml.etree import ElementTree as ET

import pytest

from gossamer.errors import UsageError
from gossamer.study.report import CasePicture, ChosenCase, render, write_report
from gossamer.study.scores import write_cases

XHTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def html(study, cases_csv):
    return render(study[0], cases_csv)


@pytest.fixture(scope="module")
def page(html):
    return parse(html)


def parse(html):
    """The page is written as XML too, so that a strict parser can look at it."""
    return ET.fromstring(html.replace("<!DOCTYPE html>", "", 1).strip())


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def table_in(page, section):
    """First table of a section: for each row its header's words and its other cells, main text and note apart."""
    (found,) = [s for s in page.iter(f"{XHTML}section") if s.get("id") == section]
    table = next(found.iter(f"{XHTML}table"))
    rows = {}
    for row in table.find(f"{XHTML}tbody"):
        name, *cells = ([text_of(part) for part in cell if part.tag.startswith(XHTML)] for cell in row)
        rows[name[0]] = cells
    return rows


def shown(value):
    return f"{value:.3f}".replace("0.", ".").replace("-", "−")


def test_page_needs_nothing_from_elsewhere(html, page):
    assert not list(page.iter(f"{XHTML}script"))
    assert not list(page.iter(f"{XHTML}link"))
    for element in page.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            if name.split("}")[-1] in {"href", "src"}:
                assert value.startswith(("#", "data:")), value
    assert set(re.findall(r"https?://[\w./]+", html)) == {XHTML[1:-1], SVG[1:-1]}
    assert "@import" not in html
    assert "url(" not in html


def test_page_without_pictures_is_small(html):
    assert len(html.encode()) < 400_000


def test_every_figure_has_words_and_is_drawn_wide_and_narrow(page):
    figures = list(page.iter(f"{XHTML}figure"))
    assert {figure.get("id") for figure in figures} == {
        "organs", "hospitals", "steps", "bytes", "agreement", "schedules"}  # fmt: skip
    for figure in figures:
        drawings = [svg for svg in figure.iter(f"{SVG}svg") if svg.get("role") == "img"]
        assert len(drawings) == 2
        for svg in drawings:
            assert svg[0].tag == f"{SVG}title"
            assert svg[0].text
            assert svg[1].tag == f"{SVG}desc"
            assert svg[1].text
            assert len(ET.tostring(svg)) < 25_000
        assert list(figure.iter(f"{XHTML}details")), "its numbers can be copied"


def test_marks_stay_inside_their_drawings(page):
    for svg in page.iter(f"{SVG}svg"):
        _, _, width, height = map(float, svg.get("viewBox").split())
        for path in svg.iter(f"{SVG}path"):
            numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get("d"))]
            if path.get("class", "").startswith(("mark", "curve", "span", "thin", "hollow")):
                assert all(-1 <= x <= width + 1 for x in numbers[::2]), path.attrib
                assert all(-1 <= y <= height + 1 for y in numbers[1::2]), path.attrib


def mean_over_organs(rows, value=lambda row: row.dsc):
    by_organ = defaultdict(list)
    for row in rows:
        if not math.isnan(value(row)):
            by_organ[row.organ].append(value(row))
    return fmean(map(fmean, by_organ.values()))


def chosen_rows(study, arm):
    results, rows = study
    (schedule,) = {run.schedule for run in results.runs if run.arm == arm and run.chosen}
    return [row for row in rows if (row.arm, row.schedule) == (arm, schedule)]


def test_table_of_arms_equals_plain_means(study, page):
    table = table_in(page, "arms")
    assert list(table) == ["local-only", "pooled", "fedavg", "gossip"]
    pooled = mean_over_organs(chosen_rows(study, "pooled"))
    for arm, (dsc, to_pooled, worst, surface, hd95, sent, steps, seeds) in table.items():
        rows = chosen_rows(study, arm)
        runs = [run for run in study[0].runs if run.arm == arm and run.chosen]
        by_site = {site: mean_over_organs([r for r in rows if r.site == site]) for site in "ABCD"}
        by_seed = sorted(mean_over_organs([r for r in rows if r.seed == seed]) for seed in (0, 1))
        lowest = min(by_site, key=by_site.get)
        assert dsc[0] == shown(mean_over_organs(rows))
        assert worst == [shown(by_site[lowest]), lowest]
        assert surface[0] == shown(mean_over_organs(rows, lambda row: row.surface_dsc))
        assert hd95[0] == f"{mean_over_organs(rows, lambda row: row.hd95_mm):.1f}"
        assert sent[0] == f"{max(runs[0].bytes_sent.values()) / 1e6:,.0f} MB"
        assert steps[0] == f"{runs[0].steps_per_site:,}"
        assert seeds[0] == f"{shown(by_seed[0])} to {shown(by_seed[1])}"
        if arm == "pooled":
            assert to_pooled == ["–"]
        else:
            assert to_pooled[0] == shown(mean_over_organs(rows) - pooled)


def test_intervals_hold_their_estimates(page):
    for cells in table_in(page, "arms").values():
        low, high = (float(x.replace("−", "-")) for x in re.findall(r"−?\d?\.\d+", cells[0][1]))
        assert low < float(cells[0][0]) < high


def test_table_of_organs_equals_plain_means_and_counts_the_missed(study, page):
    table = table_in(page, "organ-scores")
    assert tuple(table) == study[0].structures
    for organ, (patients, *arms) in table.items():
        for arm, cell in zip(["local-only", "pooled", "fedavg", "gossip"], arms, strict=True):
            rows = [row for row in chosen_rows(study, arm) if row.organ == organ]
            missed = sum(row.predicted_voxels == 0 for row in rows)
            assert patients == [str(len({row.case for row in rows}))]
            assert cell[0] == shown(fmean(row.dsc for row in rows))
            assert (f"{missed}/{len(rows)} missed" in cell[1]) == (missed > 0)


def test_hostile_names_stay_words(study, tmp_path):
    hostile = "<script>alert('x')</script>\"&"
    results, rows = study
    runs = [run.model_copy(update={"arm": hostile, "notes": (hostile,)}) if run.arm == "gossip" else run
            for run in results.runs]  # fmt: skip
    results = results.model_copy(
        update={
            "title": hostile,
            "runs": tuple(runs),
            "notes": (hostile,),
            "environment": {hostile: hostile},
            "plan": {hostile: hostile},
        }
    )
    rows = [replace(row, site=hostile if row.site == "A" else row.site, arm=hostile if row.arm == "gossip" else row.arm)
            for row in rows]  # fmt: skip
    write_cases(tmp_path / "cases.csv", rows)
    html = render(results, tmp_path / "cases.csv")
    page = parse(html)
    assert not list(page.iter(f"{XHTML}script"))
    assert "<script" not in html
    assert hostile in text_of(page)


def test_slices_of_private_patients_are_refused(study, cases_csv, tmp_path):
    private = study[0].model_copy(update={"public_data": False})
    picture = CasePicture(ChosenCase("gossip", 0, "A", "A-001", "best", 0.8), {"Larynx": 0.8}, ())
    with pytest.raises(UsageError, match="not public"):
        write_report(private, cases_csv, tmp_path / "report.html", [picture])
    assert not (tmp_path / "report.html").exists()


def test_private_study_without_slices_is_reported(study, cases_csv, tmp_path):
    private = study[0].model_copy(update={"public_data": False})
    write_report(private, cases_csv, tmp_path / "report.html")
    assert parse((tmp_path / "report.html").read_text(encoding="utf-8")).find(f"{XHTML}body") is not None


def test_same_study_gives_the_same_page_to_the_bit(study, cases_csv, html):
    assert render(study[0], cases_csv) == html


def without(results, **update):
    return results.model_copy(update=update)


@pytest.mark.parametrize("arms", [{"local-only"}, {"pooled", "gossip"}, set()])
def test_unfinished_study_is_reported_as_far_as_it_went(study, tmp_path, arms):
    results, rows = study
    write_cases(tmp_path / "cases.csv", [row for row in rows if row.arm in arms and row.seed == 0])
    runs = tuple(run.model_copy(update={"curve": ()}) for run in results.runs if run.arm in arms and run.seed == 0)
    page = parse(render(without(results, runs=runs), tmp_path / "cases.csv"))
    assert set(table_in(page, "arms")) == arms


def test_figures_for_which_there_are_no_numbers_are_left_out(study, tmp_path):
    results, rows = study
    alone = tuple(run for run in results.runs if run.arm in {"local-only", "pooled"})
    undrawn = [replace(row, dsc=math.nan, reference_voxels=0) if row.organ == "Larynx" else row for row in rows]
    write_cases(tmp_path / "cases.csv", undrawn)
    page = parse(render(without(results, runs=alone), tmp_path / "cases.csv"))
    assert {figure.get("id") for figure in page.iter(f"{XHTML}figure")} == {
        "organs", "hospitals", "steps", "agreement", "schedules"}  # fmt: skip
    assert table_in(page, "organ-scores")["Larynx"] == [["0"], ["–"], ["–"]]


def test_locked_set_comes_first_and_validation_after_it(locked_study, tmp_path):
    results, rows = locked_study
    write_cases(tmp_path / "cases.csv", rows)
    page = parse(render(results, tmp_path / "cases.csv"))
    locked = [row for row in rows if row.set == "acceptance"]
    assert table_in(page, "arms")["pooled"][0][0] == shown(mean_over_organs(chosen_rows((results, locked), "pooled")))
    (section,) = [s for s in page.iter(f"{XHTML}section") if s.get("id") == "arms"]
    first, second = (text_of(h) for h in section.iter(f"{XHTML}h3"))
    assert "acceptance" in first
    assert "Validation" in second


def test_many_organs_and_arms_still_make_a_page(study, tmp_path):
    results, rows = study
    organs = [f"Structure_{n}" for n in range(30)]
    pooled = [row for row in rows if row.arm == "pooled" and row.organ == "SpinalCord"]
    many = [replace(row, arm=f"arm{a}", organ=organ) for row in pooled for a in range(9) for organ in organs]
    write_cases(tmp_path / "cases.csv", many)
    runs = [run.model_copy(update={"arm": f"arm{a}"}) for run in results.runs if run.arm == "pooled" for a in range(9)]
    html = render(without(results, runs=tuple(runs), structures=tuple(organs)), tmp_path / "cases.csv")
    assert len(html.encode()) < 1_500_000
    assert len(table_in(parse(html), "organ-scores")) == 30
