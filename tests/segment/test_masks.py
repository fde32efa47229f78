import numpy as np
import pytest

from gossamer.segment.masks import PackedMasks

NAMES = ("Liver", "Gallbladder", "Spleen")


def packed(planes_by_name, shape):
    masks = PackedMasks(NAMES, shape)
    for row, name in enumerate(NAMES):
        for z in range(shape[0]):
            masks.set_plane(z, np.array([row]), planes_by_name[name][z][None])
    return masks


@pytest.mark.parametrize("width", [1, 7, 8, 9, 16, 17])
def test_masks_come_back_as_they_went_in(width):
    shape = (3, 5, width)
    rng = np.random.default_rng(width)
    given = {name: rng.random(shape) > 0.5 for name in NAMES}
    masks = packed(given, shape)
    for name in NAMES:
        assert masks[name].dtype == np.bool_
        assert np.array_equal(masks[name], given[name])
    assert masks.voxels() == {name: given[name].sum() for name in NAMES}


def test_bits_beyond_the_last_voxel_do_not_count():
    masks = packed(dict.fromkeys(NAMES, np.ones((2, 3, 5), dtype=bool)), (2, 3, 5))
    assert masks.voxels()["Liver"] == 30


def test_new_masks_are_empty_and_named_so():
    masks = PackedMasks(NAMES, (2, 3, 4))
    masks.set_plane(1, np.array([1]), np.ones((1, 3, 4), dtype=bool))
    assert masks.empty() == ("Liver", "Spleen")
    assert list(masks) == list(NAMES)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (4, 6, 24), (5, 3, 17)])
def test_rule_sees_all_of_a_mask_and_only_what_it_leaves_stays(shape):
    rng = np.random.default_rng(sum(shape))
    given = {name: rng.random(shape) > 0.7 for name in NAMES}
    given["Liver"][-1, -1, -1] = True
    masks, seen = packed(given, shape), []

    def without_the_first_plane(mask):
        seen.append(mask.sum())
        left = mask.copy()
        left[0] = False
        return left

    masks.reduce("Liver", without_the_first_plane)
    assert seen == [given["Liver"].sum()]
    first = np.flatnonzero(given["Liver"].any(axis=(1, 2)))[0]
    given["Liver"][first] = False
    for name in NAMES:
        assert np.array_equal(masks[name], given[name])
    assert masks.voxels()["Liver"] == given["Liver"].sum()


def test_rule_is_given_the_box_around_a_mask_and_is_not_called_for_an_empty_one():
    masks, seen = PackedMasks(NAMES, (9, 9, 64)), []
    organ = np.zeros((1, 9, 64), dtype=bool)
    organ[0, 3:5, 17:20] = True
    masks.set_plane(4, np.array([0]), organ)
    for name in NAMES:
        masks.reduce(name, lambda mask: (seen.append(mask.shape), mask)[1])
    assert seen == [(1, 2, 8)]  # x in whole bytes
    assert masks.voxels() == {"Liver": 6, "Gallbladder": 0, "Spleen": 0}


def test_label_map_gives_contested_voxels_to_the_smaller_structure_and_counts_them():
    whole, corner, nothing = np.ones((2, 2, 4), dtype=bool), np.zeros((2, 2, 4), dtype=bool), np.zeros((2, 2, 4), bool)
    corner[0, 0, :3] = True
    labels, decided = packed({"Liver": whole, "Gallbladder": corner, "Spleen": nothing}, (2, 2, 4)).label_map()
    assert decided == 3
    assert (labels[corner] == 2).all()
    assert (labels[~corner] == 1).all()


def test_voxel_in_three_masks_is_decided_once():
    whole = np.ones((1, 1, 1), dtype=bool)
    assert packed(dict.fromkeys(NAMES, whole), (1, 1, 1)).label_map()[1] == 1


def test_label_map_of_more_structures_than_labels_is_refused():
    with pytest.raises(ValueError, match="255"):
        PackedMasks([f"S{i}" for i in range(256)], (1, 1, 1)).label_map()
