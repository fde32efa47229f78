"""Masks as written: read by our reader, compared to the voxel; and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from tests.dicom.outgoing.drawn_masks import (
    KINDS,
    MADE_BY,
    OPENKBP,
    ORIENTATIONS,
    reference_to,
    refilled,
    ring_with_island,
    same,
    shape_of,
    turned,
    write,
)

from gossamer.dicom.outgoing import write_structure_set as writer
from gossamer.dicom.outgoing.planning_rules.rules import faults_of
from gossamer.dicom.rtstruct import drawing
from gossamer.errors import EmptyMaskError, GeometryMismatchError, StorageError, UnreadableImageError, UsageError

# What comes back


@pytest.mark.parametrize("holes", ["keyhole", "nested", "xor"])
def test_two_hundred_shapes_come_back_to_the_voxel(tmp_path, holes):
    rng = np.random.default_rng(11)
    reference = reference_to()
    masks = {f"{KINDS[n % 7]}_{n}": shape_of(KINDS[n % 7], rng) for n in range(67)}
    written = write(tmp_path / "rs.dcm", masks, reference, holes=holes)
    assert written.empty == ()
    assert same(tmp_path / "rs.dcm", masks, reference)
    assert all("no XOR" in fault for fault in faults_of(tmp_path / "rs.dcm"))


@pytest.mark.parametrize("directions", ORIENTATIONS)
def test_in_each_of_48_orientations_nothing_changes(tmp_path, directions):
    reference = reference_to(directions)
    masks = {"Frame": ring_with_island(), "Blobs": shape_of("blobs", np.random.default_rng(3))}
    write(tmp_path / "rs.dcm", masks, reference)
    assert same(tmp_path / "rs.dcm", masks, reference)
    assert faults_of(tmp_path / "rs.dcm") == ()


@pytest.mark.parametrize("degrees", [(20, 0), (0, 3.3), (33, -71), (0.001, 0)])
def test_oblique_slices_are_written_and_said_to_be(tmp_path, degrees):
    reference = reference_to(turned(degrees))
    masks = {"Frame": ring_with_island(), "Noise": shape_of("noise", np.random.default_rng(4))}
    written = write(tmp_path / "rs.dcm", masks, reference)
    assert same(tmp_path / "rs.dcm", masks, reference)
    faults = faults_of(tmp_path / "rs.dcm")
    assert bool(faults) == (degrees[0] >= 20)
    assert all("planes along an axis" in fault and "RayStation" in fault for fault in faults)
    assert written.notes == faults


def test_slices_at_uneven_distances_and_under_a_tilted_gantry_stay_where_they_are(tmp_path):
    reference = reference_to()
    first = reference.stack.first_xyz + np.array([[0, 0, 0], [0, 1.5, 0.5], [0, 2, 0], [0, 3, 2]])
    texts = tuple(tuple(f"{value:.3f}" for value in point) for point in first)
    stack = replace(reference.stack, first_xyz=np.array(texts, dtype=float))
    reference = replace(reference, positions=texts, stack=stack)
    masks = {"Frame": ring_with_island()}
    write(tmp_path / "rs.dcm", masks, reference)
    assert same(tmp_path / "rs.dcm", masks, reference)


@pytest.mark.skipif(not OPENKBP.is_dir(), reason="needs ../shared/data (real patients), which is absent")
def test_real_organs_come_back_to_the_voxel(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    names = json.loads((OPENKBP / "labels.json").read_text())
    for case in ("train_pt_1", "train_pt_100"):
        image = nibabel.load(OPENKBP / f"{case}_oar.nii.gz")
        labels = np.asarray(image.dataobj).T
        spacing = [float(mm) for mm in image.header.get_zooms()[::-1]]
        masks = {name: labels == int(number) for number, name in names.items() if (labels == int(number)).any()}
        assert len(masks) >= 4
        reference = reference_to(shape=labels.shape, spacing=spacing)
        written = write(tmp_path / "rs.dcm", masks, reference)
        assert same(tmp_path / "rs.dcm", masks, reference)
        assert written.notes == faults_of(tmp_path / "rs.dcm") == ()


# Holes, cuts and smoothing


@pytest.mark.parametrize("holes", ["keyhole", "nested", "xor"])
def test_only_structures_with_holes_are_of_type_xor_and_only_if_asked(tmp_path, holes):
    block = np.zeros((4, 14, 19), bool)
    block[1, 3:8, 3:9] = True
    write(tmp_path / "rs.dcm", {"Frame": ring_with_island(), "Block": block}, reference_to(), holes=holes)
    kinds = [
        [contour.ContourGeometricType for contour in roi.ContourSequence]
        for roi in pydicom.dcmread(tmp_path / "rs.dcm").ROIContourSequence
    ]
    frame = {"keyhole": ["CLOSED_PLANAR"] * 4, "nested": ["CLOSED_PLANAR"] * 6, "xor": ["CLOSEDPLANAR_XOR"] * 6}
    assert kinds == [frame[holes], ["CLOSED_PLANAR"]]


@pytest.mark.parametrize("holes", ["keyhole", "nested", "xor"])
def test_contours_too_long_for_explicit_vr_are_cut_and_hold_the_same_voxels(tmp_path, monkeypatch, holes):
    monkeypatch.setattr(drawing, "MAX_DATA_BYTES", 300)
    masks = {"Frame": ring_with_island(), "Noise": np.random.default_rng(8).random((4, 14, 19)) < 0.7}
    written = write(tmp_path / "rs.dcm", masks, reference_to(), holes=holes)
    assert same(tmp_path / "rs.dcm", masks, reference_to())
    file = pydicom.dcmread(tmp_path / "rs.dcm")
    assert max(len(c.get_item("ContourData").value) for r in file.ROIContourSequence for c in r.ContourSequence) <= 300
    assert any("a contour was cut in two that touch" in note for note in written.notes)


def test_a_contour_is_cut_only_if_it_is_longer_than_may_be(tmp_path, monkeypatch):
    def lengths(masks):
        written = write(tmp_path / "rs.dcm", masks, reference_to())
        [roi] = pydicom.dcmread(tmp_path / "rs.dcm").ROIContourSequence
        return written.notes, [len(contour.get_item("ContourData").value) for contour in roi.ContourSequence]

    masks = {"Block": np.zeros((4, 14, 19), bool)}
    masks["Block"][2, 3:9, 4:17:2] = masks["Block"][2, 3, 4:17] = True  # a comb: its halves are shorter by half
    _, [length] = lengths(masks)
    monkeypatch.setattr(drawing, "MAX_DATA_BYTES", length)
    assert lengths(masks) == ((), [length])
    monkeypatch.setattr(drawing, "MAX_DATA_BYTES", length - 2)
    notes, both = lengths(masks)
    assert len(both) == 2
    assert "Block: slices on which a contour was cut in two" in notes[0]


def test_what_will_be_cut_is_not_searched_for_channels_before(tmp_path, monkeypatch):
    """Of a hundred holes that search takes most of the time."""
    holes = []

    def counted(part):
        holes.append(len(part.holes))
        return joined(part)

    joined = drawing.joined
    monkeypatch.setattr(drawing, "joined", counted)
    monkeypatch.setattr(drawing, "MAX_DATA_BYTES", 3000)
    mask = np.ones((1, 40, 60), bool)
    mask[0, 2:38:4, 2:58:4] = False  # 9 x 14 holes of four points: 76 bytes each, and more with their channels
    reference = reference_to(shape=mask.shape)
    write(tmp_path / "rs.dcm", {"Sieve": mask}, reference)
    assert same(tmp_path / "rs.dcm", {"Sieve": mask}, reference)
    assert len(holes) >= 4
    assert max(holes) < 3000 / 4 / 16
    assert sum(holes) < 2 * 9 * 14


def test_a_comb_of_650_teeth_is_cut_so_that_an_archive_may_rewrite_it(tmp_path):
    mask = np.zeros((1, 4, 1300), bool)
    mask[0, 0] = mask[0, :, ::2] = True
    reference = reference_to(shape=mask.shape)
    write(tmp_path / "rs.dcm", {"Comb": mask}, reference)
    [roi] = pydicom.dcmread(tmp_path / "rs.dcm").ROIContourSequence
    lengths = [len(contour.get_item("ContourData").value) for contour in roi.ContourSequence]
    assert sum(lengths) > 65_534 > max(lengths)
    assert same(tmp_path / "rs.dcm", {"Comb": mask}, reference)
    assert faults_of(tmp_path / "rs.dcm") == ()


def test_smoothing_takes_points_away_and_says_what_it_changed(tmp_path):
    rows, columns = np.mgrid[:60, :80]
    disc = ((rows - 30) / 20) ** 2 + ((columns - 40) / 30) ** 2 < 1
    hole = ((rows - 30) / 6) ** 2 + ((columns - 45) / 8) ** 2 < 1
    masks = {"Disc": np.stack([disc, disc & ~hole])}
    reference = reference_to(shape=(2, 60, 80))
    write(tmp_path / "exact.dcm", masks, reference)
    written = write(tmp_path / "smooth.dcm", masks, reference, smooth_mm=0.6)
    points = {
        name: sum(
            contour.NumberOfContourPoints
            for contour in pydicom.dcmread(tmp_path / name).ROIContourSequence[0].ContourSequence
        )
        for name in ("exact.dcm", "smooth.dcm")
    }
    assert points["smooth.dcm"] < points["exact.dcm"] / 2
    found = written.smoothed["Disc"]
    assert 0.3 < found.moved_mm <= 0.6
    assert found.changed_voxels == (refilled(tmp_path / "smooth.dcm", reference)["Disc"] != masks["Disc"]).sum()
    assert 0 < found.changed_voxels < 0.03 * masks["Disc"].sum()
    assert written.notes == (
        f"Disc: smoothed within 0.6 mm; no point moved by more than {found.moved_mm:.2f} mm, "
        f"voxels changed: {found.changed_voxels}",
    )
    assert faults_of(tmp_path / "smooth.dcm") == ()


def test_slices_that_smoothing_would_tangle_are_drawn_as_they_are(tmp_path):
    masks = {"Frame": ring_with_island(), "Noise": shape_of("noise", np.random.default_rng(2))}
    written = write(tmp_path / "rs.dcm", masks, reference_to(), smooth_mm=3.0)
    assert any("not smoothed" in note for note in written.notes)
    refilled(tmp_path / "rs.dcm", reference_to())  # whose reader refuses contours that overlap


# What is refused


def test_masks_that_are_all_empty_write_nothing(tmp_path):
    with pytest.raises(EmptyMaskError, match="2 masks without a voxel; nothing was written"):
        write(tmp_path / "rs.dcm", dict.fromkeys(("A", "B"), np.zeros((4, 14, 19), bool)), reference_to())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Glnd_Submand_Left"], "structure 1 of 1: .* found one of 17"),
        ([""], "found one of 0"),
        (["Parótida"], "not all of them ASCII"),
        (["A\\B"], "structure 1 of 1"),
        ([" Eye"], "structure 1 of 1"),
        (["Eye_L", "EYE_l"], "structure 2 of 2: .* found that of structure 1"),
    ],
)
def test_names_that_a_planning_system_would_cut_or_confuse_are_refused(tmp_path, names, message):
    with pytest.raises(UsageError, match=message):
        write(tmp_path / "rs.dcm", dict.fromkeys(names, ring_with_island()), reference_to())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": "seventeen letters"}, "Structure Set Label of 1 to 16 .* found 17"),
        ({"label": ""}, "Structure Set Label"),
        ({"name": "x" * 65}, "Structure Set Name"),
        ({"description": "Für alle"}, "not all of them ASCII"),
        ({"made_by": replace(MADE_BY, model_hash="")}, "model's hash"),
        ({"made_by": replace(MADE_BY, federation="a\\b")}, "federation's name"),
        ({"smooth_mm": -1.0}, "smoothing of 0 mm or more"),
        ({"colours": {"Frame": (1, 2, 256)}}, "colour"),
        ({"interpreted_types": {"Frame": "Organ at risk"}}, "interpreted type"),
    ],
)
def test_texts_and_settings_that_no_file_may_have_are_refused(tmp_path, settings, message):
    with pytest.raises(UsageError, match=message):
        write(tmp_path / "rs.dcm", {"Frame": ring_with_island()}, reference_to(), **settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mask", [np.ones((4, 19, 14), bool), np.ones((4, 14, 19), np.uint8)])
def test_masks_of_another_grid_or_kind_are_refused(tmp_path, mask):
    with pytest.raises(GeometryMismatchError, match="structure 1 of 1: wanted a mask of booleans"):
        write(tmp_path / "rs.dcm", {"Frame": mask}, reference_to())


def test_a_reference_that_contradicts_itself_is_refused(tmp_path):
    reference, masks = reference_to(), {"Frame": ring_with_island()}
    moved = tuple((x, y, f"{float(z) + 0.5:.3f}") for x, y, z in reference.positions)
    for broken, error, message in (
        (replace(reference, positions=moved), GeometryMismatchError, "found one 0.500 mm beside it"),
        (replace(reference, sop_instance_uids=("1.2",)), GeometryMismatchError, "found 1 and 4"),
        (replace(reference, sop_instance_uids=("1.2",) * 4), GeometryMismatchError, "frame number"),
        (replace(reference, frame_of_reference_uid=""), UnreadableImageError, "Frame of Reference UID"),
    ):
        with pytest.raises(error, match=message):
            write(tmp_path / "rs.dcm", masks, broken)


def test_contours_that_do_not_enclose_the_mask_are_found_before_anything_is_on_the_disk(tmp_path, monkeypatch):
    def a_pixel_aside(mask, *settings):
        return drawing.draw(np.roll(mask, 1, axis=2), *settings)

    monkeypatch.setattr(writer, "draw", a_pixel_aside)
    with pytest.raises(GeometryMismatchError, match=r"structure 1 of 1: .* found \d+ voxels that differ"):
        write(tmp_path / "rs.dcm", {"Frame": ring_with_island()}, reference_to())
    assert list(tmp_path.iterdir()) == []


def test_a_structure_that_is_not_in_what_was_read_back_is_found_before_anything_is_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "masks_in", lambda *_: iter([("Frame", ring_with_island())]))
    masks = {"Frame": ring_with_island(), "Eye_L": ring_with_island()}
    with pytest.raises(GeometryMismatchError, match="wanted 2 structures that are drawn; found 1"):
        write(tmp_path / "rs.dcm", masks, reference_to())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_leaves_the_former_one(tmp_path):
    write(tmp_path / "rs.dcm", {"Frame": ring_with_island()}, reference_to())
    before = (tmp_path / "rs.dcm").read_bytes()
    (tmp_path / ".rs.dcm.part").mkdir()
    with pytest.raises(StorageError):
        write(tmp_path / "rs.dcm", {"Frame": ring_with_island()}, reference_to())
    assert (tmp_path / "rs.dcm").read_bytes() == before
