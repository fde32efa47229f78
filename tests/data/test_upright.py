import numpy as np
import pytest

from gossamer.data.body import find_body
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.upright import cut_faces, gas_behind_bone, lying_faults, symmetry


def body_of(voxels):
    return find_body(Image(np.ascontiguousarray(voxels), Frame.canonical(voxels.shape, (5.0, 5.0, 5.0))))


def faults(voxels):
    return list(lying_faults(body_of(voxels)))


def test_a_patient_on_the_back_lies_as_the_axes_say(lying_patient):
    assert faults(lying_patient.image.voxels) == []


def test_back_to_front_is_seen_by_gas_and_bone(lying_patient):
    [fault] = faults(np.flip(lying_patient.image.voxels, 1))
    assert fault.startswith("wanted airways in front of the spine; found gas behind bone by ")
    assert faults(np.flip(lying_patient.image.voxels, (1, 2))) == [fault]


@pytest.mark.parametrize(
    ("axes", "alike"), [((0, 2, 1), "front and back"), ((2, 1, 0), "top and bottom"), ((1, 2, 0), "front and back")]
)
def test_other_axes_are_seen_by_which_halves_are_alike(lying_patient, axes, alike):
    assert any(alike in fault for fault in faults(lying_patient.image.voxels.transpose(axes)))


def test_planes_from_front_to_back_are_seen_by_where_the_body_is_cut(lying_patient):
    turned = lying_patient.image.voxels.transpose(1, 0, 2)
    assert "wanted the scan to end at top or bottom; found the body cut in front or behind" in faults(turned)


def test_what_anatomy_can_not_tell_is_not_said(lying_patient):
    assert faults(np.flip(lying_patient.image.voxels, 2)) == []
    assert faults(np.flip(lying_patient.image.voxels, 0)) == []


def test_symmetry_is_the_correlation_of_the_two_halves():
    """By hand: along x the halves are equal; along z, where they are 300 and -250, each other's opposite."""
    voxels = np.full((8, 8, 8), 300, np.int16)
    voxels[4:] = -250
    z, _, x = symmetry(body_of(voxels))
    assert z == pytest.approx(-1)
    assert x == pytest.approx(1)


def test_gas_and_bone_are_compared_where_enough_slices_have_both():
    voxels = np.full((10, 20, 20), 40, np.int16)
    voxels[:, 14:16, 9:12] = 500
    voxels[:, 6:8, 9:12] = -1000
    assert gas_behind_bone(body_of(voxels)) == pytest.approx((6.5 - 14.5) / 20)
    voxels[3:, 6:8] = 40
    assert gas_behind_bone(body_of(voxels)) == 0.0


def test_cut_faces_are_shares_of_the_largest_cut():
    voxels = np.full((6, 20, 20), -1000, np.int16)
    voxels[:, 5:15, 5:] = 40
    assert cut_faces(body_of(voxels)) == (1.0, 0.0, 1.0)
    voxels[:, 5:10, 16:] = -1000  # the face has half of the largest section
    assert cut_faces(body_of(voxels[:, :, ::-1])) == pytest.approx((1.0, 0.0, 0.5), abs=0.11)


def test_an_empty_image_has_nobody_who_could_lie():
    assert faults(np.full((4, 4, 4), -1000, np.int16)) == []
