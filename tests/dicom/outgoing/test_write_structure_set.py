"""Structure sets as written: read by our reader and by plastimatch, judged by dciodvfy, compared with the masks."""

import itertools
import json
import shutil
import subprocess
import tarfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from scipy import ndimage
from tests.dicom.phantom_series import FRAME, SERIES, STUDY, image_uid, write_multiframe, write_series

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.outgoing import write_structure_set as writer
from gossamer.dicom.outgoing.made_by import MadeBy, read_made_by
from gossamer.dicom.outgoing.planning_rules.rules import faults_of
from gossamer.dicom.outgoing.reference import ReferenceSeries, reference_of
from gossamer.dicom.outgoing.write_structure_set import write_structure_set
from gossamer.dicom.rtstruct import drawing
from gossamer.dicom.rtstruct.drawing import decimal_text
from gossamer.dicom.rtstruct.filling import fill_structure
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import EmptyMaskError, GeometryMismatchError, StorageError, UnreadableImageError, UsageError

NOW = datetime(2026, 3, 4, 15, 6, 7)
MADE_BY = MadeBy("Gossamer", "0.1.0", "ab" * 32, "Head and neck, four hospitals")
SHARED = Path(__file__).parents[4] / "shared" / "data"
OPENKBP, REAL_CT = SHARED / "openkbp", SHARED / "dicom_rt" / "lung4d_113_p40.tar.xz"
AXES = np.eye(3)
ORIENTATIONS = [
    (axes[0] * signs[0], axes[1] * signs[1], axes[2] * signs[2])
    for axes in itertools.permutations(AXES)
    for signs in itertools.product((1, -1), repeat=3)
]
"""Where slices, rows and columns grow: 48."""


def turned(degrees):
    """An oblique plane's directions."""
    a, b = np.radians(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return (about_z @ about_x).T[::-1]


def reference_to(directions=(AXES[2], AXES[1], AXES[0]), shape=(4, 14, 19), spacing=(3.0, 1.1, 0.7), header=None):
    """A series that exists in memory alone; its stack is what its texts say."""
    along, down, across = (np.asarray(d) * s for d, s in zip(directions, spacing, strict=True))
    first = np.array([-101.3, 57.25, 20.6]) + np.arange(shape[0])[:, None] * along
    texts = tuple(tuple(f"{value:.6f}" for value in point) for point in first)
    stack = SliceStack(shape[1], shape[2], np.array(texts, dtype=float), down, across)
    uids = tuple(f"1.2.3.2.{k + 1}" for k in range(shape[0]))
    header = header if header is not None else header_of()
    return ReferenceSeries(header, SERIES, STUDY, FRAME, "1.2.840.10008.5.1.4.1.1.2", uids, texts, stack)


def header_of(**elements):
    header = Dataset()
    for keyword, value in {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Doe^Jane", "PatientID": "1"}.items():
        setattr(header, keyword, value)
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    return header


def write(path, masks, reference, **settings):
    return write_structure_set(path, masks, reference, **{"label": "Auto", "made_by": MADE_BY, "now": NOW, **settings})


def refilled(path, reference):
    """Masks by name, by our reader, which wants slices in the order along their normal."""
    stack = reference.stack
    order = np.argsort(stack.positions_mm)
    sorted_stack = SliceStack(
        stack.rows, stack.columns, stack.first_xyz[order], stack.row_step_xyz, stack.column_step_xyz
    )
    masks = {}
    for name, roi in read_structure_set(path).by_name.items():
        filled = fill_structure(roi, sorted_stack, [reference.sop_instance_uids[k] for k in order])
        masks[name] = np.zeros_like(filled.mask)
        masks[name][order] = filled.mask
    return masks


def same(path, masks, reference):
    """Whether a file's structures are the masks, to the voxel."""
    found = refilled(path, reference)
    assert found.keys() == masks.keys()
    return all((found[name] == mask).all() for name, mask in masks.items())


def ring_with_island(shape=(4, 14, 19)):
    """A frame with an island in its hole, on two slices in the middle; touches the border of the slices."""
    mask = np.zeros(shape, bool)
    mask[1:3, 0:11, 2:15] = True
    mask[1:3, 2:9, 4:12] = False
    mask[1:3, 4:6, 6:9] = True
    return mask


def shape_of(kind, rng, shape=(4, 14, 19)):
    """A mask of a kind that contours are known to get wrong."""
    mask = np.zeros(shape, bool)
    if kind == "blobs":
        mask = ndimage.gaussian_filter(rng.standard_normal(shape), (0.6, 1.5, 1.5)) > 0.05
    elif kind == "noise":
        mask[1:3] = rng.random((2, *shape[1:])) < rng.uniform(0.1, 0.9)
    elif kind == "holes":
        mask = ring_with_island(shape)
        mask[:, :, :] ^= ndimage.binary_dilation(rng.random(shape) < 0.02, np.ones((1, 2, 2)))
    elif kind == "thin":
        mask[rng.integers(4), rng.integers(14)] = mask[rng.integers(4), :, rng.integers(19)] = True
    elif kind == "diagonal":
        mask[1, range(14), range(14)] = mask[2, range(14), range(13, -1, -1)] = True
    elif kind == "border":
        mask[:, [0, -1]] = mask[:, :, [0, -1]] = True
    else:
        mask[rng.integers(4), rng.integers(14), rng.integers(19)] = True
    mask[0, 0, 0] |= not mask.any()
    return mask


KINDS = ("blobs", "noise", "holes", "thin", "diagonal", "border", "single")


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


# What is in the file


def test_the_file_is_a_new_object_of_the_ct_s_patient_study_and_frame(tmp_path):
    header = header_of(PatientBirthDate="19700102", StudyDate="20260101", StudyDescription="Plan", KVP="120")
    reference = reference_to(header=header)
    masks = {"Parotid_L": ring_with_island(), "Lens_R": np.zeros((4, 14, 19), bool), "Eye_L": ring_with_island()}
    written = write(tmp_path / "a.dcm", masks, reference, name="Head and neck", colours={"Eye_L": (1, 2, 3)})
    again = write(tmp_path / "b.dcm", masks, reference)
    file, other = pydicom.dcmread(tmp_path / "a.dcm"), pydicom.dcmread(tmp_path / "b.dcm")
    assert written.empty == ("Lens_R",)
    assert (file.PatientName, file.PatientID, file.PatientBirthDate) == ("Doe^Jane", "1", "19700102")
    assert (file.StudyInstanceUID, file.StudyDate, file.StudyDescription) == (STUDY, "20260101", "Plan")
    assert file.FrameOfReferenceUID == FRAME
    for keyword in ("PatientSex", "StudyID", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "OperatorsName"):
        assert file[keyword].is_empty, keyword
    assert "KVP" not in file
    assert len({file.SOPInstanceUID, other.SOPInstanceUID, file.SeriesInstanceUID, other.SeriesInstanceUID}) == 4
    assert (written.sop_instance_uid, again.sop_instance_uid) == (file.SOPInstanceUID, other.SOPInstanceUID)
    assert (file.StructureSetLabel, file.StructureSetName) == ("Auto", "Head and neck")
    assert (file.StructureSetDate, file.StructureSetTime, file.ApprovalStatus) == ("20260304", "150607", "UNAPPROVED")
    [series] = file.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence
    assert series.SeriesInstanceUID == SERIES
    assert [image.ReferencedSOPInstanceUID for image in series.ContourImageSequence] == list(
        reference.sop_instance_uids
    )
    assert [(r.ROINumber, r.ROIName, r.ROIGenerationAlgorithm) for r in file.StructureSetROISequence] == [
        (1, "Parotid_L", "AUTOMATIC"),
        (2, "Eye_L", "AUTOMATIC"),
    ]
    assert [roi.ROIDisplayColor for roi in file.ROIContourSequence] == [list(writer.COLOURS[0]), [1, 2, 3]]
    colours = [roi.ROIDisplayColor for roi in other.ROIContourSequence]
    assert colours[1] == list(writer.COLOURS[2])  # the same in each patient, whatever is empty
    assert [o.RTROIInterpretedType for o in file.RTROIObservationsSequence] == ["ORGAN", "ORGAN"]


def test_points_of_the_example_stand_where_they_were_worked_out_by_hand(tmp_path):
    """Rows 10-11 and columns 20-23 of the design's example; corners are cut by half a pixel."""
    reference = reference_to(shape=(1, 30, 40), spacing=(3.0, 1.0, 0.5))
    texts = (("-100.0", "-50", "+2.0000E+01"),)
    stack = replace(reference.stack, first_xyz=np.array([[-100.0, -50.0, 20.0]]))
    mask = np.zeros((1, 30, 40), bool)
    mask[0, 10:12, 20:24] = True
    write(tmp_path / "rs.dcm", {"Block": mask}, replace(reference, stack=stack, positions=texts))
    [contour] = pydicom.dcmread(tmp_path / "rs.dcm").ROIContourSequence[0].ContourSequence
    text = contour.get_item("ContourData").value.decode().strip()
    points = {tuple(point) for point in np.array(text.split("\\")).reshape(-1, 3).tolist()}
    edges = [("-90.25", "-40"), ("-90.25", "-39"), ("-88.25", "-40"), ("-88.25", "-39")]
    ends = [("-90", "-40.5"), ("-88.5", "-40.5"), ("-90", "-38.5"), ("-88.5", "-38.5")]
    assert points == {(x, y, "+2.0000E+01") for x, y in edges + ends}  # the image's own text
    assert contour.NumberOfContourPoints == 8
    assert [image.ReferencedSOPInstanceUID for image in contour.ContourImageSequence] == ["1.2.3.2.1"]


def test_no_number_is_longer_than_sixteen_characters():
    assert [decimal_text(v) for v in (-0.00001, 5.0, -1234.56789, 1 / 3, 1e5)] == [
        *("0", "5", "-1234.5679", "0.3333", "100000"),
    ]


def test_a_position_text_that_is_too_long_is_shortened(tmp_path):
    reference = reference_to()
    texts = tuple((x, y, f"{float(z):.15f}") for x, y, z in reference.positions)
    write(tmp_path / "rs.dcm", {"Frame": ring_with_island()}, replace(reference, positions=texts))
    assert faults_of(tmp_path / "rs.dcm") == ()


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192", None, ["", "ISO 2022 IR 100"]])
@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_a_name_keeps_its_bytes_even_if_its_character_set_is_wrong(tmp_path, charset, encoding):
    name = "Muñoz^Íñigo".encode(encoding)
    stand_in = b"Q" * len(name)
    write_series(
        tmp_path / "ct", shape=(4, 14, 19), patient=stand_in.decode(), PatientID="1", SpecificCharacterSet=charset
    )
    for path in (tmp_path / "ct").iterdir():
        path.write_bytes(path.read_bytes().replace(stand_in, name))
    [series] = find_series(read_headers(tmp_path / "ct").headers).series
    write(tmp_path / "rs.dcm", {"Frame": ring_with_island()}, reference_of(series))
    file = pydicom.dcmread(tmp_path / "rs.dcm")
    assert file.get("SpecificCharacterSet") == charset
    assert file.get_item("PatientName").value.strip() == name


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_what_says_that_the_ct_was_de_identified_is_copied_from_any_transfer_syntax(tmp_path, syntax):
    method = Dataset()
    method.CodeValue, method.CodingSchemeDesignator, method.CodeMeaning = "113100", "DCM", "Basic Profile"
    removed = {"PatientIdentityRemoved": "YES", "DeidentificationMethodCodeSequence": [method]}
    reference = series_on_disk(tmp_path / "ct", syntax=syntax, **removed)
    write(tmp_path / "rs.dcm", {"Frame": ring_with_island()}, reference)
    file = pydicom.dcmread(tmp_path / "rs.dcm")
    assert file.PatientIdentityRemoved == "YES"
    assert [item.CodeMeaning for item in file.DeidentificationMethodCodeSequence] == ["Basic Profile"]


def series_on_disk(folder, **settings):
    settings.setdefault("shape", (4, 14, 19))
    settings.setdefault("spacing", (3.0, 1.1, 0.7))
    write_series(folder, **settings)
    [series] = find_series(read_headers(folder).headers).series
    return reference_of(series)


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


def test_a_file_that_cannot_be_written_leaves_the_former_one(tmp_path):
    write(tmp_path / "rs.dcm", {"Frame": ring_with_island()}, reference_to())
    before = (tmp_path / "rs.dcm").read_bytes()
    (tmp_path / ".rs.dcm.part").mkdir()
    with pytest.raises(StorageError):
        write(tmp_path / "rs.dcm", {"Frame": ring_with_island()}, reference_to())
    assert (tmp_path / "rs.dcm").read_bytes() == before


# Who made it


@pytest.mark.parametrize("made_by", [MADE_BY, replace(MADE_BY, federation="")])
def test_a_file_says_what_made_it(tmp_path, made_by):
    write(tmp_path / "rs.dcm", {"Frame": ring_with_island()}, reference_to(), made_by=made_by, description="Test.")
    assert read_made_by(tmp_path / "rs.dcm") == made_by
    file = pydicom.dcmread(tmp_path / "rs.dcm")
    assert file.StructureSetDescription.startswith("Test. Drawn by software, not reviewed: Gossamer 0.1.0")
    assert file.StructureSetROISequence[0].ROIGenerationDescription == "Gossamer 0.1.0, model abababababab"


def test_a_file_of_others_does_not(tmp_path):
    write_series(tmp_path, shape=(1, 6, 8), SoftwareVersions=["1", "2", "3"])
    [path] = tmp_path.iterdir()
    assert read_made_by(path) is None
    path.write_bytes(b"no DICOM file")
    with pytest.raises(UnreadableImageError):
        read_made_by(path)


# Series on the disk, and other software


def test_a_series_is_referred_to_as_it_stands_on_the_disk(tmp_path):
    reference = series_on_disk(tmp_path / "ct", syntax=ExplicitVRLittleEndian)
    assert reference.sop_instance_uids == tuple(image_uid(k) for k in range(4))
    assert reference.positions[1] == ("-100.0", "-50.0", "23.0")
    masks = {"Frame": ring_with_island()}
    write(tmp_path / "rs.dcm", masks, reference)
    assert same(tmp_path / "rs.dcm", masks, reference)
    assert faults_of(tmp_path / "rs.dcm") == ()
    assert pydicom.dcmread(tmp_path / "rs.dcm").PatientID == "ID of Doe^Jane"


def test_frames_of_a_multi_frame_ct_are_referred_to_by_their_numbers(tmp_path):
    write_multiframe(tmp_path / "ct", [26.0, 20.0, 23.0])
    [series] = find_series(read_headers(tmp_path / "ct").headers).series
    masks = {"Eye_L": np.zeros((3, 6, 8), bool)}
    masks["Eye_L"][:2, 2:4, 3:6] = True
    reference = reference_of(series)
    write(tmp_path / "rs.dcm", masks, reference)
    file = pydicom.dcmread(tmp_path / "rs.dcm")
    images = [contour.ContourImageSequence[0] for contour in file.ROIContourSequence[0].ContourSequence]
    assert [image.ReferencedFrameNumber for image in images] == [2, 3]
    [series] = file.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence
    assert len(series.ContourImageSequence) == 1


def run(*command):
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (dicom3tools), which is not installed")
@pytest.mark.parametrize("holes", ["keyhole", "nested", "xor"])
def test_dciodvfy_finds_no_error_but_that_it_knows_no_xor(tmp_path, holes):
    reference = series_on_disk(tmp_path / "ct")
    upper = np.zeros((4, 14, 19), bool)
    upper[2:, 3:9, 4:11] = True
    write(tmp_path / "rs.dcm", {"Frame": ring_with_island(), "Upper": upper}, reference, holes=holes, name="Head")
    said = run("dciodvfy", tmp_path / "rs.dcm")
    lines = (said.stdout + said.stderr).splitlines()
    assert "RTStructureSet" in lines
    errors = {line for line in lines if line.startswith("Error")}
    unknown = (
        "Error - Unrecognized enumerated value <CLOSEDPLANAR_XOR> for value 1 of attribute <Contour Geometric Type>"
    )
    assert errors == ({unknown} if holes == "xor" else set())


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (dicom3tools), which is not installed")
@pytest.mark.skipif(not REAL_CT.is_file(), reason="needs ../shared/data (real patients), which is absent")
def test_organs_drawn_in_a_clinic_are_written_again_on_their_ct_to_the_voxel(tmp_path):
    with tarfile.open(REAL_CT, "r:xz") as tar:
        tar.extractall(tmp_path, filter="data")
    headers = read_headers(tmp_path).headers
    [series] = find_series(headers).series
    [theirs] = [header.path for header in headers if header.modality == "RTSTRUCT"]
    rois = read_structure_set(theirs).rois.values()
    masks = {f"Organ_{roi.number}": fill_structure(roi, series.stack).mask for roi in rois}
    assert len(masks) >= 4
    reference = reference_of(series)
    assert write(tmp_path / "rs.dcm", masks, reference).notes == ()
    assert same(tmp_path / "rs.dcm", masks, reference)
    said = run("dciodvfy", tmp_path / "rs.dcm")
    assert not any(line.startswith("Error") for line in (said.stdout + said.stderr).splitlines())


@pytest.mark.skipif(shutil.which("plastimatch") is None, reason="needs plastimatch, which is not installed")
@pytest.mark.parametrize(
    ("holes", "options"), [("keyhole", ()), ("keyhole", ("--xor-contours",)), ("nested", ("--xor-contours",))]
)
def test_plastimatch_finds_every_structure_where_it_is(tmp_path, holes, options):
    masks, found = read_by_plastimatch(tmp_path, holes, options)
    assert found.keys() == masks.keys()
    for name, mask in masks.items():
        assert 2 * (found[name] & mask).sum() / (found[name].sum() + mask.sum()) >= 0.99, name


@pytest.mark.skipif(shutil.which("plastimatch") is None, reason="needs plastimatch, which is not installed")
def test_plastimatch_does_not_know_xor_which_is_why_it_is_no_default(tmp_path):
    _, found = read_by_plastimatch(tmp_path, "xor", ("--xor-contours",))
    assert found.keys() == {"Core"}


def read_by_plastimatch(folder, holes, options):
    """Writes a ring and its core; returns their masks, and those that plastimatch makes of the file."""
    sitk = pytest.importorskip("SimpleITK", reason="needs SimpleITK, which is not installed")
    rows, columns = np.mgrid[:90, :110]
    disc = ((rows - 45) / 35) ** 2 + ((columns - 55) / 45) ** 2 < 1
    hole = ((rows - 40) / 12) ** 2 + ((columns - 65) / 15) ** 2 < 1
    reference = series_on_disk(folder / "ct", shape=(4, 90, 110))
    masks = {"Ring": np.stack([disc & ~hole] * 4), "Core": np.stack([hole] * 4)}
    masks["Ring"][0] = False
    write(folder / "rs.dcm", masks, reference, holes=holes)
    said = run(
        *("plastimatch", "convert", *options, "--input", folder / "rs.dcm", "--referenced-ct", folder / "ct"),
        *("--output-prefix", folder / "out", "--prefix-format", "nrrd"),
    )
    assert said.returncode == 0
    images = {file.stem: sitk.ReadImage(file) for file in (folder / "out").glob("*.nrrd")}
    return masks, {name: sitk.GetArrayFromImage(image) > 0 for name, image in images.items()}
