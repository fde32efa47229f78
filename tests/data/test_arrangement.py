"""How organs lie to each other: each kind of rule from both sides, on blocks."""

import numpy as np
import pytest

from gossamer.data.arrangement import ABOVE, IN_FRONT, RIGHT_OF, SOLID, disarranged, misplaced
from gossamer.data.body import find_body
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.places import places
from gossamer.data.tg263 import STRUCTURES

FRAME = Frame.canonical((20, 20, 40), (5.0, 5.0, 5.0), (0.0, 0.0, 0.0))


def block(z, y, x):
    """A cube of 15 mm around a place, given in voxels."""
    mask = np.zeros(FRAME.shape, dtype=bool)
    mask[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = True
    return mask


def said(**masks):
    return disarranged(places(masks, FRAME))


def test_rules_are_of_standard_names_and_do_not_contradict_each_other():
    for pairs in (ABOVE, IN_FRONT, RIGHT_OF):
        assert {name for pair in pairs for name in pair} <= STRUCTURES.keys()
        assert len(pairs) == len(set(pairs))
        assert not {(other, one) for one, other in pairs} & set(pairs)
    assert STRUCTURES.keys() >= SOLID


@pytest.mark.parametrize(
    ("right", "wrong", "text"),
    [
        (
            {"Brainstem": (12, 9, 9), "SpinalCord": (6, 9, 9)},
            {"Brainstem": (6, 9, 9), "SpinalCord": (12, 9, 9)},
            "Brainstem: wanted above SpinalCord; found 30 mm below it",
        ),
        (
            {"Bone_Mandible": (9, 3, 9), "SpinalCord": (9, 14, 9)},
            {"Bone_Mandible": (9, 14, 9), "SpinalCord": (9, 4, 9)},
            "Bone_Mandible: wanted in front of SpinalCord; found 50 mm behind it",
        ),
        (
            {"Liver": (9, 9, 5), "Spleen": (9, 9, 30)},
            {"Liver": (9, 9, 30), "Spleen": (9, 9, 10)},
            "Liver: wanted to the right of Spleen; found 100 mm to the left of it",
        ),
        (
            {"Parotid_R": (9, 9, 5), "Parotid_L": (9, 9, 29)},
            {"Parotid_R": (9, 9, 5), "Parotid_L": (9, 9, 11)},
            "Parotid_L, Parotid_R: wanted 70 to 173 mm from left to right; found 30 mm",
        ),
    ],
)
def test_each_kind_of_rule_is_silent_on_what_is_right_and_says_what_is_wrong(right, wrong, text):
    assert said(**{name: block(*place) for name, place in right.items()}) == ()
    assert said(**{name: block(*place) for name, place in wrong.items()}) == (text,)


def test_a_slack_of_a_voxel_is_allowed():
    assert said(Brainstem=block(9, 9, 9), SpinalCord=block(10, 9, 9)) == ()
    assert len(said(Brainstem=block(9, 9, 9), SpinalCord=block(11, 9, 9))) == 1


def test_in_front_is_asked_in_the_slices_that_hold_both():
    """A bent spine: above the larynx the cord comes far forward, and in the larynx' own slices it is behind."""
    cord = block(4, 14, 9)
    for z in range(8, 18):
        cord |= block(z, 2, 9)
    assert said(Larynx=block(4, 9, 9), SpinalCord=cord) == ()
    assert said(Larynx=block(4, 16, 9), SpinalCord=cord) == (
        "Larynx: wanted in front of SpinalCord; found 10 mm behind it",
    )


def test_a_solid_organ_in_the_air_around_the_body_is_found_and_a_hollow_one_is_not_asked():
    voxels = np.full(FRAME.shape, -1000, np.int16)
    voxels[:, 5:18, 8:32] = 40
    voxels[5:9, 8:12, 15:20] = -900  # a lung, inside
    body = find_body(Image(voxels, FRAME))
    masks = {"Liver": block(3, 5, 20), "Heart": block(7, 10, 17), "Larynx": block(14, 1, 20)}
    # a third of the liver's block is in front of the skin; the heart's lies in the lung, which is the body's
    assert body.step == (1, 1, 1)
    assert misplaced(places(masks, FRAME), masks, body) == (
        "Liver: wanted in the body; found 33 % of it in the air around",
    )
