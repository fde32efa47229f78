import shutil

import nibabel
import numpy as np
import pytest

from gossamer.data.dataset import DatasetWriter
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.errors import DatasetError, GeometryMismatchError, UsageError
from gossamer.evaluate.folders import compare, score_case
from gossamer.evaluate.predicted import PredictionRecord

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def write_masks(folder, affine=AFFINE, **voxels):
    """Masks of 6 x 6 x 6 voxels; each is a box of so many voxels along x."""
    (folder / "segmentations").mkdir(parents=True)
    for organ, length in voxels.items():
        mask = np.zeros((6, 6, 6), dtype=np.uint8)
        mask[:length, 1:3, 1:3] = 1
        nibabel.save(nibabel.Nifti1Image(mask, affine), folder / f"segmentations/{organ}.nii.gz")


def write_record(folder, **volumes_ml):
    record = PredictionRecord(
        gossamer_version="0", model_sha256="a", image_sha256="b", volumes_ml=volumes_ml, intended_use="tests"
    )
    (folder / "prediction.json").write_text(record.model_dump_json())


def scored(comparison):
    return {
        (r.case, r.organ): (r.score.values["dsc"], r.score.outcome)
        for case in comparison.cases
        for r in score_case(comparison, case, ["dsc"])
    }


@pytest.fixture
def folders(tmp_path):
    predictions, reference = tmp_path / "predictions", tmp_path / "reference"
    predictions.mkdir()
    reference.mkdir()
    return predictions, reference


def test_masks_of_one_name_are_scored_against_each_other(folders):
    predictions, reference = folders
    write_masks(predictions / "c1", Liver=4, Spleen=2)
    write_masks(reference / "c1", Liver=4, Spleen=4)
    comparison = compare(predictions, reference)
    assert scored(comparison) == {("c1", "Liver"): (1.0, "scored"), ("c1", "Spleen"): (pytest.approx(2 / 3), "scored")}


def test_organ_the_model_knows_and_did_not_find_is_missed_and_one_it_does_not_know_is_not_scored(folders):
    predictions, reference = folders
    write_masks(predictions / "c1", Liver=4)
    write_record(predictions / "c1", Liver=1.0, Spleen=0.0)
    write_masks(reference / "c1", Liver=4, Spleen=4, Stomach=2)
    comparison = compare(predictions, reference)
    assert scored(comparison)["c1", "Spleen"] == (0.0, "missed")
    assert ("c1", "Stomach") not in scored(comparison)
    assert comparison.unknown_organs == ("Stomach",)


def test_without_a_record_an_organ_found_in_another_case_counts_as_missed(folders):
    predictions, reference = folders
    write_masks(predictions / "c1", Liver=4, Spleen=4)
    write_masks(predictions / "c2", Liver=4)
    for case in ("c1", "c2"):
        write_masks(reference / case, Liver=4, Spleen=4)
    assert scored(compare(predictions, reference))["c2", "Spleen"] == (0.0, "missed")


def test_empty_reference_makes_a_prediction_a_false_positive(folders):
    predictions, reference = folders
    write_masks(predictions / "c1", Liver=4, Spleen=4)
    write_masks(reference / "c1", Liver=4, Spleen=0)
    dsc, outcome = scored(compare(predictions, reference))["c1", "Spleen"]
    assert np.isnan(dsc)
    assert outcome == "false positive"


def test_cases_that_are_on_one_side_only_are_named(folders):
    predictions, reference = folders
    for folder, case in ((predictions, "c1"), (predictions, "c3"), (reference, "c1"), (reference, "c2")):
        write_masks(folder / case, Liver=4)
    comparison = compare(predictions, reference)
    assert [case.id for case in comparison.cases] == ["c1"]
    assert (comparison.not_predicted, comparison.not_drawn) == (("c2",), ("c3",))


def test_prediction_on_another_grid_is_refused_with_the_case(folders):
    predictions, reference = folders
    write_masks(predictions / "c1", affine=np.diag([1.0, 1.0, 3.0, 1.0]), Liver=4)
    write_masks(reference / "c1", Liver=4)
    with pytest.raises(GeometryMismatchError, match="c1"):
        scored(compare(predictions, reference))


def test_prediction_turned_another_way_in_its_file_is_the_same_prediction(folders):
    predictions, reference = folders
    write_masks(reference / "c1", Liver=4)
    write_masks(predictions / "c1", Liver=4)
    path = predictions / "c1/segmentations/Liver.nii.gz"
    image = nibabel.load(path)
    turned = image.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    nibabel.save(turned, path)
    assert scored(compare(predictions, reference))["c1", "Liver"] == (1.0, "scored")


def test_folders_without_cases_or_without_a_common_one_are_refused(folders):
    predictions, reference = folders
    with pytest.raises(DatasetError, match="reference cases"):
        compare(predictions, reference)
    write_masks(reference / "c1", Liver=4)
    write_masks(predictions / "c2", Liver=4)
    with pytest.raises(DatasetError, match="common"):
        compare(predictions, reference)


def test_split_of_a_folder_that_knows_none_is_refused(folders):
    predictions, reference = folders
    write_masks(reference / "c1", Liver=4)
    with pytest.raises(UsageError, match="--split"):
        compare(predictions, reference, split="val")


def test_damaged_record_is_refused_with_the_case(folders):
    predictions, reference = folders
    write_masks(reference / "c1", Liver=4)
    write_masks(predictions / "c1", Liver=4)
    (predictions / "c1/prediction.json").write_text("{")
    with pytest.raises(DatasetError, match="c1"):
        compare(predictions, reference)


@pytest.fixture
def dataset(tmp_path):
    """Case c1 to train on; c2 and c3 to validate, in whose images the spleen is drawn but cut off by the scan."""
    frame = Frame.canonical((6, 6, 6), (2.0, 1.0, 1.0))
    mask = np.zeros(frame.shape, dtype=bool)
    mask[2:4] = True
    writer = DatasetWriter(tmp_path / "dataset", "A")
    for case, split in (("c1", "train"), ("c2", "val"), ("c3", "val")):
        image = Image(np.zeros(frame.shape, dtype=np.int16), frame)
        writer.add(case, split, image, {"Liver": mask, "Spleen": mask}, complete=["Liver"])
    writer.finish()
    return tmp_path / "dataset"


def test_in_a_dataset_only_complete_organs_are_scored(dataset):
    assert scored(compare(dataset, dataset)) == {(case, "Liver"): (1.0, "scored") for case in ("c1", "c2", "c3")}


def test_case_of_the_split_without_a_prediction_counts_as_missed(dataset, tmp_path):
    (tmp_path / "p").mkdir()
    (dataset / "c2").rename(tmp_path / "p/c2")
    shutil.copytree(tmp_path / "p/c2", dataset / "c2")
    comparison = compare(tmp_path / "p", dataset, split="val")
    assert scored(comparison) == {("c2", "Liver"): (1.0, "scored"), ("c3", "Liver"): (0.0, "missed")}
    assert comparison.not_predicted == ("c3",)
    assert [case.id for case in compare(tmp_path / "p", dataset).cases] == ["c2"]


def test_split_without_cases_is_refused(dataset):
    with pytest.raises(DatasetError, match="reference cases"):
        compare(dataset, dataset, split="test")
