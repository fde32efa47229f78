"""Synthetic cohorts on disk: coverage, repeatability, resumption."""

from __future__ import annotations

import hashlib
from itertools import combinations

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from gossamer.cli.phantom import phantom
from gossamer.data.dataset import Dataset
from gossamer.data.labels import standard_name
from gossamer.data.phantom import HOSPITALS, Habit, Hospital, Scanner, draw_patient, write_cohort
from gossamer.data.phantom.patient import ANATOMIES

COARSE = Scanner(spacing_mm=(8.0, 6.0, 6.0), field_of_view_mm=480.0)
SMALL = (Hospital("A", COARSE), Hospital("B", COARSE, coverage={"Spleen": 0.0}))


def _digest(patient):
    sha = hashlib.sha256(patient.image.voxels.tobytes() + patient.image.frame.world_from_voxel.tobytes())
    for name, mask in patient.masks.items():
        sha.update(name.encode() + np.packbits(mask).tobytes())
    return sha.hexdigest()


@pytest.mark.parametrize("region", ["abdomen", "head-neck"])
def test_same_seed_gives_the_same_voxels_and_another_seed_others(region):
    digests = [_digest(draw_patient(region, SMALL[0], seed)) for seed in (3, 3, 4, (3, 1))]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize("region", ["abdomen", "head-neck"])
def test_structures_bear_standard_names(region):
    for name in ANATOMIES[region].structures:
        assert standard_name(name) == name


def test_coverage_is_the_share_of_patients():
    hospital = Hospital("X", COARSE, coverage={"Liver": 0.5, "Spleen": 0.0, "Kidney_L": 0.5, "Kidney_R": 0.5})
    drawn = [draw_patient("abdomen", hospital, seed).annotated for seed in range(24)]
    assert 6 <= sum("Liver" in names for names in drawn) <= 18
    assert not any("Spleen" in names for names in drawn)
    assert all("SpinalCord" in names for names in drawn)
    assert all(("Kidney_L" in names) == ("Kidney_R" in names) for names in drawn)


def test_coverage_changes_neither_image_nor_other_contours():
    all_drawn, few = draw_patient("abdomen", SMALL[0], 7), draw_patient("abdomen", SMALL[1], 7)
    assert (all_drawn.image.voxels == few.image.voxels).all()
    assert set(all_drawn.masks) - set(few.masks) == {"Spleen"}
    for name in few.masks:
        assert (all_drawn.masks[name] == few.masks[name]).all()


def test_the_four_hospitals_differ_in_scanner_and_in_what_they_draw():
    assert [hospital.name for hospital in HOSPITALS] == ["A", "B", "C", "D"]
    for a, b in combinations(HOSPITALS, 2):
        assert a.scanner != b.scanner
        assert a.habit != b.habit
        assert a.coverage != b.coverage
    never = {organ for hospital in HOSPITALS for organ, share in hospital.coverage.items() if share == 0}
    assert {"Spleen", "Stomach"} <= never


@pytest.mark.parametrize("region", ["abdomen", "head-neck"])
@pytest.mark.parametrize("hospital", HOSPITALS, ids=lambda h: h.name)
def test_every_hospital_has_organs_to_be_scored(region, hospital):
    patient = draw_patient(region, hospital, 11)
    assert len(patient.complete) >= 2
    assert set(patient.complete) <= set(patient.annotated) == set(patient.masks)
    assert all(mask.any() for mask in patient.masks.values())
    assert 50 <= patient.image.frame.shape[0] <= 130


def test_cohort_is_one_dataset_a_hospital(tmp_path):
    seen = []
    folders = write_cohort(tmp_path, hospitals=SMALL, train=2, val=1, test=1, on_patient=lambda: seen.append(1))
    assert folders == [tmp_path / "A", tmp_path / "B"]
    assert len(seen) == 8
    first, second = (Dataset.open(folder) for folder in folders)
    assert first.public
    assert [case.split for case in first.cases] == ["train", "train", "val", "test"]
    assert "Spleen" in first.structures
    assert "Spleen" not in second.structures
    first.verify()
    case = first.cases[0]
    masks = first.read_masks(case)
    assert tuple(masks) == case.annotated
    assert first.read_image(case).voxels.shape == case.shape == masks["Liver"].shape


def test_cohort_goes_on_where_it_stopped_and_grows(tmp_path):
    class StoppedError(Exception):
        pass

    drawn = []

    def stop_after_two():
        drawn.append(1)
        if len(drawn) == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        write_cohort(tmp_path / "a", hospitals=SMALL[:1], train=2, val=1, on_patient=stop_after_two)
    there = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.nii.gz")}
    write_cohort(tmp_path / "a", hospitals=SMALL[:1], train=3, val=1)
    write_cohort(tmp_path / "b", hospitals=SMALL[:1], train=3, val=1)
    assert there
    assert all(path.stat().st_mtime_ns == time for path, time in there.items())
    assert Dataset.open(tmp_path / "a" / "A").sha256 == Dataset.open(tmp_path / "b" / "A").sha256


def test_another_habit_draws_cases_anew(tmp_path):
    (before,) = write_cohort(tmp_path, hospitals=SMALL[:1], train=1, val=0)
    old = Dataset.open(before).sha256
    changed = Hospital("A", COARSE, Habit(margin_mm=3.0))
    (after,) = write_cohort(tmp_path, hospitals=[changed], train=1, val=0)
    assert Dataset.open(after).sha256 != old


def test_command_writes_four_datasets_and_names_them(tmp_path):
    app = typer.Typer()
    app.command()(phantom)
    result = CliRunner().invoke(app, ["--region", "abdomen", "--out", str(tmp_path), "--patients", "2", "--val", "1"])
    assert result.exit_code == 0, result.output
    for name in "ABCD":
        assert str(tmp_path / name) in result.stdout
        assert [case.split for case in Dataset.open(tmp_path / name).cases] == ["train", "val"]


def test_command_refuses_a_cohort_without_training_patients(tmp_path):
    app = typer.Typer()
    app.command()(phantom)
    result = CliRunner().invoke(app, ["--out", str(tmp_path), "--patients", "2", "--val", "2"])
    assert result.exit_code != 0
    assert "--patients" in str(result.exception)
