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
