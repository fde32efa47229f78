"""Each structure is seen in at least three planes, and no more planes are shown than that takes."""

import numpy as np
import pytest

from gossamer.data.boxed_mask import BoxedMask
from gossamer.qa.planes import AXIAL, CORONAL, SAGITTAL, Plane, choose_planes

SHAPE = (30, 24, 20)


def blocks(count, rng):
    masks = {}
    for n in range(count):
        low = [int(rng.integers(0, side - 1)) for side in SHAPE]
        size = [int(rng.integers(1, max(2, side // 3))) for side in SHAPE]
        mask = np.zeros(SHAPE, bool)
        mask[tuple(slice(at, at + more) for at, more in zip(low, size, strict=True))] = True
        masks[f"S{n}"] = BoxedMask.of(mask)
    return masks


@pytest.mark.parametrize("seed", range(20))
def test_every_structure_is_seen_in_at_least_three_planes(seed):
    rng = np.random.default_rng(seed)
    masks = blocks(int(rng.integers(1, 12)), rng)
    planes = choose_planes(masks, SHAPE)
    assert len(set(planes)) == len(planes)
    assert {plane.axis for plane in planes} == {AXIAL, CORONAL, SAGITTAL}
    for mask in masks.values():
        assert sum(mask.plane(plane.axis, plane.index, SHAPE).any() for plane in planes) >= 3


def test_a_single_voxel_is_seen_from_three_sides():
    mask = np.zeros(SHAPE, bool)
    mask[4, 5, 6] = True
    assert choose_planes({"Lens_L": BoxedMask.of(mask)}, SHAPE) == (Plane(1, 5), Plane(2, 6), Plane(0, 4))


def test_structures_side_by_side_share_their_planes():
    masks = {}
    for n in range(4):
        mask = np.zeros(SHAPE, bool)
        mask[6:24, 4:8, 4 * n : 4 * n + 3] = True
        masks[f"S{n}"] = BoxedMask.of(mask)
    planes = [plane for plane in choose_planes(masks, SHAPE) if plane.axis == AXIAL]
    assert len(planes) == 3
    assert [6 + 6 * n <= plane.index < 12 + 6 * n for n, plane in enumerate(planes)] == [True] * 3  # a third each


def test_a_case_without_a_structure_is_shown_in_its_middle():
    assert choose_planes({}, SHAPE) == (Plane(CORONAL, 12), Plane(SAGITTAL, 10), Plane(AXIAL, 15))
