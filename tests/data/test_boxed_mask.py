import numpy as np
import pytest

from gossamer.data.boxed_mask import BoxedMask, WholeMasks

SHAPE = (5, 7, 9)


def random_mask(seed, share=0.03):
    mask = np.random.default_rng(seed).random(SHAPE) < share
    mask[0] = mask[:, :2] = False
    return mask


@pytest.mark.parametrize("mask", [random_mask(1), random_mask(2, 0.4), np.ones(SHAPE, bool), np.zeros(SHAPE, bool)])
def test_a_boxed_mask_is_the_mask_again_and_its_planes_are(mask):
    boxed = BoxedMask.of(mask)
    assert boxed.voxels.size <= mask.size
    assert boxed.count == mask.sum()
    assert (boxed.whole(SHAPE) == mask).all()
    for axis, planes in enumerate(SHAPE):
        for index in range(planes):
            assert (boxed.plane(axis, index, SHAPE) == mask.take(index, axis)).all()


@pytest.mark.parametrize("seed", range(8))
def test_voxels_that_two_masks_share_are_counted_as_in_the_whole_masks(seed):
    one, two = random_mask(seed, 0.02 * (1 + seed)), random_mask(100 + seed)
    assert BoxedMask.of(one).shared(BoxedMask.of(two)) == (one & two).sum()
    assert BoxedMask.of(one).shared(BoxedMask.of(np.zeros(SHAPE, bool))) == 0


def test_whole_masks_are_made_one_by_one_under_their_names():
    masks = {"Liver": random_mask(1), "Spleen": random_mask(2)}
    whole = WholeMasks({name: BoxedMask.of(mask) for name, mask in masks.items()}, SHAPE)
    assert list(whole) == list(masks)
    assert len(whole) == 2
    assert all((mask == masks[name]).all() for name, mask in whole.items())
