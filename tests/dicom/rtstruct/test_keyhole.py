"""Polygons without holes; what they enclose is compared with the masks, and with a rule for edges of another kind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.draw import polygon2mask

from gossamer.dicom.rtstruct.keyhole import joined
from gossamer.dicom.rtstruct.parts import parts_of
from gossamer.dicom.rtstruct.rings import area, fill, trace

MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 12)))


def keyholes(rings):
    """A polygon a part."""
    return [joined(part) for part in parts_of(rings)]


def mask_of(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


FRAME = mask_of("#####", "#...#", "#.#.#", "#...#", "#####")
"""A ring of pixels with an island in its hole."""


def segments(polygon):
    return np.stack([polygon, np.roll(polygon, -1, axis=0)], axis=1)


def channels(polygon):
    """Edges that a polygon passes there and back, each once."""
    seen = {}
    for a, b in segments(polygon).tolist():
        seen.setdefault(tuple(sorted([tuple(a), tuple(b)])), []).append((a, b))
    return [np.array(both[0]) for both in seen.values() if len(both) == 2]


def centre_distance(segment):
    """Of the segment from the nearest pixel's centre, by many points along it."""
    along = segment[0] + np.linspace(0, 1, 201)[:, None] * (segment[1] - segment[0])
    return np.linalg.norm(along - np.rint(along), axis=1).min()


def winding_fill(polygons, shape):
    """By the non-zero rule, with no code of ours: the sum of angles that each polygon turns around each centre."""
    centres = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    turns = np.zeros(shape)
    for polygon in polygons:
        away = polygon - centres[:, :, None]
        angles = np.arctan2(away[..., 0], away[..., 1])
        steps = np.roll(angles, -1, axis=2) - angles
        turns += ((steps + np.pi) % (2 * np.pi) - np.pi).sum(axis=2) / (2 * np.pi)
    return np.abs(np.rint(turns)) > 0


def test_a_frame_becomes_one_polygon_and_the_island_in_it_another():
    frame, island = keyholes(trace(FRAME))
    assert (fill([frame], 5, 5) == FRAME & ~mask_of(".....", ".....", "..#..", ".....", ".....")).all()
    assert (fill([island], 5, 5) == mask_of(".....", ".....", "..#..", ".....", ".....")).all()
    [channel] = channels(frame)
    assert np.linalg.norm(channel[1] - channel[0]) == pytest.approx(1.0)  # straight through the frame's one pixel
    assert centre_distance(channel) >= 0.2


def test_what_has_no_hole_stays_as_it_is():
    mask = mask_of("##..#", "##..#", "...#.")
    rings = trace(mask)
    assert [polygon.tolist() for polygon in keyholes(rings)] == [part.outer.tolist() for part in parts_of(rings)]
    assert keyholes([]) == []


def test_a_hole_far_from_every_corner_hangs_on_the_nearest_edge():
    mask = np.ones((41, 81), bool)
    mask[5, 40] = False
    [polygon] = keyholes(trace(mask))
    [channel] = channels(polygon)
    assert np.linalg.norm(channel[1] - channel[0]) < 5.5  # the nearest corner is 40 pixels away
    assert (fill([polygon], 41, 81) == mask).all()


def test_holes_in_a_row_hang_on_each_other():
    mask = np.ones((31, 60), bool)
    mask[14:17, 13:47:3] = mask[14:17, 14:47:3] = False
    [polygon] = keyholes(trace(mask))
    lengths = sorted(np.linalg.norm(channel[1] - channel[0]) for channel in channels(polygon))
    assert len(lengths) == 12
    assert lengths[:-1] == pytest.approx([1.0] * 11)
    assert lengths[-1] < 14.5
    assert (fill([polygon], 31, 60) == mask).all()


@given(MASKS)
def test_every_mask_comes_back_to_the_pixel(mask):
    assert (fill(keyholes(trace(mask)), *mask.shape) == mask).all()


@settings(max_examples=50)
@given(MASKS)
def test_by_the_non_zero_rule_as_well(mask):
    assert (winding_fill(keyholes(trace(mask)), mask.shape) == mask).all()


@given(MASKS, st.floats(0.3, 3), st.floats(0.3, 3), st.floats(-400, 400))
def test_also_where_points_were_rounded_to_a_ten_thousandth_of_a_millimetre(mask, row_mm, column_mm, first_mm):
    sides = np.array([row_mm, column_mm])
    written = [np.round(polygon * sides + first_mm, 4) for polygon in keyholes(trace(mask))]
    assert (fill([(polygon - first_mm) / sides for polygon in written], *mask.shape) == mask).all()


@settings(max_examples=50)
@given(arrays(bool, (7, 10)))
def test_channels_cross_nothing_and_keep_away_from_centres(mask):
    for polygon in keyholes(trace(mask)):
        edges = segments(polygon)
        for channel in channels(polygon):
            assert centre_distance(channel) >= 0.19
            assert not any(cross(channel, edge) for edge in edges)


def cross(one, other):
    """Whether two segments cross at a point inside both; solved for that point."""
    try:
        s, t = np.linalg.solve(np.stack([one[1] - one[0], other[0] - other[1]], axis=1), other[0] - one[0])
    except np.linalg.LinAlgError:
        return False
    return 1e-9 < s < 1 - 1e-9 and 1e-9 < t < 1 - 1e-9


@given(MASKS)
def test_each_part_has_one_polygon_which_passes_every_ring_once(mask):
    rings = trace(mask)
    parts, polygons = parts_of(rings), keyholes(rings)
    for part, polygon in zip(parts, polygons, strict=True):
        assert abs(area(polygon)) == pytest.approx(sum(area(ring) for ring in part.rings))
        assert {tuple(p) for ring in part.rings for p in ring.tolist()} <= {tuple(p) for p in polygon.tolist()}
        assert (polygon != np.roll(polygon, 1, axis=0)).any(axis=1).all()
        assert len(channels(polygon)) == len(part.holes)


def test_a_lung_s_vessels_are_a_hundred_holes_of_one_polygon():
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:160, :200]
    lung = ((rows - 80) / 70) ** 2 + ((columns - 100) / 90) ** 2 < 1
    mask = lung & (ndimage.gaussian_filter(rng.standard_normal(lung.shape), 2) < 0.13)
    rings = trace(mask)
    polygons = keyholes(rings)
    assert len(rings) - len(polygons) >= 50
    assert (fill(polygons, *mask.shape) == mask).all()


def test_another_library_s_rule_finds_the_same_pixels():
    rng = np.random.default_rng(6)
    for _ in range(20):
        mask = ndimage.gaussian_filter(rng.standard_normal((40, 50)), 2) < 0.02
        theirs = np.zeros_like(mask)
        for polygon in keyholes(trace(mask)):
            theirs ^= polygon2mask(mask.shape, polygon)
        assert (theirs == mask).all()
