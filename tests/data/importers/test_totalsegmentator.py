"""TotalSegmentator's layout: a folder a case, a file a structure."""

import numpy as np
import pytest

from gossamer.data.frame import Frame
from gossamer.data.image import write_nifti
from gossamer.data.importers.run import import_cases
from gossamer.data.importers.totalsegmentator import totalsegmentator_cases
from gossamer.errors import DatasetError, UnknownStructureError


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "Doe^John"
    folder.mkdir()
    return folder


@pytest.fixture
def patient(folder, image, masks):
    """Writes a case with masks by the names of their files."""

    def write(case_id, files=("liver", "kidney_left"), frame=image.frame):
        segmentations = folder / case_id / "segmentations"
        segmentations.mkdir(parents=True)
        write_nifti(folder / case_id / "ct.nii.gz", image.voxels, image.frame)
        for file, mask in zip(files, masks.values(), strict=False):
            write_nifti(segmentations / f"{file}.nii.gz", mask, frame)

    return write


def test_masks_become_structures_under_their_standard_names(folder, patient, image, masks):
    patient("s0001")
    (dataset,) = import_cases(totalsegmentator_cases(folder, "A", {}), folder / "out").datasets
    (case,) = dataset.cases
    assert (case.id, set(case.annotated), set(case.complete)) == ("s0001", set(masks), set(masks))
    np.testing.assert_array_equal(dataset.read_image(case).voxels, image.voxels)
    for name, mask in dataset.read_masks(case).items():
        np.testing.assert_array_equal(mask, masks[name])


def test_a_dataset_can_be_imported_from_our_own_layout(folder, patient):
    patient("s0001")
    (first,) = import_cases(totalsegmentator_cases(folder, "A", {}), folder.parent / "one").datasets
    (second,) = import_cases(totalsegmentator_cases(first.folder, "A", {}), folder.parent / "two").datasets
    assert second.cases[0].sha256 == first.cases[0].sha256


def test_cases_may_have_different_structures_and_empty_masks_are_unknown(folder, patient, image):
    patient("s0001")
    patient("s0002", ["liver"])
    write_nifti(folder / "s0002/segmentations/spleen.nii.gz", np.zeros(image.frame.shape, dtype=bool), image.frame)
    (dataset,) = import_cases(totalsegmentator_cases(folder, "A", {}), folder / "out").datasets
    assert {case.id: set(case.annotated) for case in dataset.cases} == {
        "s0001": {"Liver", "Kidney_L"},
        "s0002": {"Liver"},
    }


def test_the_published_split_is_kept(folder, patient):
    for n in range(3):
        patient(f"s{n}")
    (folder / "meta.csv").write_text("image_id;age;split\ns0;61;train\ns1;40;val\ns2;77;test\n")
    cases = totalsegmentator_cases(folder, "A", {})
    assert [(case.id, case.split) for case in cases] == [("s0", "train"), ("s1", "val"), ("s2", "test")]
    (folder / "meta.csv").write_text("image_id;age;split\ns0;61;train\ns1;40;val\n")
    with pytest.raises(DatasetError, match=r"meta\.csv: wanted a split for every case; found none for case s2; add it"):
        totalsegmentator_cases(folder, "A", {})


def test_without_a_published_split_one_in_five_validates(folder, patient):
    for n in range(5):
        patient(f"s{n}")
    (folder / "meta.csv").write_text("image_id;age\ns0;61\n")
    assert sorted(case.split for case in totalsegmentator_cases(folder, "A", {})) == ["train"] * 4 + ["val"]


def test_structures_without_a_standard_name_are_all_listed_or_left_out(folder, patient):
    patient("s0001", ["liver", "hip_left"])
    patient("s0002", ["costal_cartilages"])
    with pytest.raises(UnknownStructureError, match=r"(?s)found 'costal_cartilages'.*found 'hip_left'.*--skip-unknown"):
        totalsegmentator_cases(folder, "A", {})
    first, second = totalsegmentator_cases(folder, "A", {}, skip_unknown=True)
    assert (first.masks, second.masks) == ((("liver.nii.gz", "Liver"),), ())
    first, _ = totalsegmentator_cases(folder, "A", {"hip_left": "Bone_Pelvic"}, skip_unknown=True)
    assert first.masks == (("hip_left.nii.gz", "Bone_Pelvic"), ("liver.nii.gz", "Liver"))


def test_a_mask_on_another_grid_or_of_several_structures_makes_a_bad_case(folder, patient, image):
    patient("s0001")
    patient("s0002", frame=Frame.canonical(image.frame.shape, (3.0, 1.0, 1.0), (-6.0, 10.5, 20.0)))
    patient("s0003")
    two = np.zeros(image.frame.shape, dtype=np.uint8)
    two[1, 1, 1:3] = 1, 2
    write_nifti(folder / "s0003/segmentations/liver.nii.gz", two, image.frame)
    cases = totalsegmentator_cases(folder, "A", {}, val_fraction=0.0)
    (dataset,) = import_cases(cases, folder / "out", max_set_aside=0.7).datasets
    reasons = {bad.case: bad.reason for bad in dataset.set_aside}
    assert "case s0002, Kidney_L: wanted the grid of the image" in reasons["s0002"]
    assert "up to 0.5 voxels away" in reasons["s0002"]
    assert "case s0003, Liver: wanted the mask of one structure; found 2 values besides 0" in reasons["s0003"]


def test_a_folder_without_cases_is_refused_without_its_path(folder):
    with pytest.raises(DatasetError, match=r"TotalSegmentator: wanted folders with ct\.nii\.gz") as caught:
        totalsegmentator_cases(folder, "A", {})
    assert "Doe" not in str(caught.value)


def test_a_table_that_cannot_be_read_is_refused_without_its_path(folder, patient):
    patient("s0001")
    (folder / "meta.csv").mkdir()
    with pytest.raises(DatasetError, match=r"meta\.csv: wanted a table in UTF-8; .*Is a directory") as caught:
        totalsegmentator_cases(folder, "A", {})
    assert "Doe" not in str(caught.value)
