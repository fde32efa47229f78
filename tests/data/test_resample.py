import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gossamer.data.resample import axis_weights, bounding_box, resample_image, resample_mask, resampled_shape


def test_the_field_of_view_is_kept():
    assert resampled_shape((30, 512, 512), (3.0, 0.9, 0.9), (4.0, 4.0, 4.0)) == (22, 115, 115)
    assert resampled_shape((1, 2, 2), (1.0, 1.0, 1.0), (9.0, 9.0, 9.0)) == (1, 1, 1)


def test_upsampling_is_trilinear_interpolation_as_pytorch_does_it():
    voxels = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(voxels)[None, None], size=(8, 13, 7), mode="trilinear", align_corners=False
    )
    np.testing.assert_allclose(resample_image(voxels, (8, 13, 7)), expected[0, 0], atol=1e-5)


def test_downsampling_is_antialiased_as_pytorch_does_it():
    plane = np.random.default_rng(0).normal(size=(1, 31, 45)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(plane)[None], size=(10, 14), mode="bilinear", antialias=True, align_corners=False
    )
    np.testing.assert_allclose(resample_image(plane, (1, 10, 14)), expected[0], atol=1e-5)


@given(st.integers(1, 60), st.integers(1, 60))
def test_weights_of_every_voxel_sum_to_one(size_in, size_out):
    np.testing.assert_allclose(axis_weights(size_in, size_out).sum(axis=1), 1, atol=1e-6)


def test_an_even_image_stays_even():
    np.testing.assert_allclose(resample_image(np.full((9, 9, 9), -123.0), (4, 14, 9)), -123, rtol=1e-6)


def test_a_mask_keeps_its_volume_when_voxels_get_larger():
    z, y, x = np.indices((60, 60, 60))
    ball = (z - 29.3) ** 2 + (y - 30.1) ** 2 + (x - 28.7) ** 2 < 20**2
    small = resample_mask(ball, (20, 20, 20))
    assert 27 * small.sum() == pytest.approx(ball.sum(), rel=0.02)


def test_a_mask_resampled_within_its_box_is_the_same_as_resampled_whole():
    mask = np.zeros((20, 24, 28), dtype=bool)
    mask[3:9, 17:24, 5:11] = np.random.default_rng(0).random((6, 7, 6)) < 0.7
    whole = resample_image(mask.astype(np.float32), (13, 31, 20)) >= 0.5
    np.testing.assert_array_equal(resample_mask(mask, (13, 31, 20)), whole)
    assert whole.any()


def test_an_empty_mask_stays_empty():
    assert not resample_mask(np.zeros((5, 6, 7), dtype=bool), (3, 3, 3)).any()


def test_a_box_holds_its_mask():
    mask = np.zeros((5, 6, 7), dtype=bool)
    mask[1, 2:4, 6] = True
    assert bounding_box(mask) == (slice(1, 2), slice(2, 4), slice(6, 7))
