from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.prepared import arrays_on_grid
from gossamer.data.resample import resample_image, resampled_shape
from gossamer.segment import predict
from gossamer.segment.predict import predict_masks

TISSUE_HU, ORGAN_HU = 0, 200


class BrighterThan(nn.Module):
    """One structure for each threshold: where the intensity (HU, with the window below) is above it."""

    def __init__(self, *thresholds):
        super().__init__()
        self.thresholds = nn.Parameter(torch.tensor(thresholds)[:, None, None, None])

    def forward(self, images):
        return (images[:, :1] - self.thresholds) / 5


@pytest.fixture
def hu_plan(plan):
    """A plan whose network sees plain HU."""
    return replace(plan, structures=("Liver", "Spleen"), hu_low=-1000.0, hu_high=1000.0, hu_mean=0.0, hu_sd=1.0)


def ct(shape, spacing_mm):
    """A body with two bright balls of 12 and 9 mm radius, the smaller one at the patient's left."""
    z, y, x = np.meshgrid(*((np.arange(n) + 0.5) * s for n, s in zip(shape, spacing_mm, strict=True)), indexing="ij")
    zc, yc, xc = (n * s / 2 for n, s in zip(shape, spacing_mm, strict=True))
    body = ((y - yc) / 45) ** 2 + ((x - xc) / 50) ** 2 < 1
    large = (z - zc) ** 2 + (y - yc) ** 2 + (x - xc + 20) ** 2 < 12**2
    small = (z - zc) ** 2 + (y - yc) ** 2 + (x - xc - 20) ** 2 < 9**2
    hu = np.where(body, TISSUE_HU, -1000)
    hu[large | small] = ORGAN_HU
    return Image(hu.astype(np.int16), Frame.canonical(shape, spacing_mm)), large, small


@pytest.mark.parametrize("spacing_mm", [(3.0, 2.0, 2.0), (5.0, 1.0, 1.0), (1.5, 1.3, 0.9), (2.5, 3.0, 4.0)])
def test_organs_come_back_where_they_lie_at_any_spacing(hu_plan, spacing_mm):
    shape = tuple(round(n / s) for n, s in zip((60, 100, 110), spacing_mm, strict=True))
    image, large, small = ct(shape, spacing_mm)
    found = predict_masks(BrighterThan(100.0, 1000.0), hu_plan, image)
    organs = large | small
    assert found["Liver"].shape == shape
    common = 2 * np.count_nonzero(found["Liver"] & organs) / (found["Liver"].sum() + organs.sum())
    assert common > 0.9
    for ball in (large, small):
        near = ndimage.binary_dilation(ball, iterations=3)
        apart = np.subtract(ndimage.center_of_mass(found["Liver"] & near), ndimage.center_of_mass(ball))
        assert np.abs(apart * spacing_mm).max() < 0.6
    assert found.empty() == ("Spleen",)


def test_network_reads_exactly_what_training_prepared(hu_plan, monkeypatch):
    seen = {}

    def spy(network, plan, image_hu, centre_yx, **rest):
        seen["hu"] = image_hu
        return iter(torch.full((len(image_hu), 2, *image_hu.shape[1:]), -9.0))

    monkeypatch.setattr(predict, "logit_planes", spy)
    image, _, _ = ct((24, 100, 110), (2.5, 1.0, 1.0))
    predict_masks(BrighterThan(0.0, 0.0), hu_plan, image)
    assert np.array_equal(seen["hu"], arrays_on_grid(image.voxels, {}, image.frame.spacing_mm, hu_plan)["image"])


@pytest.mark.parametrize(
    "spacing_mm", [(1.5, 1.0, 1.0), (6.0, 4.0, 4.0), (3.0, 2.0, 2.0), (1.0, 3.0, 0.7), (4.0, 1.0, 5.0)]
)
def test_planes_taken_one_by_one_give_what_the_whole_volume_would(hu_plan, spacing_mm, monkeypatch):
    image, _, _ = ct(tuple(round(n / s) for n, s in zip((60, 100, 110), spacing_mm, strict=True)), spacing_mm)
    whole = {}

    def noise(network, plan, image_hu, centre_yx, **rest):
        field = np.random.default_rng(0).standard_normal((2, *image_hu.shape))
        whole["logits"] = 40 * ndimage.gaussian_filter(field, (0, 2, 2, 2)).astype(np.float32)
        return iter(torch.from_numpy(whole["logits"]).unbind(1))

    monkeypatch.setattr(predict, "logit_planes", noise)
    found = predict_masks(BrighterThan(0.0, 0.0), hu_plan, image)
    grid = resampled_shape(image.frame.shape, image.frame.spacing_mm, hu_plan.spacing_mm)
    box = predict.body_box(resample_image(image.voxels, grid))
    for row, name in enumerate(("Liver", "Spleen")):
        probability = np.zeros(grid, dtype=np.float32)
        probability[box] = 1 / (1 + np.exp(-whole["logits"][row]))
        expected = resample_image(probability, image.frame.shape)
        unsure = np.abs(expected - 0.5) < 1e-5
        assert np.array_equal(found[name][~unsure], expected[~unsure] >= 0.5)
        assert 0.1 < found[name].mean() < 0.9


def test_finer_image_is_interpolated_as_scipy_interpolates(hu_plan, monkeypatch):
    image, _, _ = ct((40, 100, 112), (1.5, 1.0, 1.0))
    monkeypatch.setattr(predict, "body_box", lambda hu: tuple(slice(0, n) for n in hu.shape))
    logits = 40 * ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((2, 20, 50, 56)), (0, 2, 2, 2))
    monkeypatch.setattr(predict, "logit_planes", lambda *_, **__: iter(torch.from_numpy(logits).float().unbind(1)))
    found = predict_masks(BrighterThan(0.0, 0.0), hu_plan, image)["Liver"]
    expected = ndimage.zoom(1 / (1 + np.exp(-logits[0])), 2, order=1, mode="nearest", grid_mode=True)
    unsure = np.abs(expected - 0.5) < 1e-5
    assert np.array_equal(found[~unsure], expected[~unsure] >= 0.5)


def test_structures_may_overlap(hu_plan):
    image, large, _ = ct((20, 50, 55), (3.0, 2.0, 2.0))
    found = predict_masks(BrighterThan(100.0, -500.0), hu_plan, image)
    assert (found["Spleen"] & large).sum() == large.sum()
    assert (found["Liver"] & found["Spleen"]).sum() == found["Liver"].sum() > 0


def test_organ_of_one_piece_loses_what_was_found_far_from_it_and_another_does_not(hu_plan):
    image, large, small = ct((20, 50, 55), (3.0, 2.0, 2.0))
    network = BrighterThan(100.0, 100.0)
    every_piece = predict_masks(network, hu_plan, image)
    found = predict_masks(network, replace(hu_plan, one_piece=("Spleen",)), image)
    assert np.array_equal(found["Liver"], every_piece["Liver"])
    assert (found["Liver"] & small).any()
    far = ndimage.binary_dilation(small, iterations=3)  # the smaller ball has 0.4 of the larger one's voxels
    assert np.array_equal(found["Spleen"], every_piece["Spleen"] & ~far)
    assert (found["Spleen"] & large).any()


def test_plan_says_how_far_windows_overlap(hu_plan):
    image, _, _ = ct((20, 50, 55), (3.0, 2.0, 2.0))
    windows = {}
    for overlap in (0.25, 0.5, 0.75):
        told = []
        plan = replace(hu_plan, overlap=overlap)
        predict_masks(BrighterThan(0.0, 0.0), plan, image, on_window=lambda _done, total, told=told: told.append(total))
        windows[overlap] = len(told)
        assert set(told) == {len(told)}
    assert windows[0.25] < windows[0.5] < windows[0.75]


def test_image_smaller_than_a_window_or_all_air_is_predicted_too(hu_plan):
    tiny = Image(np.full((2, 3, 4), 150, dtype=np.int16), Frame.canonical((2, 3, 4), (3.0, 2.0, 2.0)))
    assert predict_masks(BrighterThan(100.0, 900.0), hu_plan, tiny)["Liver"].all()
    air = Image(np.full((9, 30, 30), -1000, dtype=np.int16), Frame.canonical((9, 30, 30), (3.0, 2.0, 2.0)))
    assert len(predict_masks(BrighterThan(100.0, 900.0), hu_plan, air).empty()) == 2
