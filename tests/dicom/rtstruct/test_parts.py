"""Rings sorted by what lies in what; expected parts are those of scipy's labels."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from gossamer.dicom.rtstruct.parts import containment, parts_of
from gossamer.dicom.rtstruct.rings import area, fill, trace


def test_parts_are_told_by_what_lies_in_what():
    mask = np.zeros((11, 20), bool)
    mask[:, :11] = True
    mask[1:10, 1:10] = False
    mask[2:9, 2:9] = True
    mask[3:8, 3:8] = False
    mask[5, 5] = mask[5, 15] = True
    parts = parts_of(trace(mask))
    assert sorted(len(part.holes) for part in parts) == [0, 0, 1, 1]
    assert all(area(part.outer) > 0 for part in parts)
    assert all(area(hole) < 0 for part in parts for hole in part.holes)


@settings(max_examples=50)
@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 12))))
def test_each_part_is_a_piece_of_pixels_that_share_sides_and_each_hole_one_of_pixels_that_share_corners(mask):
    parts = parts_of(trace(mask))
    labels, pieces = ndimage.label(mask)
    found = [fill(part.rings, *mask.shape) for part in parts]
    assert len(parts) == pieces
    assert {labels[piece].tolist()[0] for piece in found} == set(range(1, pieces + 1))
    assert all((labels == labels[piece][0]).sum() == piece.sum() for piece in found)
    _, grounds = ndimage.label(np.pad(~mask, 1, constant_values=True), np.ones((3, 3)))
    assert sum(len(part.holes) for part in parts) == grounds - 1


def test_what_lies_in_what_holds_for_rings_within_rings():
    square = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 9.0], [9.0, 0.0]])
    inside = containment([square, square / 3 + 3, square / 9 + 4, square + 20])
    assert inside.tolist() == [[False] * 4, [True, False, False, False], [True, True, False, False], [False] * 4]
