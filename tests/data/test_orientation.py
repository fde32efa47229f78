"""Turning axes moves voxels in memory and none in the patient: all 48 signed orders, and oblique scans."""

from itertools import permutations, product

import nibabel
import numpy as np
import pytest

from gossamer.data.image import read_label_map, read_nifti, write_nifti
from gossamer.data.orientation import Orientation

SIGNED_AXES = [
    (order, signs) for order in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)
]  # file axis a runs along the world's axis order[a], forwards or backwards
SPACING_MM = (0.9, 1.1, 3.0)
VOXELS = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)
"""Each voxel has a value of its own, so that a value says where it came from."""


def affine_of(order, signs):
    affine = np.eye(4)
    affine[:3, :3] = 0.0
    for axis in range(3):
        affine[order[axis], axis] = signs[axis] * SPACING_MM[axis]
    affine[:3, 3] = (-31.5, 20.25, 7.0)
    return affine


def rotated(affine, degrees_x, degrees_z):
    cx, sx, cz, sz = (f(np.radians(angle)) for angle in (degrees_x, degrees_z) for f in (np.cos, np.sin))
    turn = np.eye(4)
    turn[:3, :3] = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]]) @ [[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]
    return turn @ affine


def write(path, affine, voxels=VOXELS):
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_qform(affine, code=1)
    nibabel.save(image, path)


def assert_every_voxel_lies_where_the_file_says(image, affine):
    for value in VOXELS.ravel():
        (file_index,) = np.argwhere(value == VOXELS)
        (index,) = np.argwhere(image.voxels == value)
        ras_mm = affine @ (*file_index, 1.0)
        lps_mm = image.frame.world_from_index(index.astype(float))
        np.testing.assert_allclose(lps_mm * (-1, -1, 1), ras_mm[:3], atol=1e-4)


@pytest.mark.parametrize(("order", "signs"), SIGNED_AXES)
def test_all_48_orientations_keep_every_voxel_in_its_place_and_round_trip(tmp_path, order, signs):
    affine = affine_of(order, signs)
    write(tmp_path / "in.nii", affine)
    image = read_nifti(tmp_path / "in.nii")
    assert (np.diag(image.frame.world_from_voxel[[2, 1, 0]]) > 0).all(), "z to the head, y to the back, x to the left"
    assert_every_voxel_lies_where_the_file_says(image, affine)

    write_nifti(tmp_path / "out.nii", image.voxels, image.frame, like=tmp_path / "in.nii")
    back = nibabel.load(tmp_path / "out.nii")
    np.testing.assert_array_equal(np.asarray(back.dataobj), VOXELS)
    np.testing.assert_array_equal(back.affine, nibabel.load(tmp_path / "in.nii").affine)


@pytest.mark.parametrize("degrees", [(12.0, 0.0), (0.0, -25.0), (17.0, 30.0), (-40.0, 40.0)])
@pytest.mark.parametrize(("order", "signs"), SIGNED_AXES[::7])
def test_an_oblique_scan_stays_oblique_and_round_trips(tmp_path, order, signs, degrees):
    affine = rotated(affine_of(order, signs), *degrees)
    write(tmp_path / "in.nii", affine)
    image = read_nifti(tmp_path / "in.nii")
    assert_every_voxel_lies_where_the_file_says(image, affine)
    assert image.frame.tilt_degrees > 10
    write_nifti(tmp_path / "out.nii", image.voxels, image.frame, like=tmp_path / "in.nii")
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / "out.nii").dataobj), VOXELS)
    np.testing.assert_allclose(nibabel.load(tmp_path / "out.nii").affine, affine, atol=1e-4)


@pytest.mark.parametrize(("order", "signs"), SIGNED_AXES[::5])
def test_a_mask_written_onto_a_canonical_grid_reads_back_the_same(tmp_path, order, signs):
    write(tmp_path / "in.nii", rotated(affine_of(order, signs), 9.0, -4.0))
    image = read_nifti(tmp_path / "in.nii")
    mask = image.voxels % 7 == 3
    write_nifti(tmp_path / "mask.nii.gz", mask, image.frame)
    labels, frame = read_label_map(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(labels, mask)
    assert image.frame.differs_by_voxels(frame) < 1e-4


def test_a_mask_stored_along_other_axes_than_its_image_falls_on_the_same_voxels(tmp_path):
    ras, lpi = affine_of((0, 1, 2), (1, 1, 1)), np.diag([-0.9, -1.1, -3.0, 1.0])
    lpi[:3, 3] = (ras @ (2, 3, 4, 1))[:3]  # its first voxel is the other file's last
    write(tmp_path / "image.nii", ras)
    write(tmp_path / "mask.nii", lpi, (VOXELS == 17)[::-1, ::-1, ::-1].astype(np.uint8))
    image = read_nifti(tmp_path / "image.nii")
    labels, frame = read_label_map(tmp_path / "mask.nii")
    assert image.frame.differs_by_voxels(frame) < 1e-4
    np.testing.assert_array_equal(labels == 1, image.voxels == 17)


def test_the_nearest_axes_are_those_nibabel_names():
    for order, signs in SIGNED_AXES:
        affine = rotated(affine_of(order, signs), 20.0, 15.0)
        codes = nibabel.aff2axcodes(affine)
        found = Orientation.of_affine(affine)
        for axis, flipped, (towards, away) in zip(found.axes, found.flipped, ("SI", "PA", "LR"), strict=True):
            assert codes[axis] == (away if flipped else towards)
