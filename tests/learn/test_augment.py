from dataclasses import replace

import numpy as np
import pytest

from gossamer.errors import PlanError
from gossamer.learn.augment import change_intensity, draw_warp, mirror
from gossamer.learn.patches import PatchMaker
from gossamer.learn.recipe import Recipe

WARPED = Recipe(warp_share=1.0)


def test_a_mirrored_patient_has_swapped_labels_and_not_equal_ones():
    labels = np.zeros((2, 3, 8), np.uint8)
    labels[:, :, 1] = 1 << 0  # what is called left
    labels[:, :, 6] = 1 << 1  # what is called right
    labels[:, :, 2] |= 1 << 2  # in the middle of nothing, without a partner
    image = np.arange(48.0).reshape(1, 2, 3, 8)
    turned, swapped, annotated = mirror(image, labels, np.array([True, False, True]), [(0, 1)])
    np.testing.assert_array_equal(turned, image[..., ::-1])
    assert (swapped[:, :, 6] == 1 << 1).all()  # the left one lies on the other side and is called right
    assert (swapped[:, :, 1] == 1 << 0).all()
    assert (swapped[:, :, 5] == 1 << 2).all()
    assert annotated.tolist() == [False, True, True]
    assert not np.array_equal(swapped, labels[..., ::-1])


def test_mirroring_twice_changes_nothing():
    rng = np.random.default_rng(0)
    image, labels = rng.random((2, 3, 4, 5)), rng.integers(0, 8, (3, 4, 5)).astype(np.uint16)
    drawn = np.array([True, False, True])
    once = mirror(image, labels, drawn, [(0, 2)])
    twice = mirror(*once, [(0, 2)])
    for before, after in zip((image, labels, drawn), twice, strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_default_recipe_never_mirrors():
    """Neither by ``mirror`` nor by a warp that turns space inside out."""
    assert Recipe().mirror_share == 0
    recipe = replace(Recipe(), warp_share=1.0)
    for number in range(200):
        warp = draw_warp(recipe, (3.0, 1.0, 1.0), np.random.default_rng(number))
        assert np.linalg.det(warp) > 0
        assert warp[2, 2] > 0.8  # left stays left


def test_default_patches_keep_left_on_the_left(toy_cases, toy_plan):
    """In the toy, Kidney_L lies at higher x than Kidney_R in every patient."""
    maker = PatchMaker(toy_cases, replace(toy_plan, patch_size=(20, 24, 28)), Recipe(warp_share=0.5), 0, "A")
    for index in range(30):
        labels = maker.patch(index).labels
        left, right = (np.argwhere(labels >> np.uint8(c) & 1)[:, 2] for c in (0, 1))
        assert left.mean() > right.mean() + 4


def test_mirrored_patches_name_what_lies_left_left(toy_cases, toy_plan, still):
    plan = replace(toy_plan, patch_size=(20, 24, 28), position_channels=True)
    plain = PatchMaker(toy_cases, plan, still, 0, "A").patch(5)
    mirrored = PatchMaker(toy_cases, plan, replace(still, mirror_share=1.0), 0, "A").patch(5)
    np.testing.assert_array_equal(mirrored.image[:2], plain.image[:2, :, :, ::-1])
    np.testing.assert_array_equal(mirrored.image[2], -plain.image[2, :, :, ::-1])
    np.testing.assert_array_equal(mirrored.labels & 1, (plain.labels >> 1 & 1)[:, :, ::-1])
    np.testing.assert_array_equal(mirrored.labels >> 1, (plain.labels & 1)[:, :, ::-1])


def test_mirroring_is_refused_where_a_side_has_no_partner(toy_cases, toy_plan, still):
    plan = replace(toy_plan, structures=("Kidney_L", "Liver"))
    with pytest.raises(PlanError, match="Kidney_L"):
        PatchMaker(toy_cases, plan, replace(still, mirror_share=0.5), 0, "A")


def test_a_warp_rotates_in_millimetres_whatever_the_spacing():
    spacing = np.array([3.0, 1.0, 2.0])
    recipe = replace(WARPED, rotation_degrees=30.0, scale=0.0)
    warp = draw_warp(recipe, tuple(spacing), np.random.default_rng(1))
    in_mm = np.diag(spacing) @ warp @ np.linalg.inv(np.diag(spacing))
    np.testing.assert_allclose(in_mm @ in_mm.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(in_mm) == pytest.approx(1)


def test_a_warp_moves_image_and_labels_together(toy_cases, toy_plan, still):
    recipe = replace(still, warp_share=1.0, rotation_degrees=20.0)
    maker = PatchMaker(toy_cases, replace(toy_plan, patch_size=(20, 24, 28)), recipe, 0, "A")
    for index in range(5):
        patch = maker.patch(index)
        ball, box = (patch.labels >> np.uint8(c) & 1 > 0 for c in (0, 1))
        assert patch.image[0][ball].mean() > 1.0  # 150 HU above the rest, sd 100
        assert patch.image[0][box].mean() < -0.7
        rest = patch.image[0][~(ball | box) & (patch.image[0] > -1.5)]  # without the air beyond the edge
        assert abs(rest.mean()) < 0.3


def test_without_warp_the_share_decides(toy_recipe):
    drawn = [draw_warp(replace(toy_recipe, warp_share=0.25), (1, 1, 1), np.random.default_rng(n)) for n in range(400)]
    assert 65 < sum(warp is not None for warp in drawn) < 140


def test_intensity_changes_stay_within_their_limits():
    recipe = Recipe(intensity_scale=0.1, intensity_shift=0.2, gamma=0.0, noise_sd=0.0)
    for number in range(50):
        intensity = np.array([[[0.0, 1.0]]], dtype=np.float32)
        change_intensity(intensity, recipe, np.random.default_rng(number))
        zero, one = intensity.ravel()
        assert abs(zero) <= 0.2
        assert 0.9 - 1e-6 <= one - zero <= 1.1 + 1e-6


def test_gamma_bends_between_fixed_ends_and_noise_has_its_spread():
    ramp = np.linspace(-1, 2, 1000, dtype=np.float32).reshape(10, 10, 10)
    bent = ramp.copy()
    bend = Recipe(intensity_scale=0, intensity_shift=0, gamma=0.5)
    change_intensity(bent, bend, np.random.default_rng(0))
    assert (bent.min(), bent.max()) == pytest.approx((-1, 2))
    assert np.abs(bent - ramp).max() > 0.01
    assert (np.diff(bent.ravel()) >= 0).all()
    rough = np.zeros((20, 20, 20), np.float32)
    change_intensity(rough, Recipe(intensity_scale=0, intensity_shift=0, noise_sd=0.3), np.random.default_rng(0))
    assert 0 < rough.std() < 0.31
