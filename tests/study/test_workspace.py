"""What the runs of a study share: data, plan, prepared cases, and a folder that belongs to one study alone."""

import errno
import json
import os
import shutil
from hashlib import sha256

import pytest

from gossamer.errors import (
    ConfigurationError,
    DatasetError,
    DiskFullError,
    StorageError,
    TooManyBadCasesError,
)
from gossamer.study.course import run_job
from gossamer.study.jobs import make_job
from gossamer.study.outcome import write_outcome
from gossamer.study.workspace import make_plan, open_datasets, open_workspace, study_hash


def opened(settings, home, folder, watch):
    return open_workspace(settings, open_datasets(settings, home), folder, watch)


def written(folder):
    """When each prepared array was written."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("prepared/*/[!.]*/*.npy")}


def test_sites_come_sorted_whatever_the_order_in_the_file(toy_settings, toy_home):
    turned = toy_settings.model_copy(update={"datasets": toy_settings.datasets[::-1]})
    assert list(open_datasets(turned, toy_home)) == ["A", "B", "C"]


def test_two_datasets_of_a_site_are_refused(toy_settings, toy_home):
    twice = toy_settings.model_copy(update={"datasets": ("data/A", "data/B", "data/A")})
    with pytest.raises(DatasetError, match="found two of site A"):
        open_datasets(twice, toy_home)


def test_study_without_a_patient_to_choose_by_is_refused(toy_settings, own_home):
    for site in "ABC":
        description = own_home / "data" / site / "dataset.json"
        description.write_text(description.read_text().replace('"split": "val"', '"split": "test"'))
    with pytest.raises(DatasetError, match="wanted cases of split 'val' with the study's structures"):
        open_datasets(toy_settings, own_home)


def test_a_study_of_before_machines_could_be_chosen_is_the_same_study(toy_settings, toy_home):
    datasets = open_datasets(toy_settings, toy_home)
    settings = toy_settings.model_dump(mode="json", exclude={"datasets": True, "arms": {"__all__": {"machines"}}})
    decisive = {"study": settings, "data": {site: dataset.sha256 for site, dataset in datasets.items()}}
    assert study_hash(toy_settings, datasets) == sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def test_hash_is_of_settings_and_data_not_of_places(toy_settings, toy_home, own_home):
    ours = study_hash(toy_settings, open_datasets(toy_settings, toy_home))
    shutil.move(own_home / "data", own_home / "elsewhere")
    moved = toy_settings.model_copy(update={"datasets": ("elsewhere/A", "elsewhere/B", "elsewhere/C")})
    assert study_hash(moved, open_datasets(moved, own_home)) == ours
    arm = toy_settings.arms["gossip"].model_copy(update={"machines": "alike"})
    alike = toy_settings.model_copy(update={"arms": {**toy_settings.arms, "gossip": arm}})
    assert study_hash(alike, open_datasets(alike, toy_home)) != ours
    other = toy_settings.model_copy(update={"steps": 40})
    assert study_hash(other, open_datasets(other, toy_home)) != ours
    description = own_home / "elsewhere/B/dataset.json"
    description.write_text(description.read_text().replace('"split": "test"', '"split": "train"'))
    assert study_hash(moved, open_datasets(moved, own_home)) != ours


def test_plan_and_cases_are_kept_and_each_case_is_told(toy_settings, toy_home, tmp_path, witness):
    first = opened(toy_settings, toy_home, tmp_path / "out", witness)
    assert [(task.what, task.total, task.done) for task in witness.tasks] == [
        ("reading fingerprints", 5, 5),
        ("preparing cases", 11, 11),
    ]
    before = written(tmp_path / "out")
    again = opened(toy_settings, toy_home, tmp_path / "out", witness)
    assert again.plan == first.plan
    assert again.fingerprints == first.fingerprints
    assert {site: fingerprint.cases for site, fingerprint in first.fingerprints.items()} == {"A": 2, "B": 2, "C": 1}
    assert [task.what for task in witness.tasks[2:]] == ["preparing cases"]
    assert written(tmp_path / "out") == before


def test_a_folder_of_an_earlier_release_goes_on_without_fingerprints(toy_settings, toy_home, tmp_path, witness):
    opened(toy_settings, toy_home, tmp_path / "out", witness)
    (tmp_path / "out" / "fingerprints.json").unlink()
    assert opened(toy_settings, toy_home, tmp_path / "out", witness).fingerprints == {}


def test_tolerance_of_the_study_file_goes_before_the_table(toy_settings, toy_home, tmp_path, witness):
    own = toy_settings.model_copy(update={"tolerance_mm": {"Kidney_R": 1.5}})
    workspace = opened(own, toy_home, tmp_path / "out", witness)
    assert workspace.tolerance_mm["Kidney_R"] == 1.5
    assert workspace.tolerance_mm["Kidney_L"] == 3.0  # FLARE's


def test_damaged_case_is_set_aside_and_the_study_goes_on(toy_settings, own_home, tmp_path, witness):
    (own_home / "data/A/A-train-0/ct.nii.gz").write_bytes(b"not an image")
    (own_home / "data/B/B-val-0/ct.nii.gz").write_bytes(b"not an image")
    study = toy_settings.model_copy(update={"arms": {"pooled": toy_settings.arms["pooled"]}, "seeds": (0,)})
    workspace = opened(study, own_home, tmp_path / "out", witness)
    assert [bad.case for site in "ABC" for bad in workspace.prepared[site].set_aside] == ["A-train-0", "B-val-0"]
    job = make_job(study, workspace.sites, "pooled", study.arms["pooled"].schedules[1], 0)
    outcome = run_job(job, workspace, witness)
    assert {row.case for row in outcome.rows} == {"A-val-0", "A-val-1", "C-val-0"}
    results = write_outcome(workspace, [outcome], pictures=False)
    assert [note.split(" was set aside")[0] for note in results.notes] == [
        "site A: case A-train-0",
        "site B: case B-val-0",
    ]
    assert {site.site: (site.training_cases, site.validation_cases, site.set_aside) for site in results.sites} == {
        "A": (1, 2, 1), "B": (2, 0, 1), "C": (1, 1, 0),
    }  # fmt: skip


def test_damaged_training_case_has_no_part_in_the_plan(toy_settings, own_home):
    datasets = open_datasets(toy_settings, own_home)
    healthy = make_plan(toy_settings, datasets)
    (own_home / "data/A/A-train-0/ct.nii.gz").write_bytes(b"not an image")
    told = []
    plan = make_plan(toy_settings, datasets, lambda: told.append(1))
    assert plan.spacing_mm == healthy.spacing_mm
    assert plan.hu_mean != healthy.hu_mean
    assert len(told) == 5


def test_site_of_which_most_is_damaged_ends_the_study(toy_settings, own_home, tmp_path, witness):
    for case in ("B-train-0", "B-val-0"):
        (own_home / "data/B" / case / "ct.nii.gz").write_bytes(b"not an image")
    with pytest.raises(TooManyBadCasesError, match="site B"):
        opened(toy_settings, own_home, tmp_path / "out", witness)


def test_folder_belongs_to_one_study(toy_settings, toy_home, own_home, tmp_path, witness):
    opened(toy_settings, toy_home, tmp_path / "out", witness)
    with pytest.raises(ConfigurationError, match="found in 'out' the results of another study file"):
        opened(toy_settings.model_copy(update={"steps": 40}), toy_home, tmp_path / "out", witness)
    description = own_home / "data/A/dataset.json"
    description.write_text(description.read_text().replace('"split": "test"', '"split": "val"'))
    with pytest.raises(ConfigurationError, match="or of other data"):
        opened(toy_settings, own_home, tmp_path / "out", witness)


def test_place_that_is_no_folder_is_an_error_of_storage(toy_settings, toy_home, tmp_path, witness):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="wanted a folder 'out' for results"):
        opened(toy_settings, toy_home, tmp_path / "file/out", witness)


def test_full_disk_while_preparing_keeps_the_cases_that_are_there(
    toy_settings, toy_home, tmp_path, witness, monkeypatch
):
    left = iter([True] * 30)

    def flush(descriptor):
        if not next(left, False):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", flush)
        with pytest.raises(DiskFullError, match=r"MiB for one more prepared case.*run the same command again"):
            opened(toy_settings, toy_home, tmp_path / "out", witness)
    kept = written(tmp_path / "out")
    assert kept
    workspace = opened(toy_settings, toy_home, tmp_path / "out", witness)
    assert sum(len(prepared.cases) for prepared in workspace.prepared.values()) == 11
    assert kept.items() <= written(tmp_path / "out").items()
