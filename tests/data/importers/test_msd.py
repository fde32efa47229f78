"""A task of the decathlon: dataset.json names the files, and only files inside its folder."""

import json

import numpy as np
import pytest

from gossamer.data.importers.msd import msd_cases
from gossamer.data.importers.run import import_cases
from gossamer.errors import DatasetError, UnknownStructureError

DESCRIPTION = {
    "name": "Liver",
    "modality": {"0": "CT"},
    "labels": {"0": "background", "1": "liver", "2": "left kidney"},
    "training": [
        {"image": "./imagesTr/liver_0.nii.gz", "label": "./labelsTr/liver_0.nii.gz"},
        {"image": "./imagesTr/liver_10.nii.gz", "label": "./labelsTr/liver_10.nii.gz"},
    ],
    "test": ["./imagesTs/liver_132.nii.gz"],
}


@pytest.fixture
def folder(tmp_path, write_patient):
    folder = tmp_path / "Task03_Liver"
    for case_id in ("liver_0", "liver_10"):
        write_patient(folder / f"imagesTr/{case_id}.nii.gz", folder / f"labelsTr/{case_id}.nii.gz")
    return folder


def describe(folder, **changes):
    (folder / "dataset.json").write_text(json.dumps({**DESCRIPTION, **changes}))
    return folder


def test_training_cases_become_training_and_validation_and_the_rest_is_left_alone(folder, tmp_path, image, masks):
    (dataset,) = import_cases(msd_cases(describe(folder), "A", {}), tmp_path / "out").datasets
    assert sorted(case.id for case in dataset.cases) == ["liver_0", "liver_10"]
    assert sorted(case.split for case in dataset.cases) == ["train", "val"]
    np.testing.assert_array_equal(dataset.read_image(dataset.cases[0]).voxels, image.voxels)
    for name, mask in dataset.read_masks(dataset.cases[0]).items():
        np.testing.assert_array_equal(mask, masks[name])


def test_a_label_without_a_standard_name_is_refused_or_left_out(folder):
    describe(folder, labels={"0": "background", "1": "liver", "2": "cancer"})
    with pytest.raises(UnknownStructureError, match="found 'cancer'"):
        msd_cases(folder, "A", {})
    case, _ = msd_cases(folder, "A", {}, skip_unknown=True)
    assert (case.labels, case.known_values) == ((("Liver", (1,)),), (1, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"modality": {"0": "FLAIR", "1": "T1w"}},
            "wanted one modality, CT; found FLAIR, T1w; only CT can be imported",
        ),
        ({"training": [{"image": "../../etc/passwd", "label": "x"}]}, "wanted files inside its folder"),
        ({"training": [{"image": "imagesTr/a.nii.gz", "label": "/etc/passwd"}]}, "wanted files inside its folder"),
        ({"training": [DESCRIPTION["training"][0]] * 2}, "wanted each case once; found liver_0 twice"),
        (
            {"labels": {"0": "background", "1": "liver", "2": "liver"}},
            "wanted one value a structure; found two of liver",
        ),
        ({"labels": {"background": 0}}, "the decathlon's dataset.json: labels"),
        ({"training": None}, "the decathlon's dataset.json: training"),
    ],
)
def test_what_cannot_be_imported_says_why(folder, changes, message):
    with pytest.raises(DatasetError) as caught:
        msd_cases(describe(folder, **changes), "A", {})
    assert message in str(caught.value)


def test_a_folder_without_a_description_is_refused(tmp_path):
    with pytest.raises(
        DatasetError, match=r"Decathlon: wanted a folder with dataset\.json; found none that can be read"
    ):
        msd_cases(tmp_path, "A", {})
