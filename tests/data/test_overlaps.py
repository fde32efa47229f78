"""Structures that share voxels which should not, and what is looked at a second time."""

import numpy as np
import pytest

from gossamer.data.description import Case
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.overlaps import _HOLDS, _SPACES, may_overlap, overlapping
from gossamer.data.second_look import same_ct, second_look
from gossamer.data.tg263 import STRUCTURES


def block(first, last, shape=(10, 20, 60)):
    """A block of 4 x 10 voxels, from one column to before another."""
    mask = np.zeros(shape, bool)
    mask[3:7, 5:15, first:last] = True
    return mask


def test_one_contour_under_two_names_is_found():
    masks = {"Parotid_L": block(5, 25), "Glnd_Submand_L": block(5, 25), "Liver": block(30, 40)}
    assert overlapping(masks) == (
        "Parotid_L and Glnd_Submand_L are the same contour, voxel for voxel; drawn twice, or named wrongly?",
    )


def test_nearly_the_same_contour_is_found_with_its_dsc():
    other = block(5, 25)
    other[3, 5, 5:13] = False  # 8 of 800 voxels: DSC 2 * 792 / 1592
    [found] = overlapping({"Parotids": block(5, 25), "Parotid_L": other})
    assert found == "Parotids and Parotid_L look like the same contour twice (DSC 0.9950); named wrongly?"


@pytest.mark.parametrize(("first", "said"), [(26, "40% of Spleen lies in Liver"), (28, None), (50, None)])
def test_a_good_part_of_an_organ_in_another_is_found_and_a_common_border_is_not(first, said):
    found = overlapping({"Liver": block(5, 30), "Spleen": block(first, first + 10)})
    assert [text.partition(";")[0] for text in found] == ([said] if said else [])


@pytest.mark.parametrize(
    ("whole", "part"),
    [("Lungs", "Lung_L"), ("Lung_R", "Lung_RUL"), ("Eye_L", "Lens_L"), ("SpinalCanal", "SpinalCord"), ("Skin", "Liver"),
     ("Bag_Bowel", "Bladder"), ("Kidneys", "Kidney_R"), ("Ribs", "Rib07_L"), ("Musc_Constrict", "Musc_Constrict_S")],
)  # fmt: skip
def test_a_part_may_lie_in_its_whole(whole, part):
    assert may_overlap(whole, part)
    assert may_overlap(part, whole)
    assert overlapping({whole: block(5, 35), part: block(10, 20)}) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [("Lung_L", "Lung_R"), ("Lung_L", "Lung_RUL"), ("Brainstem", "SpinalCord"), ("Rectum", "Prostate")],
)
def test_neighbours_may_not(one, other):
    assert not may_overlap(one, other)


def test_all_names_in_the_rules_are_structures():
    words = {word.rstrip(":") for word in (_HOLDS + _SPACES).split()}
    assert {word for word in words if not set(word) & set("*?")} <= set(STRUCTURES)


def test_a_second_look_says_what_overlaps():
    image = Image(np.zeros((10, 20, 60), np.int16), Frame.canonical((10, 20, 60), (3.0, 1.0, 1.0)))
    assert "40% of Spleen lies in Liver; drawn into it, or named wrongly?" in second_look(
        {"Liver": block(5, 30), "Spleen": block(26, 36)}, image
    )


def test_cases_with_equal_images_are_grouped():
    def case(name, sha256):
        hashes = {} if sha256 is None else {"ct.nii.gz": sha256}
        return Case(
            id=name, split="train", annotated=(), complete=(), shape=(1, 1, 1), spacing_mm=(1, 1, 1), sha256=hashes
        )

    cases = [case("a", "1"), case("b", "2"), case("c", "1"), case("d", None), case("e", None)]
    assert [[one.id for one in same] for same in same_ct(cases)] == [["a", "c"]]
