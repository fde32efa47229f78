"""What a study leaves behind: numbers that agree with their rows, and a report that can be drawn again."""

import csv
import shutil
from statistics import fmean

import pytest

from gossamer.errors import DatasetError, StorageError, UsageError
from gossamer.study.outcome import datasets_of, read_results, redraw
from gossamer.study.scores import read_cases


def test_summaries_agree_with_the_rows(finished_study):
    with (finished_study.folder / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["set"] for row in rows} == {"val"}
    compared = 0
    for run in finished_study.results.runs:
        for site in run.sites:
            for organ in site.organs:
                key = (run.arm, run.schedule, str(run.seed), site.site, organ.organ)
                own = [
                    row for row in rows
                    if (row["arm"], row["schedule"], row["seed"], row["site"], row["organ"]) == key
                ]  # fmt: skip
                assert organ.patients == len(own)
                assert organ.missed == sum(row["predicted_voxels"] == "0" for row in own)
                for metric in ("dsc", "surface_dsc", "hd95_mm"):
                    values = [float(row[metric]) for row in own if row[metric]]
                    assert getattr(organ, metric) == (pytest.approx(fmean(values)) if values else None)
                    compared += len(values)
    assert compared > 200


def test_every_run_scores_the_same_patients(finished_study):
    rows = read_cases(finished_study.folder / "cases.csv")
    by_run = {}
    for row in rows:
        by_run.setdefault((row.arm, row.schedule, row.seed), set()).add((row.site, row.case, row.organ))
    assert len(by_run) == 10
    assert len({frozenset(places) for places in by_run.values()}) == 1


def test_sites_are_described_by_their_training_cases(finished_study, toy_home):
    a, b, c = finished_study.results.sites
    assert (a.training_cases, a.validation_cases, b.training_cases, c.training_cases) == (2, 2, 2, 1)
    assert c.annotated == {"Kidney_L": 1, "Kidney_R": 0, "Prostate": 1}
    assert a.spacing_mm == (2.0, 2.0, 2.0)
    assert a.extent_mm == (32.0, 36.0, 40.0)
    assert c.training_image_bytes == (toy_home / "data/C/C-train-0/ct.nii.gz").stat().st_size


def test_every_model_named_is_there(finished_study):
    models = {site.model for run in finished_study.results.runs for site in run.sites}
    assert len(models) == 10 * 3 - 3 * 2  # three runs of pooled have one model for three hospitals
    assert all((finished_study.folder / model).is_file() for model in models)


def test_report_drawn_again_has_the_same_bytes(own_finished, toy_home, quick_intervals):
    with_pictures = (own_finished / "report.html").read_bytes()
    redraw(own_finished)
    without = (own_finished / "report.html").read_bytes()
    assert len(without) < len(with_pictures)
    redraw(own_finished)
    assert (own_finished / "report.html").read_bytes() == without
    redraw(own_finished, toy_home / "data")
    assert (own_finished / "report.html").read_bytes() == with_pictures


def test_report_shows_the_gossip_arm_s_patients(own_finished, finished_study):
    page = (own_finished / "report.html").read_text()
    assert "gossip, seed 0" in page
    assert "A-val-0" in page


def test_slices_of_private_data_are_refused(own_finished, own_home):
    description = own_home / "data/B/dataset.json"
    description.write_text(description.read_text().replace('"public": true', '"public": false'))
    before = (own_finished / "report.html").read_bytes()
    with pytest.raises(
        UsageError, match=r"of B; leave out --images, .* import them again with: gossamer import \.\.\. --public"
    ):
        redraw(own_finished, own_home / "data")
    assert (own_finished / "report.html").read_bytes() == before


def test_slices_of_other_data_than_the_study_s_are_refused(own_finished, own_home):
    description = own_home / "data/B/dataset.json"
    description.write_text(description.read_text().replace('"split": "test"', '"split": "val"'))
    with pytest.raises(DatasetError, match="found other data of B in 'data'"):
        redraw(own_finished, own_home / "data")


def test_dataset_that_is_missing_or_there_twice_is_named(finished_study, own_home):
    shutil.copytree(own_home / "data/A", own_home / "data/copy-of-A")
    with pytest.raises(DatasetError, match="wanted one dataset a site in 'data'; found two"):
        datasets_of(finished_study.results, own_home / "data")
    shutil.rmtree(own_home / "data/copy-of-A")
    shutil.rmtree(own_home / "data/B")
    with pytest.raises(DatasetError, match="found none of B in 'data'"):
        datasets_of(finished_study.results, own_home / "data")


def test_unfinished_study_has_no_results_and_damaged_ones_are_named(tmp_path, own_finished):
    with pytest.raises(UsageError, match="run it to its end first: gossamer study run"):
        read_results(tmp_path)
    (own_finished / "results.json").write_text("{")
    with pytest.raises(StorageError, match=r"results\.json"):
        read_results(own_finished)
