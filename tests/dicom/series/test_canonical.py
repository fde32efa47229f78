"""Canonical orientation: each voxel stays where its file says."""

from itertools import permutations, product

import numpy as np
import pydicom
import pytest
import SimpleITK
from tests.dicom.phantom_series import AXIAL, write_series

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.series.canonical import from_canonical, to_canonical
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.volume import read_volume
from gossamer.errors import GeometryMismatchError

SHAPE = (3, 4, 5)
SPACING = (3.0, 1.5, 0.75)

SIGNED_AXES = [
    (tuple(np.eye(3)[a] * s), tuple(np.eye(3)[b] * t))
    for a, b in permutations(range(3), 2)
    for s, t in product((1.0, -1.0), repeat=2)
]
"""The 24 orientations whose axes are the world's: directions in which columns and rows grow."""


def turned(degrees_x, degrees_z, iop=AXIAL):
    """An orientation turned about the world's x axis, then about its z axis."""
    cx, sx, cz, sz = (f(np.radians(angle)) for angle in (degrees_x, degrees_z) for f in (np.cos, np.sin))
    turn = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]) @ [[1, 0, 0], [0, cx, -sx], [0, sx, cx]]
    return (*(turn @ iop[:3]), *(turn @ iop[3:]))


def assert_every_voxel_lies_where_its_file_says(folder, voxels, frame, exact):
    """By the equation of PS3.3 C.7.6.2.1.1, from the files themselves."""
    for path in folder.iterdir():
        file = pydicom.dcmread(path)
        iop, ipp = np.array(file.ImageOrientationPatient, float), np.array(file.ImagePositionPatient, float)
        down, across = (float(spacing) for spacing in file.PixelSpacing)
        for (r, c), stored in np.ndenumerate(file.pixel_array):
            (index,) = np.argwhere(voxels == stored - 1024)
            found = frame.world_from_index(index.astype(float))
            expected = iop[:3] * across * c + iop[3:] * down * r + ipp
            if exact:
                np.testing.assert_array_equal(found, expected)
            else:
                np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("towards", [1.0, -1.0])
@pytest.mark.parametrize(("columns_grow", "rows_grow"), SIGNED_AXES)
def test_all_orientations_keep_every_voxel_in_its_place(tmp_path, one, columns_grow, rows_grow, towards):
    """24 orientations, written upwards and downwards along their normals: 48 signed orders of axes."""
    positions = towards * SPACING[0] * np.arange(3)
    write_series(tmp_path, shape=SHAPE, iop=columns_grow + rows_grow, positions=positions, spacing=SPACING)
    series = one()
    native = read_volume(series).voxels
    voxels, frame = to_canonical(native, series.stack)
    assert (np.diag(frame.world_from_voxel[[2, 1, 0]]) > 0).all(), "z to the head, y to the back, x to the left"
    assert frame.world_from_voxel.dtype == np.float64
    assert voxels.shape == frame.shape
    assert voxels.flags.c_contiguous
    assert_every_voxel_lies_where_its_file_says(tmp_path, voxels, frame, exact=True)
    np.testing.assert_array_equal(from_canonical(voxels, series.stack), native)


@pytest.mark.parametrize("degrees", [(12.0, 0.0), (0.0, -25.0), (17.0, 30.0), (-40.0, 40.0), (180.0, 10.0)])
def test_an_oblique_scan_stays_oblique(tmp_path, one, degrees):
    write_series(tmp_path, shape=SHAPE, iop=turned(*degrees), spacing=SPACING)
    series = one()
    voxels, frame = to_canonical(read_volume(series).voxels, series.stack)
    assert frame.tilt_degrees > 9
    assert_every_voxel_lies_where_its_file_says(tmp_path, voxels, frame, exact=False)


@pytest.mark.parametrize(
    "iop",
    [
        AXIAL,
        (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),  # prone
        (0.0, 1.0, 0.0, -1.0, 0.0, 0.0),  # on the side
        (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0),  # feet first
        (1.0, 0.0, 0.0, 0.0, 0.0, -1.0),  # coronal
        (0.0, 1.0, 0.0, 0.0, 0.0, -1.0),  # sagittal
        turned(15.0, -20.0),
        turned(170.0, 5.0),
    ],
)
def test_another_reader_finds_the_same_voxels_at_the_same_places(tmp_path, one, iop):
    paths = write_series(tmp_path, shape=SHAPE, iop=iop, spacing=SPACING)
    other = SimpleITK.ReadImage([str(path) for path in paths])
    series = one()
    voxels, frame = to_canonical(read_volume(series).voxels, series.stack)
    for (k, r, c), value in np.ndenumerate(SimpleITK.GetArrayFromImage(other)):
        (index,) = np.argwhere(voxels == value)
        expected = other.TransformIndexToPhysicalPoint((int(c), int(r), int(k)))
        np.testing.assert_allclose(frame.world_from_index(index.astype(float)), expected, atol=1e-6)


def test_rounded_positions_do_not_add_up(series_of):
    series = series_of(positions=[round(0.625 * k, 1) for k in range(9)])  # 0.6, 1.2, 1.9 ... 5.0
    _, frame = to_canonical(read_volume(series).voxels, series.stack)
    found = frame.world_from_index(np.array([(k, 0.0, 0.0) for k in range(9)]))[:, 2]
    np.testing.assert_allclose(found, 20 + 0.625 * np.arange(9), atol=1e-9)


def test_a_mask_turns_with_its_image(series_of):
    series = series_of(shape=SHAPE, iop=(0.0, -1.0, 0.0, 0.0, 0.0, -1.0))
    native = read_volume(series).voxels
    voxels, _ = to_canonical(native, series.stack)
    mask, _ = to_canonical(native % 7 == 3, series.stack)
    np.testing.assert_array_equal(mask, voxels % 7 == 3)


def test_an_array_of_another_stack_is_refused(series_of):
    series = series_of(shape=SHAPE)
    with pytest.raises(GeometryMismatchError, match=r"wanted an array of 3 x 4 x 5 .*; found 3 x 5 x 4"):
        to_canonical(np.zeros((3, 5, 4)), series.stack)
    with pytest.raises(GeometryMismatchError, match=r"wanted an array of 3 x 4 x 5"):
        from_canonical(np.zeros((3, 5, 4)), series.stack)


def test_uneven_slices_are_refused_before_they_are_carried(series_of):
    series = series_of(positions=[0, 3, 6, 9, 15, 21])
    with pytest.raises(
        GeometryMismatchError,
        match=r"found them up to 3\.60 mm off along the normal and 0\.00 mm across; carry them onto the regular stack",
    ):
        to_canonical(read_volume(series).voxels, series.stack)


# Files that other systems wrote


@pytest.mark.parametrize("name", ["sts_001", "sts_010"])
def test_real_series_are_read_as_another_reader_does(unpacked, name):
    folder = unpacked(name) / name / "CT"
    [series] = find_series(read_headers(folder).headers).series
    voxels, frame = to_canonical(read_volume(series).voxels, series.stack)
    other = SimpleITK.ReadImage(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    np.testing.assert_array_equal(voxels, SimpleITK.GetArrayFromImage(other))
    for index in ((0, 0, 0), (58, 163, 184), (7, 30, 11)):
        expected = other.TransformIndexToPhysicalPoint(index[::-1])
        np.testing.assert_allclose(frame.world_from_index(np.array(index, float)), expected, atol=1e-4)
