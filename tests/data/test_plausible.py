import csv
import json
from pathlib import Path

import numpy as np
import pytest

from gossamer.data.frame import Frame
from gossamer.data.image import Image, read_label_map, read_nifti
from gossamer.data.places import places
from gossamer.data.plausible import VOLUMES_ML, implausible, implausible_volumes, usual_ml, with_body
from gossamer.data.tg263 import STRUCTURES

OPENKBP = Path(__file__).parents[3] / "shared" / "data" / "openkbp"
ABDOMEN = OPENKBP.with_name("abdomen_ct")
ORGANS = {"Spleen": 1, "Kidney_R": 2, "Kidney_L": 3, "Liver": 5, "Stomach": 6, "SpinalCord": 13, "Lungs": 15}
FRAME = Frame.canonical((12, 20, 20), (5.0, 5.0, 5.0), (0.0, 0.0, 0.0))  # 0.125 ml a voxel


def found(**boxes):
    masks = {name: np.zeros(FRAME.shape, dtype=bool) for name in boxes}
    for name, box in boxes.items():
        masks[name][box] = True
    return places(masks, FRAME)


def test_ranges_are_of_standard_names_and_follow_from_their_source_by_the_rule():
    assert VOLUMES_ML.keys() <= STRUCTURES.keys()
    assert VOLUMES_ML["Parotid_L"] == VOLUMES_ML["Parotid_R"] == pytest.approx((11.3 / 2.5, 48.5 * 2.5))
    assert VOLUMES_ML["Glnd_Thyroid"] == pytest.approx((17 / 4, 20 * 4))
    assert usual_ml("Brainstem") == pytest.approx((8.2 / 1.2, 36.7 * 1.2))
    assert usual_ml("Glnd_Thyroid") is None  # a reference mass says nothing of how patients differ
    assert all(0 < low < high for low, high in VOLUMES_ML.values())


def test_a_volume_beyond_its_range_is_said_with_both_limits():
    too_large = found(Brainstem=np.s_[2:10, :, :19])  # 8 x 20 x 19 voxels
    assert implausible_volumes(too_large) == ("Brainstem: wanted 3.28 to 91.8 ml, as in adults; found 380 ml",)
    assert implausible_volumes(found(Brainstem=np.s_[2:10, 5:10, 5:10])) == ()  # 25 ml


def test_a_small_volume_is_only_said_of_what_the_image_does_not_cut():
    [said] = implausible_volumes(found(Brainstem=np.s_[5:7, 5:8, 5:8]))
    assert said.endswith("found 2.25 ml")
    assert implausible_volumes(found(Brainstem=np.s_[:2, 5:8, 5:8])) == ()
    assert implausible_volumes(found(Brainstem=np.s_[5:7, :3, 5:8])) == ()


def test_structures_without_a_source_are_not_looked_at():
    assert implausible_volumes(found(Bowel=np.s_[:], VB_T01=np.s_[5, 5, 5])) == ()


def test_a_speck_does_not_say_where_an_organ_lies():
    some = found(Brainstem=np.s_[5:7, 5:8, 5:8], SpinalCord=np.s_[:, 5:8, 5:8], Ribs=np.s_[1, 1, 1])
    assert with_body(some).keys() == {"SpinalCord", "Ribs"}


def test_a_patient_as_patients_are_is_plausible(lying_patient):
    assert implausible(lying_patient.masks, lying_patient.image) == ()


def test_exchanged_names_are_found_by_where_they_lie(lying_patient):
    masks = lying_patient.masks
    masks["Brainstem"], masks["SpinalCord"] = masks["SpinalCord"], masks["Brainstem"]
    assert "Brainstem: wanted above SpinalCord; found 48 mm below it" in implausible(masks, lying_patient.image)


@pytest.mark.skipif(not OPENKBP.is_dir(), reason="needs ../shared/data (real patients), which is absent")
def test_what_clinics_drew_is_plausible_but_for_what_is_wrong_to_the_eye():
    """Of all 200, four are warned of, each rightly; here those and twenty others."""
    names = json.loads((OPENKBP / "labels.json").read_text())
    wrong = {
        "train_pt_163": "Larynx: wanted 0.88 to 157 ml",  # two slices of it
        "val_pt_215": "SpinalCord: wanted 4.8 to 121 ml",  # muscles of the neck
        "val_pt_216": "SpinalCord: wanted 4.8 to 121 ml",
        "val_pt_221": "Parotid_R: wanted in the body",  # contours shifted to the side
    }
    with (OPENKBP / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in [row for n, row in enumerate(rows) if n % 10 == 0 or row["id"] in wrong]:
        labels, _ = read_label_map(OPENKBP / row["labelmap"])
        drawn = row["annotated"].split("|")
        masks = {name: labels == int(value) for value, name in names.items() if name in drawn}
        said = implausible(masks, read_nifti(OPENKBP / row["image"]))
        assert bool(said) == (row["id"] in wrong), (row["id"], said)
        assert any(text.startswith(wrong.get(row["id"], "")) for text in said or ("",))


@pytest.mark.skipif(not ABDOMEN.is_dir(), reason="needs ../shared/data (real patients), which is absent")
@pytest.mark.parametrize(
    ("axis", "wrong"),
    [
        (0, "Lungs: wanted above Liver"),
        (1, "Liver: wanted in front of SpinalCord"),
        (2, "Liver: wanted to the right of"),
    ],
)
def test_a_real_abdomen_is_arranged_as_patients_are_and_flipped_it_is_not(axis, wrong):
    """In the abdomen a mirror is found, too: the liver tells."""
    image = read_nifti(ABDOMEN / "totalseg_example_ct.nii.gz")
    labels, _ = read_label_map(ABDOMEN / "totalseg_example_organs.nii.gz")
    masks = {name: labels == value for name, value in ORGANS.items()}
    assert implausible(masks, image) == ()
    flipped = Image(np.ascontiguousarray(np.flip(image.voxels, axis)), image.frame)
    said = implausible({name: np.flip(mask, axis) for name, mask in masks.items()}, flipped)
    assert any(text.startswith(wrong) for text in said)


def test_unknown_names_are_passed_over():
    image = Image(np.full(FRAME.shape, -1000, np.int16), FRAME)
    assert implausible({"GTV of Mr X": np.ones(FRAME.shape, dtype=bool)}, image) == ()
