"""Which pieces of a mask are the organ. SciPy, which labels voxels one by one, says what the pieces are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from gossamer.segment.pieces import main_pieces

masks = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=3, max_dims=3, max_side=7))


def pieces_of(mask):
    """Each piece as a mask of its own, connected over faces, edges and corners."""
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    return [labels == n for n in range(1, count + 1)]


def boxes(shape, *corners_and_sizes):
    mask = np.zeros(shape, dtype=np.bool_)
    for (z, y, x), (depth, height, width) in corners_and_sizes:
        mask[z : z + depth, y : y + height, x : x + width] = True
    return mask


@settings(max_examples=300, deadline=None)
@given(masks)
def test_what_stays_is_every_piece_at_least_half_as_large_as_the_largest(mask):
    pieces = pieces_of(mask)
    largest = max((piece.sum() for piece in pieces), default=0)
    expected = np.any([piece for piece in pieces if 2 * piece.sum() >= largest] or [np.zeros_like(mask)], axis=0)
    assert np.array_equal(main_pieces(mask), expected)


@settings(max_examples=200, deadline=None)
@given(masks)
def test_no_voxel_is_added_and_a_second_time_changes_nothing(mask):
    given_mask = mask.copy()
    once = main_pieces(mask)
    assert np.array_equal(mask, given_mask)
    assert not (once & ~mask).any()
    assert once.any() == mask.any()
    assert np.array_equal(main_pieces(once), once)


@settings(max_examples=200, deadline=None)
@given(masks, st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))
def test_patient_mirrored_or_laid_otherwise_gives_the_mask_mirrored_or_laid_otherwise(mask, axes, mirrored):
    def laid(array):
        return array[tuple(slice(None, None, -1 if m else 1) for m in mirrored)].transpose(axes)

    assert np.array_equal(main_pieces(laid(mask)), laid(main_pieces(mask)))


@settings(max_examples=100, deadline=None)
@given(masks, st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 3))
def test_air_around_a_mask_changes_nothing(mask, air):
    inside = tuple(slice(before, before + n) for (before, _), n in zip(air, mask.shape, strict=True))
    assert np.array_equal(main_pieces(np.pad(mask, air))[inside], main_pieces(mask))


def test_far_voxels_go_and_the_organ_stays():
    organ = boxes((9, 20, 30), ((3, 5, 5), (4, 6, 7)))
    far = boxes((9, 20, 30), ((0, 0, 0), (1, 1, 2)), ((8, 19, 29), (1, 1, 1)), ((3, 5, 13), (4, 4, 4)))
    assert np.array_equal(main_pieces(organ | far), organ)


def test_both_halves_of_an_organ_that_the_image_cuts_in_two_stay():
    rami = boxes((6, 20, 30), ((0, 5, 3), (6, 3, 3)), ((0, 5, 24), (5, 3, 3)))
    assert main_pieces(rami) is rami


def test_pieces_of_one_size_all_stay():
    twins = boxes((3, 8, 8), ((0, 0, 0), (2, 2, 2)), ((0, 5, 5), (2, 2, 2)), ((0, 0, 5), (2, 2, 2)))
    assert np.array_equal(main_pieces(twins), twins)
    assert np.array_equal(main_pieces(twins | boxes((3, 8, 8), ((0, 7, 0), (1, 1, 3)))), twins)


@pytest.mark.parametrize("step", [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0), (1, -1, -1)])
def test_voxels_that_meet_at_a_face_an_edge_or_a_corner_are_one_piece(step):
    mask = np.zeros((11, 11, 11), dtype=np.bool_)
    line = [tuple(5 + k * d for d in step) for k in range(-3, 4)]
    mask[tuple(np.transpose(line))] = True
    far = boxes(mask.shape, ((0, 0, 10), (1, 1, 1)))
    assert np.array_equal(main_pieces(mask | far), mask)


@pytest.mark.parametrize(("before", "after"), [((0, 0, 3), (0, 1, 0)), ((0, 3, 3), (1, 0, 0)), ((2, 3, 3), (3, 0, 0))])
def test_end_of_a_line_or_plane_does_not_touch_the_begin_of_the_next(before, after):
    organ = boxes((6, 4, 5), ((5, 2, 0), (1, 1, 5)))
    apart = boxes((6, 4, 5), (before, (1, 1, 2)), (after, (1, 1, 1)))  # as one piece it would be large enough to stay
    assert np.array_equal(main_pieces(organ | apart), organ)


def test_empty_mask_stays_empty():
    empty = np.zeros((2, 3, 4), dtype=np.bool_)
    assert not main_pieces(empty).any()
