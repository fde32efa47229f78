"""Contours and the pixels they stand for; the expected ones are counted by hand on a grid of 1.0 x 0.5 mm pixels."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.dicom.phantom_structures import axial_stack, box

from gossamer.dicom.rtstruct.filling import fill_structure
from gossamer.dicom.rtstruct.rings import trace
from gossamer.dicom.rtstruct.structure_set import Contour, ImageReference, Roi, RoiState
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import DataError, EmptyMaskError, GeometryMismatchError, UnreadableImageError

STACK = axial_stack()
"""Slices at 20, 23, 26, 29 and 32 mm of 30 x 40 pixels."""


def roi_of(*contours, kind="CLOSED_PLANAR", kinds=None, images=None, **fields):
    kinds = kinds or [kind] * len(contours)
    images = images or [()] * len(contours)
    drawn = tuple(
        Contour(k, np.asarray(c, float), tuple(i if isinstance(i, ImageReference) else ImageReference(i) for i in of))
        for c, k, of in zip(contours, kinds, images, strict=True)
    )
    settings = {"state": RoiState.CONTOURED, "name": "Doe's heart", "name_bytes": b"", "interpreted_type": ""}
    return Roi(number=12, frame_of_reference_uid="", contours=drawn, **{**settings, **fields})


def pixels(*boxes, k=0, stack=STACK):
    """A mask with boxes of rows and columns (first and last) toggled on a slice."""
    mask = np.zeros(stack.shape, bool)
    for (top, bottom), (left, right) in boxes:
        mask[k, top : bottom + 1, left : right + 1] ^= True
    return mask


OUTER, HOLE, ISLAND = ((5, 20), (5, 30)), ((8, 15), (10, 20)), ((10, 12), (12, 15))


def test_the_contour_of_the_design_s_example_holds_its_8_pixels():
    filled = fill_structure(roi_of(box((10, 11), (20, 23))), STACK)
    assert np.argwhere(filled.mask).tolist() == [[0, r, c] for r in (10, 11) for c in (20, 21, 22, 23)]
    assert filled.notes == ()


def test_half_a_pixel_s_cut_off_corners_change_nothing():
    ring = np.array(
        [
            [-90.25, -40],
            [-90, -40.5],
            [-88.5, -40.5],
            [-88.25, -40],
            [-88.25, -39],
            [-88.5, -38.5],
            [-90, -38.5],
            [-90.25, -39],
        ]
    )
    contour = np.column_stack([ring, np.full(8, 20.0)])
    assert (fill_structure(roi_of(contour), STACK).mask == pixels(((10, 11), (20, 23)))).all()


def test_a_first_pixel_taken_by_its_corner_would_be_seen():
    corner = SliceStack(30, 40, STACK.first_xyz + np.array([0.25, 0.5, 0]), STACK.row_step_xyz, STACK.column_step_xyz)
    # A contour around the centre of pixel (10, 20) alone, within 0.2 pixels: half a pixel off it holds none.
    near = np.array([[-90.1, -40.2, 20], [-89.9, -40.2, 20], [-89.9, -39.8, 20], [-90.1, -39.8, 20]])
    assert fill_structure(roi_of(near), STACK).mask[0, 10, 20]
    with pytest.raises(EmptyMaskError):
        fill_structure(roi_of(near), corner)


def test_points_drawn_on_pixels_centres_fall_to_one_side_whatever_the_noise():
    through = np.array([[-90.0, -40, 20], [-88.5, -40, 20], [-88.5, -39, 20], [-90, -39, 20]])
    turned = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    stack = SliceStack(30, 40, STACK.first_xyz @ turned, STACK.row_step_xyz @ turned, STACK.column_step_xyz @ turned)
    expected = pixels(((10, 10), (20, 22)))  # half-open: upper and left edges belong, lower and right ones do not
    assert (fill_structure(roi_of(through), STACK).mask == expected).all()
    assert (fill_structure(roi_of(through @ turned), stack).mask == expected).all()


@pytest.mark.parametrize("across", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)])
@pytest.mark.parametrize("up", [1, -1])
def test_eight_ways_to_lie_on_the_table_agree(across, up):
    column = np.array(across, float)
    row = np.cross([0, 0, up], column)
    turned = np.stack([column, row, [0, 0, up]])
    stack = SliceStack(30, 40, STACK.first_xyz @ turned, row * 1.0, column * 0.5)
    assert np.allclose(stack.normal_xyz, [0, 0, up])
    roi = roi_of(box((10, 11), (20, 23), z=23) @ turned, box((3, 4), (7, 8), z=29) @ turned)
    expected = pixels(((10, 11), (20, 23)), k=1) | pixels(((3, 4), (7, 8)), k=3)
    assert (fill_structure(roi, stack).mask == expected).all()


def test_a_gantry_tilt_of_20_degrees_shears_the_stack_and_no_contour():
    row = np.array([0, np.cos(np.radians(20)), np.sin(np.radians(20))])
    column = np.array([0.5, 0.0, 0.0])
    first = np.array([[-100, -50, 20 + 3.0 * k] for k in range(5)])  # the table moves along z, not along the normal
    stack = SliceStack(30, 40, first, row, column)
    corners = np.array([[k, r, c] for k in (4,) for r, c in ((9.5, 19.5), (9.5, 23.5), (11.5, 23.5), (11.5, 19.5))])
    filled = fill_structure(roi_of(stack.world_from_index(corners)), stack)
    assert (filled.mask == pixels(((10, 11), (20, 23)), k=4)).all()


def test_contours_of_an_oblique_scan_are_filled_on_its_slices():
    turned = np.array([[2, 2, 1], [-2, 1, 2], [1, -2, 2]]) / 3  # rows are unit vectors at right angles
    stack = SliceStack(30, 40, STACK.first_xyz @ turned, STACK.row_step_xyz @ turned, STACK.column_step_xyz @ turned)
    contour = np.round(box((10, 11), (20, 23), z=26) @ turned, 3)
    assert (fill_structure(roi_of(contour), stack).mask == pixels(((10, 11), (20, 23)), k=2)).all()


def test_of_uneven_slices_each_gets_its_own_contour():
    stack = axial_stack(positions_mm=[0, 3, 6, 12, 18])
    filled = fill_structure(roi_of(*(box((k, k), (9, 9), z=z) for k, z in enumerate((0, 3, 6, 12, 18)))), stack)
    assert np.argwhere(filled.mask).tolist() == [[k, k, 9] for k in range(5)]
    assert filled.notes == ()


def test_half_the_local_gap_is_the_limit_and_what_is_beyond_is_counted():
    stack = axial_stack(positions_mm=[0, 3, 6, 12, 18])
    heights = (4.4, 8.0, 14.9, 22.0)  # 1.4 off 3: taken; 2.0 off 6 (its half gap is 1.5): outside; 2.9 off 12; outside
    filled = fill_structure(roi_of(*(box((1, 1), (9, 9), z=z) for z in heights)), stack)
    assert np.argwhere(filled.mask).tolist() == [[1, 1, 9], [3, 1, 9]]
    assert filled.notes == (
        "ROI 12: contours left out, from 8.00 to 22.00 mm, with no slice within half its gap: 2",
        "ROI 12: contours up to 2.90 mm off the slices' planes, taken for the nearest one: 2",
        "ROI 12: slices without contour between its first and last: 1",
    )


def test_a_lone_slice_takes_only_what_lies_on_it():
    stack = axial_stack(1)
    filled = fill_structure(roi_of(box((1, 1), (9, 9)), box((2, 2), (9, 9), z=23)), stack)
    assert np.argwhere(filled.mask).tolist() == [[0, 1, 9]]


def test_contours_drawn_on_a_finer_grid_do_not_cancel_each_other():
    heights = 20 + np.arange(13.0)  # each millimetre, on slices of 3 mm
    filled = fill_structure(roi_of(*(box((1, 5), (5, 9), z=z) for z in heights)), STACK)
    assert filled.mask[:, 1:6, 5:10].all()
    assert filled.mask.sum() == 5 * 25
    assert "ROI 12: contours left out, another plane being nearer to their slice: 8" in filled.notes


def test_contours_half_way_between_slices_all_go_to_the_lower_ones_whatever_was_rounded():
    filled = fill_structure(roi_of(*(box((k, k), (5, 5), z=z) for k, z in enumerate((21.504, 24.496, 27.5)))), STACK)
    assert np.argwhere(filled.mask).tolist() == [[0, 0, 5], [1, 1, 5], [2, 2, 5]]
    assert filled.notes == ("ROI 12: contours up to 1.50 mm off the slices' planes, taken for the nearest one: 3",)


def test_a_structure_that_lies_elsewhere_is_refused_with_both_ranges():
    with pytest.raises(
        GeometryMismatchError, match=r"ROI 12: .*20\.00 to 32\.00 mm.*all 2 elsewhere.*112\.00 to 115\.00 mm"
    ):
        fill_structure(roi_of(box((1, 1), (9, 9), z=112), box((1, 1), (9, 9), z=115)), STACK)


def test_an_oblique_contour_is_refused_with_its_angle_and_a_bent_one_with_its_depth():
    slope = box((5, 20), (5, 30)) + 0.0
    slope[:, 2] += np.tan(np.radians(30)) * (slope[:, 0] - slope[:, 0].min())
    with pytest.raises(GeometryMismatchError, match=r"ROI 12, .*found one at 30\.0 degrees to them, over 7\.51 mm"):
        fill_structure(roi_of(slope), STACK)  # 13 mm wide: 13 tan 30° = 7.51
    bent = box((5, 20), (5, 30))
    bent[0, 2] += 4
    with pytest.raises(GeometryMismatchError, match="not flat"):
        fill_structure(roi_of(bent), STACK)


def test_references_only_confirm():
    uids = ["a", "b", "c", "d", "e"]
    here = box((1, 1), (9, 9), z=23)
    assert fill_structure(roi_of(here, images=[["b"]]), STACK, uids).notes == ()
    assert fill_structure(roi_of(here, images=[["x", "b"]]), STACK, uids).notes == ()
    dangling = fill_structure(roi_of(here, images=[["x"]]), STACK, uids)
    assert np.argwhere(dangling.mask).tolist() == [[1, 1, 9]]
    assert dangling.notes == (
        "ROI 12: contours that refer to images of no slice here, placed by their points alone: 1",
    )
    with pytest.raises(GeometryMismatchError, match=r"refers to, at 29\.00 mm; found its points at 23\.00 mm"):
        fill_structure(roi_of(here, images=[["d"]]), STACK, uids)
    with pytest.raises(GeometryMismatchError, match=r"refers to, at 29\.00 mm; found its points at 95\.00 mm"):
        fill_structure(roi_of(here, box((1, 1), (9, 9), z=95), images=[["b"], ["d"]]), STACK, uids)


def test_of_a_multi_frame_file_the_frame_s_number_confirms_and_without_one_any_frame_does():
    uids, frames = ["a"] * 5, [3, 1, 5, 2, 4]  # frames in another order than the slices
    here = box((1, 1), (9, 9), z=23)
    for image in (ImageReference("a", (1,)), ImageReference("a", (2, 1)), ImageReference("a")):
        filled = fill_structure(roi_of(here, images=[[image]]), STACK, uids, frames)
        assert np.argwhere(filled.mask).tolist() == [[1, 1, 9]]
        assert filled.notes == ()
    with pytest.raises(GeometryMismatchError, match=r"refers to, at 29\.00 mm; found its points at 23\.00 mm"):
        fill_structure(roi_of(here, images=[[ImageReference("a", (2,))]]), STACK, uids, frames)
    dangling = fill_structure(roi_of(here, images=[[ImageReference("a", (9,))]]), STACK, uids, frames)
    assert "placed by their points alone: 1" in dangling.notes[0]


def test_what_reaches_beyond_the_field_of_view_is_clipped_and_said():
    filled = fill_structure(roi_of(box((-10, 3), (-10, 4)), box((10, 10), (10, 10), z=23)), STACK)
    assert (filled.mask == pixels(((0, 3), (0, 4))) | pixels(((10, 10), (10, 10)), k=1)).all()
    assert filled.notes == ("ROI 12: contours clipped where they reach beyond the field of view: 1",)


def test_a_contour_along_the_border_whose_points_were_rounded_is_not_clipped():
    stack = SliceStack(30, 40, STACK.first_xyz, np.array([0, 0.9765625, 0]), np.array([0.4882813, 0, 0]))
    corners = np.array([[0, -0.5, -0.5], [0, -0.5, 39.5], [0, 29.5, 39.5], [0, 29.5, -0.5]])
    for digits, notes in ((4, 0), (2, 0), (1, 1)):
        filled = fill_structure(roi_of(np.round(stack.world_from_index(corners), digits)), stack)
        assert filled.mask[0].all()
        assert len(filled.notes) == notes


def test_a_structure_beside_the_field_of_view_is_refused():
    with pytest.raises(
        GeometryMismatchError, match="within the slices' 30 rows and 40 columns; found all 1 beside them"
    ):
        fill_structure(roi_of(box((3, 5), (41, 44))), STACK)


def keyhole(outer, hole):
    """One polygon: around, over to the hole, around it the other way, and back the same way."""
    return np.concatenate([outer, outer[:1], hole[:1], hole[::-1]])


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_a_hole_is_a_hole_nested_or_by_xor_and_so_is_an_island_in_it(kind):
    filled = fill_structure(roi_of(box(*OUTER), box(*ISLAND), box(*HOLE), kind=kind), STACK)
    assert (filled.mask == pixels(OUTER, HOLE, ISLAND)).all()
    # outer 16 x 26 = 416, hole 8 x 11 = 88, island 3 x 4 = 12 pixels of 0.5 mm²: 340 pixels, against 416
    if kind == "CLOSEDPLANAR_XOR":
        assert filled.notes == ()
    else:
        [areas] = filled.notes
        assert "even-odd rule, which is taken, is 170.0 mm² over all slices; as a union it would be 208.0 mm²" in areas


def test_a_keyhole_is_the_same_hole_and_no_note():
    filled = fill_structure(roi_of(keyhole(box(*OUTER), box(*HOLE)), box(*ISLAND)), STACK)
    assert (filled.mask == pixels(OUTER, HOLE, ISLAND)).all()
    assert filled.notes == ()


def test_a_keyhole_whose_hole_winds_as_its_rim_does_is_a_hole_with_a_note():
    hole = box(*HOLE)
    filled = fill_structure(roi_of(keyhole(box(*OUTER), hole[::-1])), STACK)
    assert (filled.mask == pixels(OUTER, HOLE)).all()
    [note] = filled.notes
    assert "164.0 mm² over all slices; as a union it would be 208.0 mm²" in note


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
@pytest.mark.parametrize("times", [2, 5])
def test_a_contour_written_several_times_counts_once(kind, times):
    loop, apart = box(*OUTER), box((24, 26), (5, 9))
    copies = [np.roll(loop[:: (-1) ** n], n, axis=0) + 0.004 * n * (n < 3) for n in range(times)]
    filled = fill_structure(roi_of(*copies, apart, kind=kind), STACK)
    assert (filled.mask == pixels(OUTER, ((24, 26), (5, 9)))).all()
    assert filled.notes == (f"ROI 12: contours that repeat another, taken once: {times - 1}",)


def test_a_copy_that_repeats_its_first_point_is_a_copy():
    loop = box(*OUTER)
    filled = fill_structure(roi_of(loop, np.concatenate([loop, loop[:1]])), STACK)
    assert (filled.mask == pixels(OUTER)).all()


def test_partial_overlap_is_refused_of_closed_planar_and_honoured_of_xor():
    one, other = ((5, 10), (5, 14)), ((8, 14), (10, 20))  # 3 x 5 pixels in common
    with pytest.raises(UnreadableImageError, match=r"ROI 12, slice at 20\.00 mm: .*overlap in part, by 15\.0 pixels"):
        fill_structure(roi_of(box(*one), box(*other)), STACK)
    filled = fill_structure(roi_of(box(*one), box(*other), kind="CLOSEDPLANAR_XOR"), STACK)
    assert (filled.mask == pixels(one, other)).all()


def test_contours_on_different_slices_do_not_overlap():
    assert fill_structure(roi_of(box((5, 10), (5, 14)), box((8, 14), (10, 20), z=23)), STACK).mask.sum() == 60 + 77


def test_neighbours_whose_common_edge_was_rounded_are_no_overlap():
    left, right = box((5, 24), (5, 9)), box((5, 24), (10, 14))
    right[right[:, 0] < -95, 0] -= 0.01  # 20 rows x 0.02 columns: 0.4 pixels in common
    assert (fill_structure(roi_of(left, right), STACK).mask == pixels(((5, 24), (5, 14)))).all()


def test_two_loops_across_a_contour_far_beyond_the_slice_are_judged_on_the_slice_alone():
    wide = box((-60000, 60000), (-100, 10))
    other = box((-60000, 60000), (20, 100000))
    assert fill_structure(roi_of(wide, other), STACK).mask.sum() == 30 * (11 + 20)


@pytest.mark.parametrize(
    "kinds",
    [
        ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"),
        ("CLOSED_PLANAR", "OPEN_PLANAR"),
        ("CLOSED_PLANAR", ""),
        ("FOO", "CLOSED_PLANAR"),
    ],
)
def test_types_mixed_in_a_roi_are_refused(kinds):
    with pytest.raises(UnreadableImageError, match="ROI 12: wanted contours of one closed type"):
        fill_structure(roi_of(box(*OUTER), box(*HOLE), kinds=kinds), STACK)


def test_an_interpolated_contour_is_as_good_and_a_point_among_contours_is_skipped():
    point = [[-90.0, -40.0, 20.0]]
    kinds = ("CLOSED_PLANAR", "INTERPOLATED_PLANAR", "POINT")
    filled = fill_structure(roi_of(box(*OUTER), box(*HOLE), point, kinds=kinds), STACK)
    assert (filled.mask == pixels(OUTER, HOLE)).all()
    assert "POINT" not in "".join(filled.notes)  # the reader has counted them


def test_a_tiny_loop_costs_neither_its_slice_nor_the_others_on_it():
    tiny = np.array([[-90.2, -40.3, 20], [-90.1, -40.3, 20], [-90.1, -40.2, 20]])  # 0.1 mm, no pixel's centre in it
    filled = fill_structure(
        roi_of(tiny, box((20, 21), (5, 6)), tiny + np.array([0, 0, 3]), box((3, 3), (3, 3), z=26)), STACK
    )
    assert (filled.mask == pixels(((20, 21), (5, 6))) | pixels(((3, 3), (3, 3)), k=2)).all()
    assert filled.notes == ("ROI 12: slices whose contours go around no pixel's centre: 1",)
    with pytest.raises(EmptyMaskError, match=r"ROI 12: .*on 1 slices that go around no pixel's centre"):
        fill_structure(roi_of(tiny), STACK)


@pytest.mark.parametrize("state", [RoiState.ABSENT, RoiState.DECLARED_EMPTY])
def test_what_nobody_drew_is_never_an_empty_mask(state):
    with pytest.raises(EmptyMaskError, match=f"found none \\({state}\\)"):
        fill_structure(roi_of(state=state), STACK)


def test_points_of_interest_are_no_volume():
    with pytest.raises(EmptyMaskError, match="it is not a volume"):
        fill_structure(roi_of([[1.0, 2.0, 20.0]], kind="POINT"), STACK)


def test_what_the_reader_refused_stays_refused_and_no_message_holds_the_name():
    with pytest.raises(UnreadableImageError, match="because"):
        fill_structure(roi_of(refusal="because"), STACK)
    for bad in (roi_of(), roi_of(box(*OUTER), box((8, 25), (10, 20))), roi_of(box(*OUTER, z=99))):
        with pytest.raises(DataError) as caught:
            fill_structure(bad, STACK)
        assert "Doe" not in str(caught.value)


def test_the_reader_s_notes_come_first():
    assert fill_structure(roi_of(box(*OUTER), notes=("read",)), STACK).notes == ("read",)


@given(arrays(bool, (5, 7, 9)), st.sampled_from(["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"]))
def test_the_contours_of_any_mask_are_filled_to_that_mask_again(mask, kind):
    assume(mask.any())
    loops = [(k, ring) for k in range(5) for ring in trace(mask[k])]
    contours = [STACK.world_from_index(np.column_stack([np.full(len(ring), float(k)), ring])) for k, ring in loops]
    filled = fill_structure(roi_of(*(np.round(contour, 2) for contour in contours), kind=kind), STACK)
    assert (filled.mask[:, :7, :9] == mask).all()
    assert filled.mask.sum() == mask.sum()


def test_a_roi_of_lines_and_points_alone_is_said_to_be_no_volume():
    kinds = ("OPEN_PLANAR", "POINT")
    with pytest.raises(EmptyMaskError, match="found 1 of type OPEN_PLANAR, 1 of type POINT; it is not a volume"):
        fill_structure(roi_of(box(*OUTER), [[1.0, 2.0, 20.0]], kinds=kinds), STACK)
