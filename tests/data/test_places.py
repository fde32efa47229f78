import numpy as np
import pytest

from gossamer.data.frame import Frame
from gossamer.data.places import places

FRAME = Frame.canonical((4, 10, 20), (5.0, 2.0, 1.0), (70.0, -30.0, 10.0))


def mask(box):
    voxels = np.zeros(FRAME.shape, dtype=bool)
    voxels[box] = True
    return voxels


def test_volume_and_middle_are_in_millilitres_and_millimetres():
    place = places({"Liver": mask(np.s_[1:3, 2:4, 10:20])}, FRAME)["Liver"]
    assert place.volume_ml == pytest.approx(2 * 2 * 10 * 10 / 1000)
    assert place.middle_mm == pytest.approx((1.5 * 5, 2.5 * 2, 14.5))
    assert place.by_slice.tolist() == [0, 20, 20, 0]
    assert np.array_equal(place.middle_y_mm, [np.nan, 5.0, 5.0, np.nan], equal_nan=True)


def test_ends_are_shares_of_the_largest_slice():
    voxels = mask(np.s_[:2, 2:4, :10]) | mask(np.s_[0, 2, :10]) | mask(np.s_[1, 2:6, :10])
    place = places({"Liver": voxels}, FRAME)["Liver"]
    assert place.ends == (0.5, 0.0)
    assert place.at_faces == pytest.approx(6 / 60)  # one voxel of each of six rows lies at the face along x


def test_what_has_no_voxel_or_does_not_matter_has_no_place():
    masks = {"Liver": mask(np.s_[:0]), "Spleen": mask(np.s_[1]), "Heart": mask(np.s_[2])}
    assert places(masks, FRAME).keys() == {"Spleen", "Heart"}
    assert places(masks, FRAME, only=("Spleen", "Brain")).keys() == {"Spleen"}
