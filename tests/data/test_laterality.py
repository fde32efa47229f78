import json
from pathlib import Path

import numpy as np
import pytest

from gossamer.data.frame import Frame
from gossamer.data.image import Image, read_label_map, read_nifti
from gossamer.data.laterality import wrong_sides

OPENKBP = Path(__file__).parents[3] / "shared" / "data" / "openkbp"
FRAME = Frame.canonical((6, 20, 60), (3.0, 2.0, 2.0))


def body(left_mm=0.0):
    """A patient in air, in the middle of the image or shifted to the left."""
    voxels = np.full(FRAME.shape, -1000, np.int16)
    shift = round(left_mm / 2.0)
    voxels[:, 4:16, 15 + shift : 45 + shift] = 40
    return Image(voxels, FRAME)


def blob(x):
    mask = np.zeros(FRAME.shape, bool)
    mask[2:4, 8:10, x : x + 2] = True
    return mask


def test_partners_on_their_own_sides_are_well():
    assert wrong_sides({"Parotid_L": blob(40), "Parotid_R": blob(18)}, body()) == ()


def test_swapped_partners_are_found_once_with_their_distance():
    assert wrong_sides({"Parotid_L": blob(18), "Parotid_R": blob(40)}, body()) == (
        "Parotid_L lies 44 mm to the right of Parotid_R",
    )


@pytest.mark.parametrize(("name", "x"), [("Parotid_L", 18), ("Parotid_R", 40)])
def test_a_structure_without_its_partner_is_held_against_the_body(name, x):
    [found] = wrong_sides({name: blob(x)}, body())
    assert found == f"{name} lies 22 mm on the other side of the body's middle"


def test_the_middle_is_the_bodys_not_the_images():
    """The blob lies in the image's left half, and on the right of a patient who lies far left."""
    assert wrong_sides({"Parotid_L": blob(32)}, body(left_mm=30.0)) != ()
    assert wrong_sides({"Parotid_R": blob(32)}, body(left_mm=30.0)) == ()


def test_little_beyond_the_middle_is_no_mistake():
    assert wrong_sides({"Parotid_L": blob(27)}, body()) == ()


def test_what_has_no_side_or_no_voxel_is_not_looked_at():
    assert wrong_sides({"Brainstem": blob(18), "Parotid_L": np.zeros(FRAME.shape, bool)}, body()) == ()


def test_partners_of_which_one_is_empty_are_not_compared():
    assert wrong_sides({"Parotid_L": blob(40), "Parotid_R": np.zeros(FRAME.shape, bool)}, body()) == ()


@pytest.mark.skipif(not OPENKBP.is_dir(), reason="needs ../shared/data (real patients), which is absent")
def test_parotids_of_real_patients_lie_right_and_under_each_others_names_are_found():
    labels = {name: int(value) for value, name in json.loads((OPENKBP / "labels.json").read_text()).items()}
    looked_at = 0
    for path in sorted(OPENKBP.glob("*_oar.nii.gz"))[:20]:
        label_map, _ = read_label_map(path)
        image = read_nifti(path.with_name(path.name.replace("_oar", "_ct")))
        left, right = (label_map == labels[name] for name in ("Parotid_L", "Parotid_R"))
        if not (left.any() and right.any()):
            continue
        looked_at += 1
        assert wrong_sides({"Parotid_L": left, "Parotid_R": right}, image) == ()
        for swapped in ({"Parotid_L": right, "Parotid_R": left}, {"Parotid_L": right}, {"Parotid_R": left}):
            assert len(wrong_sides(swapped, image)) == 1
    assert looked_at > 10
