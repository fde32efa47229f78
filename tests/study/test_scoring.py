"""Scores of finished models on patients: which rows there are, and what stands in them."""

import math

import pytest
import torch

from gossamer.nets import build_network, parameters_of
from gossamer.segment.model_file import ModelRecord, write_model
from gossamer.study.scoring import RunName, patients_of, score_patients

NAME = RunName("val", "gossip", "1 patch a step", 3)


@pytest.fixture
def model_that_finds(toy_workspace, tmp_path):
    """Writes a model that sees one structure everywhere and the others nowhere."""

    def write(found):
        params = dict(parameters_of(build_network(toy_workspace.plan)))
        params["head.weight"] = torch.zeros_like(params["head.weight"])
        params["head.bias"] = torch.tensor([9.0 if name == found else -9.0 for name in toy_workspace.plan.structures])
        record = ModelRecord(arm="gossip", seed=0, sites={"A": 1}, steps=1, rounds=1, gossamer_version="0.1.0")
        path = tmp_path / f"{found}.safetensors"
        write_model(path, params, toy_workspace.plan, record)
        return path

    return write


def score(workspace, models, **options):
    patients = patients_of(workspace.datasets, "val", workspace.plan.structures)
    recipe = workspace.study.recipe
    return score_patients(
        NAME, models=models, patients=patients, tolerance_mm=workspace.tolerance_mm, recipe=recipe, **options
    )


def test_each_hospital_s_patients_are_scored_with_its_own_model(toy_workspace, model_that_finds):
    left, right = model_that_finds("Kidney_L"), model_that_finds("Kidney_R")
    rows = score(toy_workspace, {"A": left, "B": right, "C": left})
    voxels = 16 * 18 * 20
    for row in rows:
        assert (row.set, row.arm, row.schedule, row.seed) == ("val", "gossip", "1 patch a step", 3)
        everywhere = row.organ == ("Kidney_R" if row.site == "B" else "Kidney_L")
        assert row.predicted_voxels == (voxels if everywhere else 0)
        # a prediction of every voxel overlaps all of the reference: 2 R / (R + all)
        assert row.dsc == pytest.approx(2 * row.reference_voxels / (row.reference_voxels + voxels) if everywhere else 0)
        assert math.isnan(row.hd95_mm) != everywhere
        assert row.missed != everywhere
    assert {row.reference_voxels for row in rows if row.organ == "Prostate"} == {3}


def test_organ_that_is_not_complete_has_no_row(toy_workspace, model_that_finds):
    rows = score(toy_workspace, dict.fromkeys("ABC", model_that_finds("Kidney_L")))
    by_case = {}
    for row in rows:
        by_case.setdefault(row.case, []).append(row.organ)
    assert by_case == {
        "A-val-0": ["Kidney_L", "Kidney_R", "Prostate"],
        "A-val-1": ["Kidney_L", "Kidney_R", "Prostate"],
        "B-val-0": ["Kidney_L", "Kidney_R", "Prostate"],
        "C-val-0": ["Kidney_L", "Prostate"],
    }


def test_every_patient_is_told(toy_workspace, model_that_finds):
    told = []
    score(toy_workspace, dict.fromkeys("ABC", model_that_finds("Kidney_L")), on_patient=lambda: told.append(1))
    assert len(told) == 4


def test_patients_are_those_of_the_split_who_have_one_of_the_structures(toy_workspace):
    def ids(split, *structures):
        found = patients_of(toy_workspace.datasets, split, structures)
        return {site: [case.id for case in cases] for site, (_, cases) in found.items()}

    assert ids("val", "Kidney_R") == {"A": ["A-val-0", "A-val-1"], "B": ["B-val-0"], "C": []}
    assert ids("test", "Kidney_L", "Kidney_R") == {"A": ["A-test-0"], "B": ["B-test-0"], "C": []}
    assert ids("val", "Liver") == {"A": [], "B": [], "C": []}
