"""A raw data set of nnU-Net v2: its labels hold for all cases, so that an empty one says nothing."""

import json

import numpy as np
import pytest

from gossamer.data.importers.nnunet import nnunet_cases
from gossamer.data.importers.run import import_cases
from gossamer.errors import DatasetError, UnknownStructureError

DESCRIPTION = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "liver": 1, "kidney_left": 2},
    "numTraining": 5,
    "file_ending": ".nii.gz",
}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "Doe^John" / "Dataset001_Abdomen"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def patient(folder, write_patient):
    """Writes a case; ``Tr`` or ``Ts``."""

    def write(case_id, part="Tr", **kwargs):
        image, label = folder / f"images{part}/{case_id}_0000.nii.gz", folder / f"labels{part}/{case_id}.nii.gz"
        write_patient(image, label, **kwargs)

    return write


def describe(folder, **changes):
    (folder / "dataset.json").write_text(json.dumps({**DESCRIPTION, **changes}))
    return folder


def imported(folder, tmp_path, **kwargs):
    (dataset,) = import_cases(nnunet_cases(describe(folder), "A", {}, **kwargs), tmp_path / "out").datasets
    return dataset


def test_training_cases_are_split_and_labelled_test_cases_stay_test(folder, tmp_path, patient, masks):
    for n in range(5):
        patient(f"abd_{n:03d}")
    patient("abd_900", "Ts")
    dataset = imported(folder, tmp_path)
    splits = [case.split for case in dataset.cases]
    assert (splits.count("train"), splits.count("val"), splits.count("test")) == (4, 1, 1)
    assert {case.id: case.split for case in dataset.cases}["abd_900"] == "test"
    assert dataset.structures == ("Kidney_L", "Liver")
    for name, mask in dataset.read_masks(dataset.cases[0]).items():
        np.testing.assert_array_equal(mask, masks[name])


def test_the_split_is_the_same_each_time_and_another_with_another_seed(folder, patient):
    for n in range(8):
        patient(f"abd_{n:03d}")
    describe(folder)
    draws = [
        tuple(case.id for case in nnunet_cases(folder, "A", {}, seed=seed) if case.split == "val")
        for seed in (0, 0, 1, 2, 3)
    ]
    assert draws[0] == draws[1]
    assert len(set(draws)) > 1
    assert all(len(draw) == 2 for draw in draws)  # a fifth of 8, rounded
    assert not [case for case in nnunet_cases(folder, "A", {}, val_fraction=0.0) if case.split == "val"]


def test_test_images_without_labels_are_left_alone(folder, tmp_path, patient):
    patient("abd_001")
    patient("abd_900", "Ts")
    (folder / "labelsTs/abd_900.nii.gz").unlink()
    assert [case.id for case in imported(folder, tmp_path, val_fraction=0.0).cases] == ["abd_001"]


def test_an_empty_label_is_unknown_and_not_background(folder, tmp_path, patient):
    labels = np.zeros((4, 5, 6), dtype=np.uint8)
    labels[1:3, 1:3, :3] = 1
    patient("abd_001", labels=labels)
    (case,) = imported(folder, tmp_path).cases
    assert case.annotated == ("Liver",)


def test_an_organ_at_the_first_or_last_slice_is_trained_on_and_scored_only_when_asked_for(folder, tmp_path, patient):
    labels = np.zeros((4, 5, 6), dtype=np.uint8)
    labels[1:3, 1:3, :3], labels[2:, 3:, 3:] = 1, 2
    patient("abd_001", labels=labels)
    (case,) = imported(folder, tmp_path).cases
    assert (case.annotated, case.complete) == (("Liver", "Kidney_L"), ("Liver",))
    (case,) = imported(folder, tmp_path, score_cut=True).cases
    assert case.complete == ("Liver", "Kidney_L")


def test_a_region_of_several_values_becomes_a_structure_that_overlaps(folder, tmp_path, patient):
    patient("abd_001")
    describe(folder, labels={"background": 0, "Bag_Bowel": [1, 2], "liver": 1, "kidney_left": 2})
    (dataset,) = import_cases(nnunet_cases(folder, "A", {}), tmp_path / "out").datasets
    masks = dataset.read_masks(dataset.cases[0])
    np.testing.assert_array_equal(masks["Bag_Bowel"], masks["Liver"] | masks["Kidney_L"])


def test_labels_without_a_standard_name_need_a_word(folder, tmp_path, patient):
    patient("abd_001")
    describe(folder, labels={"background": 0, "liver": 1, "tumour": 2})
    with pytest.raises(UnknownStructureError, match=r"(?s)found 'tumour'.*--skip-unknown"):
        nnunet_cases(folder, "A", {})
    (dataset,) = import_cases(nnunet_cases(folder, "A", {}, skip_unknown=True), tmp_path / "out").datasets
    assert (dataset.structures, dataset.set_aside) == (("Liver",), ()), "a value that is named may occur"
    named = nnunet_cases(folder, "A", {"tumour": "Kidney_L"})
    assert named[0].labels == (("Liver", (1,)), ("Kidney_L", (2,)))


def test_a_case_without_its_image_or_with_a_strange_value_is_set_aside(folder, tmp_path, patient):
    strange = np.zeros((4, 5, 6), dtype=np.uint8)
    strange[1, 1, 1] = 7
    for n in range(38):
        patient(f"abd_{n:03d}")
    patient("abd_500", labels=strange)
    patient("abd_600")
    (folder / "imagesTr/abd_600_0000.nii.gz").unlink()
    dataset = imported(folder, tmp_path)  # 2 of 40 may be bad
    assert len(dataset.cases) == 38
    reasons = {bad.case: bad.reason for bad in dataset.set_aside}
    assert "case abd_500, label map: wanted the values that are named; found 7 too" in reasons["abd_500"]
    assert "case abd_600: wanted all its files; found one missing" in reasons["abd_600"]
    assert "Doe" not in "".join(reasons.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channel_names": {"0": "CT", "1": "PET"}}, "wanted one channel, CT; found CT, PET; only CT can be imported"),
        ({"channel_names": {"0": "T2"}}, "wanted one channel, CT; found T2"),
        ({"labels": {"background": 0, "liver": 1, "ignore": 2}}, "found 'ignore', which marks voxels that nobody drew"),
        ({"file_ending": ".png"}, "wanted file_ending .nii.gz or .nii; found '.png'; convert it"),
        ({"labels": {"0": "background", "1": "liver"}}, "is it of nnU-Net v1 or the decathlon? then use import msd"),
        ({"channel_names": None}, "is it of nnU-Net v1 or the decathlon? then use import msd"),
    ],
)
def test_what_cannot_be_imported_says_why(folder, changes, message):
    with pytest.raises(DatasetError) as caught:
        nnunet_cases(describe(folder, **changes), "A", {})
    assert str(caught.value).startswith("nnU-Net's dataset.json: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_folder_without_a_description_is_refused_without_its_path(folder, content):
    if content:
        (folder / "dataset.json").write_bytes(content)
    with pytest.raises(DatasetError, match=r"nnU-Net: wanted a folder with dataset\.json; found none") as caught:
        nnunet_cases(folder, "A", {})
    assert "Doe" not in str(caught.value)


def test_a_folder_without_cases_is_refused(folder, tmp_path):
    with pytest.raises(DatasetError, match="wanted cases to import; found none"):
        import_cases(nnunet_cases(describe(folder), "A", {}), tmp_path / "out")


def test_hidden_files_are_no_cases(folder, patient):
    patient("abd_001")
    (folder / "labelsTr/._abd_001.nii.gz").write_bytes(b"left by a file manager")
    assert [case.id for case in nnunet_cases(describe(folder), "A", {})] == ["abd_001"]
