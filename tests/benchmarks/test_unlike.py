"""The measuring of warnings on altered CTs: alterations do what they say, and the counting counts."""

import json
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.altered import ALTERATIONS

from benchmarks import unlike
from gossamer.data.frame import Frame
from gossamer.data.image import Image, write_nifti
from gossamer.data.plan import NetworkPlan, Plan
from gossamer.nets import build_network, parameters_of
from gossamer.segment.model_file import ModelRecord, write_model


@pytest.fixture
def given(lying_patient, tmp_path):
    """A set of one patient, a CT of another region, and an untrained model, as the options that name them."""
    frame, organs = lying_patient.image.frame, tuple(lying_patient.masks)
    labels = np.zeros(frame.shape, np.uint8)
    for value, mask in enumerate(lying_patient.masks.values(), start=1):
        labels[mask] = value
    for folder, name, voxels in (
        ("set", "pt_1_ct", lying_patient.image.voxels),
        ("set", "pt_1_oar", labels),
        ("other", "legs_ct", lying_patient.image.voxels[:, ::-1]),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        write_nifti(tmp_path / folder / f"{name}.nii.gz", np.ascontiguousarray(voxels), frame)
    named = {str(value): name for value, name in enumerate(organs, start=1)}
    (tmp_path / "set/labels.json").write_text(json.dumps(named))
    (tmp_path / "set/index.csv").write_text(f"id,split,annotated\npt_1,val,{'|'.join(organs)}\npt_2,train,\n")
    network = NetworkPlan("unet", (4, 8), ((2, 2, 2),))
    plan = Plan(organs, (10.0, 10.0, 10.0), (8, 16, 16), -200.0, 300.0, 10.0, 100.0, False, network, overlap=0.0)
    record = ModelRecord(arm="gossip", seed=0, sites={}, steps=0, rounds=0, gossamer_version="0")
    write_model(tmp_path / "m.safetensors", parameters_of(build_network(plan, seed=3)), plan, record)
    return [
        *("--model", str(tmp_path / "m.safetensors"), "--openkbp", str(tmp_path / "set")),
        *("--other", str(tmp_path / "other"), "--out", str(tmp_path / "out.jsonl"), "--quick", "--threads", "1"),
    ]


def test_each_alteration_changes_the_ct_and_not_the_one_it_was_given(lying_patient):
    before = lying_patient.image.voxels.copy()
    for name, alteration in ALTERATIONS.items():
        image = alteration.apply(lying_patient.image, lying_patient.masks)
        assert image.voxels.shape == image.frame.shape, name
        same = image.voxels.shape == before.shape and np.array_equal(image.voxels, before)
        assert same == (name in ("half size", "double size")), name
        assert not same or image.frame.spacing_mm != lying_patient.image.frame.spacing_mm
    assert np.array_equal(lying_patient.image.voxels, before)


def test_cuts_go_through_the_middle_of_the_parotids(lying_patient):
    """They lie in slices 8 to 15; the left one in columns 38 to 42."""
    shapes = {
        name: ALTERATIONS[name].apply(lying_patient.image, lying_patient.masks).frame.shape
        for name in ("cut above", "cut below", "cut at the side")
    }
    assert shapes == {"cut above": (12, 40, 60), "cut below": (8, 40, 60), "cut at the side": (20, 40, 40)}


def test_turned_cts_keep_the_spacing_of_their_own_axes(lying_patient):
    voxels = lying_patient.image.voxels
    image = Image(voxels, Frame.canonical(voxels.shape, (3.0, 1.0, 2.0)))
    assert ALTERATIONS["coronal"].apply(image, {}).frame.spacing_mm == (1.0, 3.0, 2.0)
    assert ALTERATIONS["sagittal"].apply(image, {}).frame.spacing_mm == (2.0, 1.0, 3.0)
    assert ALTERATIONS["thick slices"].apply(image, {}).frame.spacing_mm == (12.0, 1.0, 2.0)


def test_all_is_measured_once_and_counted(given, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["unlike", *given])
    unlike.main()
    printed = capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["alteration"] for row in rows] == ["as it is", *ALTERATIONS, "other region"]
    assert "| no intercept | stored values taken for HU: 1024 too high | 1 | 1 | hu 1 |" in printed
    assert " of 1 with a warning" in printed
    written = (tmp_path / "out.jsonl").read_text()
    unlike.main()
    assert (tmp_path / "out.jsonl").read_text() == written
    assert capsys.readouterr().out == printed


def test_false_warnings_are_counted_and_said(capsys):
    well = unlike.Row("a", "as it is", [], 0.1)
    warned = unlike.Row("b", "as it is", [("volume", "Liver: wanted less; found 9 ml")], 0.1)
    [figure] = unlike._normal_figures([well, warned, replace(warned, alteration="coronal")])
    assert figure.found == 0.5
    assert "- b: volume: Liver: wanted less; found 9 ml" in capsys.readouterr().out


def test_only_warnings_that_the_own_ct_lacks_count_as_found(capsys):
    own = unlike.Row("a", "as it is", [("cut", "Brainstem: wanted it whole; found 50 %")], 0.1)
    same = unlike.Row("a", "mirrored", [("cut", "Brainstem: wanted it whole; found 60 %")], 0.1)
    new = unlike.Row("a", "head down", [("position", "Brainstem: wanted above it; found 9 mm")], 0.1)
    [figure] = unlike._altered_figures([own, same, new, replace(same, alteration="coronal")])
    assert figure.found == 0.5  # the mirror is not counted: anatomy can not tell
    printed = capsys.readouterr().out
    assert "| mirrored | left and right exchanged: flipped along x | 0 | 1 |  |" in printed
    assert "| head down | flipped along z | 1 | 1 | position 1 |" in printed
