"""Scores of finished models on patients: which rows there are, and what stands in them."""

import math
from dataclasses import replace

import pytest
import torch
import typer
from typer.testing import CliRunner

from gossamer.cli.predict import predict
from gossamer.data.image import read_mask_nifti
from gossamer.evaluate.metrics import METRICS
from gossamer.evaluate.predicted import mask_files
from gossamer.evaluate.score import score_masks
from gossamer.nets import build_network, parameters_of
from gossamer.segment.model_file import ModelRecord, write_model
from gossamer.study.scoring import RunName, patients_of, score_patients
from gossamer.study.workspace import make_plan

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


@pytest.fixture
def model_that_finds_specks(toy_workspace, tmp_path):
    """Writes a model that finds noise here and there, with a plan that says how its masks are made."""

    def write(**plan):
        network = build_network(toy_workspace.plan, seed=4)
        params = dict(parameters_of(network))
        params["head.bias"] = torch.zeros_like(params["head.bias"])
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.safetensors"
        record = ModelRecord(arm="gossip", seed=0, sites={"A": 1}, steps=1, rounds=1, gossamer_version="0.1.0")
        write_model(path, params, replace(toy_workspace.plan, **plan), record)
        return path

    return write


def test_a_study_scores_the_very_masks_that_predict_writes(toy_workspace, model_that_finds_specks, tmp_path):
    app = typer.Typer()
    app.command()(predict)
    every_piece = model_that_finds_specks(one_piece=())
    main = model_that_finds_specks(one_piece=("Kidney_L", "Prostate"), overlap=0.75)
    found = {}
    for name, model in (("every piece", every_piece), ("main pieces", main)):
        found[name] = score(toy_workspace, dict.fromkeys("ABC", model))
        for site, dataset in toy_workspace.datasets.items():
            out = tmp_path / name / site
            done = CliRunner().invoke(app, ["-i", str(dataset.folder), "-o", str(out), "-m", str(model)])
            assert done.exit_code == 0, done.output
            cases = {case.id: case for case in dataset.cases}
            for row in (row for row in found[name] if row.site == site):
                file = mask_files(out / row.case)[row.organ]
                mask = read_mask_nifti(file, what=row.case)
                assert mask.sum() == row.predicted_voxels > 0
                reference = dataset.read_masks(cases[row.case])[row.organ]
                tau_mm = toy_workspace.tolerance_mm[row.organ]
                scores = score_masks(mask, reference, cases[row.case].spacing_mm, tau_mm, tuple(METRICS)).values
                assert (row.dsc, row.surface_dsc, row.hd95_mm) == tuple(scores[metric] for metric in METRICS)
    before, after = ({(row.case, row.organ): row.predicted_voxels for row in rows} for rows in found.values())
    assert all(after[key] < before[key] for key in before if key[1] in ("Kidney_L", "Prostate"))


def test_a_plan_from_a_study_file_makes_main_pieces_unless_it_says_otherwise(toy_workspace, toy_settings):
    assert toy_workspace.plan.one_piece == ("Kidney_L", "Kidney_R", "Prostate")
    off = replace(toy_settings.plan, one_piece=())
    assert make_plan(toy_settings.model_copy(update={"plan": off}), toy_workspace.datasets).one_piece == ()
