"""Faults planted in a dataset are found, named by case, and nothing else is."""

import gzip
from dataclasses import replace

import numpy as np
import pytest

from gossamer.data.case_folder import mask_file
from gossamer.data.dataset import Dataset
from gossamer.data.description import DESCRIPTION_FILE
from gossamer.data.frame import Frame
from gossamer.data.image import Image, write_nifti
from gossamer.runtime.preflight import own_data
from gossamer.runtime.preflight.own_data import check_data
from gossamer.watch import Unwatched

STRUCTURES = ("Parotid_L", "Parotid_R")


def checked(dataset, structures=STRUCTURES):
    """Findings by check and state."""
    findings = check_data(dataset.folder, structures, 60.0, Unwatched())
    return {(each.check, each.state): each for each in findings}


def faults(found):
    return {check for check, state in found if state != "ok"}


def overwrite_mask(dataset, case, name, mask):
    path = dataset.folder / case.id / mask_file(name)
    write_nifti(path, mask, dataset.read_image(case).frame)


def test_sound_data_have_nothing_but_ok(dataset):
    found = checked(dataset())
    assert faults(found) == set()
    assert {check for check, _ in found} == {
        "data", "splits", "structures", "images", "masks", "duplicates", "sides"
    }  # fmt: skip
    assert "2 pairs" not in found["sides", "ok"].found
    assert "all of 4 pairs" in found["sides", "ok"].found
    assert found["splits", "ok"].found == "2 train, 1 val, 1 test"


def test_a_folder_without_data_is_a_fault(dataset, tmp_path):
    [finding] = check_data(tmp_path, (), 60.0, Unwatched())
    assert (finding.check, finding.state, finding.code) == ("data", "fault", "GOS-307")


def test_a_structure_of_no_standard_name_is_a_fault(dataset):
    there = dataset()
    path = there.folder / DESCRIPTION_FILE
    path.write_text(path.read_text().replace('"Parotid_L"', '"Lt Parotid"'))
    assert checked(there)["data", "fault"].code == "GOS-303"


@pytest.mark.parametrize(
    ("splits", "state", "words"), [(["test"], "fault", "0 train"), (["train", "test"], "warning", "0 val")]
)
def test_an_empty_split_is_found(dataset, patient, splits, state, words):
    found = checked(dataset({f"HN-{n}": (split, *patient(n)) for n, split in enumerate(splits)}))
    assert (found["splits", state].code, words in found["splits", state].found) == ("GOS-305", True)


def test_a_structure_of_the_federation_that_is_never_drawn_is_a_warning_with_counts(dataset):
    found = checked(dataset(), (*STRUCTURES, "Brainstem"))
    assert "Brainstem" in found["structures", "warning"].found
    assert "Parotid_L 2" in found["structures", "warning"].found


def test_a_structure_that_is_not_of_the_federation_is_only_said(dataset):
    found = checked(dataset(), ("Parotid_L",))
    assert faults(found) == set()
    assert "Parotid_R" in found["structures", "ok"].found


@pytest.mark.parametrize("stored", ["as it is", "uncompressed float", "turned"])
def test_one_patient_under_two_ids_is_found_however_the_file_is_stored(dataset, patient, stored):
    image, masks = patient(1)
    there = dataset({"HN-1": ("train", image, masks), "HN-2": ("test", image, masks), "HN-3": ("val", *patient(3))})
    path = there.folder / "HN-2" / "ct.nii.gz"
    if stored == "uncompressed float":
        write_nifti(path, image.voxels.astype(np.float32), image.frame)
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 0))
    elif stored == "turned":
        x, y, z = (axis * spacing for axis, spacing in zip(np.eye(3), (2.0, 2.0, 3.0), strict=True))
        turned = np.eye(4)
        turned[:3, 0], turned[:3, 1], turned[:3, 2], turned[:3, 3] = z, y, -x, [38.0, 10.0, -6.0]
        write_nifti(path, np.ascontiguousarray(image.voxels[..., ::-1]), Frame(image.voxels.shape, turned))
    found = checked(there)["duplicates", "fault"]
    assert "HN-1 (train) = HN-2 (test)" in found.found
    assert "1 of them in several splits" in found.found
    assert "HN-3" not in found.found


def test_swapped_sides_are_found_with_case_and_millimetres(dataset, patient):
    image, masks = patient(2)
    swapped = {"Parotid_L": masks["Parotid_R"], "Parotid_R": masks["Parotid_L"]}
    found = checked(dataset({"HN-1": ("train", *patient(1)), "HN-2": ("val", image, swapped)}))
    assert faults(found) == {"sides"}
    assert (
        found["sides", "fault"].found
        == "1 of 2 pairs lie the wrong way round: HN-2 Parotid_L (12 mm right of its partner)"
    )


def test_a_mirrored_image_is_found_by_its_sides(dataset, patient):
    image, masks = patient(2)
    affine = image.frame.world_from_voxel.copy()
    affine[0, 2] *= -1
    mirrored = Image(image.voxels, replace(image.frame, world_from_voxel=affine))
    found = checked(dataset({"HN-1": ("train", *patient(1)), "HN-2": ("val", mirrored, masks)}))
    assert "HN-2" in found["sides", "fault"].found


def test_a_mask_without_a_voxel_is_a_fault(dataset):
    there = dataset()
    overwrite_mask(there, there.cases[0], "Parotid_L", np.zeros(there.cases[0].shape, dtype=bool))
    found = checked(there)
    assert found["masks", "fault"].code == "GOS-304"
    assert found["masks", "fault"].found.startswith("case HN-0, Parotid_L")
    assert "Parotid_L" in found["images", "fault"].found  # no longer the file that was imported


def test_a_mask_on_another_grid_is_a_fault(dataset):
    there = dataset()
    case = there.cases[0]
    frame = Frame.canonical(case.shape, (3.0, 2.0, 2.5))
    write_nifti(there.folder / case.id / mask_file("Parotid_L"), there.read_masks(case)["Parotid_L"], frame)
    assert checked(there)["masks", "fault"].code == "GOS-302"


@pytest.mark.parametrize("damage", ["cut", "gone", "flipped"])
def test_a_damaged_image_is_found_and_the_others_are_read(dataset, damage):
    there = dataset()
    path = there.folder / "HN-1" / "ct.nii.gz"
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:-9])
    else:
        content[9] ^= 1  # of gzip's header: the voxels are read as before
        path.write_bytes(content)
    found = checked(there)
    assert faults(found) == {"images"}
    assert "HN-1" in found["images", "fault"].found
    assert found["images", "fault"].code == ("GOS-307" if damage == "flipped" else "GOS-301")


def test_many_errors_of_one_kind_are_one_line(dataset):
    there = dataset()
    for case in there.cases:
        (there.folder / case.id / "ct.nii.gz").write_bytes(b"no image")
    assert "3 more like it" in checked(there)["images", "fault"].found


def test_what_was_not_reached_in_time_is_said(dataset, monkeypatch, hanging):
    real = own_data.read_masks

    def read(dataset, case, frame):
        return hanging() if case.id == "HN-2" else real(dataset, case, frame)

    monkeypatch.setattr(own_data, "read_masks", read)
    monkeypatch.setattr(own_data, "ask", hanging.ask)
    monkeypatch.setattr(own_data, "READERS", 2)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    found = checked(dataset())
    assert found["masks", "warning"].found == "3 of 4 cases were read in the time there is"
    assert ("images", "ok") in found


def test_cases_of_all_splits_have_had_their_share_when_the_time_is_over(dataset, patient):
    splits = ["train", "train", "train", "val", "test"]
    there = dataset({f"HN-{n}": (split, *patient(n)) for n, split in enumerate(splits)})
    assert [case.id for case in own_data._mixed(Dataset.open(there.folder).cases)] == [
        "HN-0", "HN-3", "HN-4", "HN-1", "HN-2"
    ]  # fmt: skip
