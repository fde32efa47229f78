"""CTs and masks: values, and the one grid they must share."""

import inspect

import nibabel
import numpy as np
import pytest

from gossamer.data import image as image_module
from gossamer.data.frame import Frame
from gossamer.data.image import check_same_grid, read_label_map, read_mask_nifti, read_nifti, write_nifti
from gossamer.errors import DiskFullError, GeometryMismatchError, UnreadableImageError

SPACING_MM = (3.0, 0.8, 0.9)
FRAME = Frame.canonical((4, 5, 6), SPACING_MM, (10.0, -20.0, 30.0))
VOXELS = np.random.default_rng(0).integers(-1024, 3071, FRAME.shape).astype(np.int16)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "Doe^John").mkdir()
    return tmp_path / "Doe^John" / "Doe.nii.gz"


def save(path, array, slope=None, intercept=None):
    """Write [i, j, k] = [x, y, z] with nibabel, the voxels as given."""
    image = nibabel.Nifti1Image(np.asarray(array), np.diag([1.0, 1.0, 2.0, 1.0]))
    if slope is not None:
        image.header.set_slope_inter(slope, intercept)
    nibabel.save(image, path)


def test_whole_numbers_become_int16_however_they_were_stored(path):
    for dtype in (np.uint8, np.int16, np.int32, np.float32, np.float64):
        save(path, np.array([[[0, 7, 200]]], dtype=dtype))
        read = read_nifti(path).voxels
        assert read.dtype == np.int16
        np.testing.assert_array_equal(read.ravel(), (0, 7, 200))


def test_fractions_and_large_numbers_become_float32(path):
    for values in ((0.25, -1000.0), (40000.0, 0.0)):
        save(path, np.array([[values]], dtype=np.float32))
        read = read_nifti(path).voxels
        assert read.dtype == np.float32
        np.testing.assert_array_equal(np.sort(read.ravel()), np.sort(values))


def test_scaled_values_are_hu(path):
    save(path, np.array([[[0, 512, 4095]]], dtype=np.int16), 0.5, -1024.0)
    np.testing.assert_array_equal(read_nifti(path).voxels.ravel(), (-1024.0, -768.0, 1023.5))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_voxel_without_a_number_is_refused_and_counted(path, bad):
    array = np.zeros((3, 4, 5), dtype=np.float32)
    array[0, :2] = bad
    save(path, array)
    with pytest.raises(UnreadableImageError) as caught:
        read_nifti(path, "case p1, image")
    assert str(caught.value) == (
        "case p1, image: wanted HU in every voxel; found 10 that are no number; export the image again"
    )


@pytest.mark.parametrize("huge", [1e300, -2e6])
def test_values_that_can_be_no_hu_are_refused(path, huge):
    save(path, np.array([[[huge, 0.0]]]))
    with pytest.raises(UnreadableImageError, match=r"wanted HU; found values from .* look at the slope and intercept"):
        read_nifti(path)


def test_labels_keep_their_integer_type_and_whole_floats_become_integers(path):
    save(path, np.array([[[0, 3, 255]]], dtype=np.uint8))
    assert read_label_map(path)[0].dtype == np.uint8
    save(path, np.array([[[0, 3, 255]]], dtype=np.float64))
    labels, _ = read_label_map(path)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels.ravel(), (0, 3, 255))


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e12])
def test_what_can_be_no_label_is_refused(path, value):
    save(path, np.array([[[0.0, value]]]))
    with pytest.raises(
        UnreadableImageError, match="wanted labels; found fractions, NaN or huge values; is it an image"
    ):
        read_label_map(path)


def test_a_mask_may_have_any_one_value(path):
    save(path, np.array([[[0, 255, 255]]], dtype=np.uint8))
    mask = read_mask_nifti(path)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask.ravel(), (False, True, True))


def test_a_label_map_in_the_place_of_a_mask_is_refused(path):
    save(path, np.array([[[0, 1, 2]]], dtype=np.uint8))
    with pytest.raises(UnreadableImageError, match="found 2 values besides 0; split the label map"):
        read_mask_nifti(path)


def shifted(voxels_zyx):
    """The frame moved by so many voxels."""
    return Frame.canonical(FRAME.shape, SPACING_MM, tuple(
        o + n * s for o, n, s in zip((10.0, -20.0, 30.0), voxels_zyx, SPACING_MM, strict=True)
    ))  # fmt: skip


def test_a_difference_below_a_hundredth_of_a_voxel_is_snapped_and_noted():
    assert check_same_grid(FRAME, FRAME, "case p1, Liver") is None
    assert check_same_grid(FRAME, shifted((0, 0, 5e-5)), "case p1, Liver") is None, "rounding in a header: no note"
    note = check_same_grid(FRAME, shifted((0, 0.0099, 0)), "case p1, Liver")
    assert note == "case p1, Liver: snapped to the image's grid, 0.0099 voxels away"


@pytest.mark.parametrize("shift", [(0.0101, 0, 0), (0, -0.5, 0), (0, 0, 1)])
def test_a_larger_difference_is_refused_with_both_geometries(shift):
    other = shifted(shift)
    with pytest.raises(GeometryMismatchError) as caught:
        check_same_grid(FRAME, other, "case p1, Liver")
    message = str(caught.value)
    assert message.startswith(f"case p1, Liver: wanted the grid of the image, {FRAME.describe()}; found ")
    assert f"{other.describe()}, up to {max(map(abs, shift)):.3g} voxels away; export image and contours" in message
    assert FRAME.describe() != other.describe(), "a reader sees what differs"


def test_another_shape_is_refused_with_both_geometries():
    other = Frame.canonical((4, 5, 7), SPACING_MM)
    with pytest.raises(GeometryMismatchError, match=r"4x5x6 voxels .* found 4x5x7 voxels"):
        check_same_grid(FRAME, other, "case p1, Liver")


def test_a_turned_grid_is_refused_and_its_tilt_shown():
    c, s = np.cos(0.05), np.sin(0.05)
    turn = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]])
    with pytest.raises(GeometryMismatchError, match=r"tilted by 2\.86 degrees"):
        check_same_grid(FRAME, Frame(FRAME.shape, turn @ FRAME.world_from_voxel), "case p1, Liver")


def test_nothing_skips_the_check_of_the_grid():
    """No parameter of any reader of masks, and no option of any importer, switches it off."""
    for function in (check_same_grid, read_mask_nifti, image_module.read_mask, read_label_map, write_nifti):
        parameters = inspect.signature(function).parameters.values()
        assert not [p for p in parameters if p.annotation in ("bool", "float", bool, float)], function.__name__


def test_a_mask_read_onto_an_image_lies_on_its_grid_or_is_refused(path):
    write_nifti(path, VOXELS > 0, shifted((0, 0.005, 0)))
    np.testing.assert_array_equal(read_mask_nifti(path, onto=FRAME), VOXELS > 0)
    write_nifti(path, VOXELS > 0, shifted((0, 0.02, 0)))
    with pytest.raises(GeometryMismatchError):
        read_mask_nifti(path, onto=FRAME, what="case p1, Liver")


def test_a_written_image_is_read_back_the_same(path):
    for voxels in (VOXELS, VOXELS / np.float32(3)):
        write_nifti(path, voxels, FRAME)
        back = read_nifti(path)
        np.testing.assert_array_equal(back.voxels, voxels)
        assert back.voxels.dtype == voxels.dtype
        assert FRAME.differs_by_voxels(back.frame) < 1e-5


def test_writing_like_a_file_on_another_grid_is_refused(path):
    write_nifti(path, VOXELS, FRAME)
    with pytest.raises(GeometryMismatchError, match="what is to be written"):
        write_nifti(path.with_name("out.nii"), VOXELS, shifted((1, 0, 0)), like=path)
    assert not path.with_name("out.nii").exists()


def test_a_full_disk_leaves_the_former_image(path, monkeypatch):
    write_nifti(path, VOXELS, FRAME)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFullError):
        write_nifti(path, VOXELS + 1, FRAME)
    np.testing.assert_array_equal(read_nifti(path).voxels, VOXELS)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
