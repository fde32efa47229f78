"""Segmentations as written: placed frame by frame by pydicom alone, read by SimpleITK, judged by dciodvfy."""

import itertools
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.dicom.phantom_series import FRAME, SERIES, STUDY, write_multiframe, write_series
from tests.dicom.phantom_structures import put

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.outgoing import write_segmentation as writer
from gossamer.dicom.outgoing.appearance import colour_of
from gossamer.dicom.outgoing.made_by import MadeBy, read_made_by
from gossamer.dicom.outgoing.reference import reference_of
from gossamer.dicom.outgoing.write_segmentation import write_segmentation
from gossamer.dicom.series.find import find_series
from gossamer.errors import EmptyMaskError, GeometryMismatchError, UsageError

NOW = datetime(2026, 3, 4, 15, 6, 7)
MADE_BY = MadeBy("Gossamer", "0.1.0", "ab" * 32, "gossip: A, B")
AXES = np.eye(3)
PLANES = [
    (*(a * first), *(b * second))
    for first, second in itertools.permutations(AXES, 2)
    for a, b in itertools.product((1, -1), repeat=2)
]
"""Image Orientations along axes: 24; slices run either way along their normal, which makes 48."""

TURNED = (0.8, 0.6, 0.0, -0.48, 0.64, 0.6)
PRONE = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


def reference_to(folder, **settings):
    settings.setdefault("shape", (3, 5, 7))
    write_series(folder, **settings)
    [series] = find_series(read_headers(folder).headers).series
    return reference_of(series)


def two_masks(shape=(3, 5, 7)):
    """Two that overlap, in frames of 35 pixels, which fill no whole number of bytes."""
    rng = np.random.default_rng(5)
    return {"Parotid_L": rng.random(shape) < 0.4, "SpinalCord": rng.random(shape) < 0.5}


def write(path, masks, reference, **settings):
    colours = {name: colour_of(name) for name in masks}
    settings = {"label": "Gossamer", "made_by": MADE_BY, "now": NOW, "colours": colours, **settings}
    return write_segmentation(path, masks, reference, **settings)


def placed(path, reference):
    """Masks by label, each frame where its Plane Position says; read by pydicom alone."""
    file = pydicom.dcmread(path)
    labels = {segment.SegmentNumber: segment.SegmentLabel for segment in file.SegmentSequence}
    masks = {label: np.zeros(reference.stack.shape, bool) for label in labels.values()}
    frames = np.atleast_3d(file.pixel_array).reshape(file.NumberOfFrames, file.Rows, file.Columns)
    shared = file.SharedFunctionalGroupsSequence[0]
    for item, pixels in zip(file.PerFrameFunctionalGroupsSequence, frames, strict=True):
        position = np.array(item.PlanePositionSequence[0].ImagePositionPatient, float)
        away = np.abs(reference.stack.first_xyz - position).max(axis=1)
        assert away.min() < 1e-6
        where = item if "SegmentIdentificationSequence" in item else shared
        number = where.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        masks[labels[number]][away.argmin()] = pixels > 0
    return masks


def same(path, masks, reference):
    found = placed(path, reference)
    assert found.keys() == masks.keys()
    return all((found[name] == mask).all() for name, mask in masks.items())


@pytest.mark.parametrize("against_normal", [False, True])
def test_in_each_of_48_orientations_nothing_changes(tmp_path, against_normal):
    for number, iop in enumerate(PLANES):
        positions = [6.0, 3.0, 0.0] if against_normal else [0.0, 3.0, 6.0]
        reference = reference_to(tmp_path / str(number), shape=(0, 5, 7), positions=positions, iop=iop)
        masks = two_masks()
        write(tmp_path / "seg.dcm", masks, reference)
        assert same(tmp_path / "seg.dcm", masks, reference)
        file = pydicom.dcmread(tmp_path / "seg.dcm")
        assert file.SegmentsOverlap == "YES"
        shared = file.SharedFunctionalGroupsSequence[0]
        assert np.allclose(np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float), iop)
        assert [float(mm) for mm in shared.PixelMeasuresSequence[0].PixelSpacing] == [1.5, 0.75]


@pytest.mark.parametrize(
    "settings",
    [{"iop": TURNED}, {"iop": PRONE}, {"tilt_degrees": 15.0}, {"positions": [0.0, 3.0, 7.5], "shape": (0, 5, 7)}],
)
def test_oblique_prone_tilted_and_uneven_slices_stay_where_they_are(tmp_path, settings):
    reference = reference_to(tmp_path / "ct", **settings)
    write(tmp_path / "seg.dcm", two_masks(), reference)
    assert same(tmp_path / "seg.dcm", two_masks(), reference)


@pytest.mark.parametrize(
    ("ratio", "method", "kept"),
    [(b"8.5\\12", b"ISO_10918_1\\ISO_15444_1", True), (b"much", b"by hand", False), (b"", b"", False)],
)
def test_of_a_ct_that_was_compressed_with_loss_the_segmentation_says_so(tmp_path, ratio, method, kept):
    def change(file, _):
        file.LossyImageCompression = "01"
        put(file, "LossyImageCompressionRatio", ratio)
        put(file, "LossyImageCompressionMethod", method)

    reference = reference_to(tmp_path / "ct", change=change)
    write(tmp_path / "seg.dcm", two_masks(), reference)
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    assert file.LossyImageCompression == "01"
    assert file.get("LossyImageCompressionRatio") == ([8.5, 12.0] if kept else None)
    assert file.get("LossyImageCompressionMethod") == (["ISO_10918_1", "ISO_15444_1"] if kept else None)


def test_what_the_ct_has_empty_is_left_out_unless_it_must_be_there(tmp_path):
    """Specific Character Set and how a CT was de-identified are of type 1C: there with a value, or not at all."""
    reference = reference_to(
        tmp_path / "ct",
        SpecificCharacterSet="",
        StudyDescription="",
        StudyID="",
        DeidentificationMethod="",
        DeidentificationMethodCodeSequence=[],
    )
    write(tmp_path / "seg.dcm", two_masks(), reference)
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    assert file["StudyID"].is_empty
    for keyword in (
        "SpecificCharacterSet",
        "StudyDescription",
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
    ):
        assert keyword not in file


def test_of_any_other_ct_it_says_no_loss(tmp_path):
    write(tmp_path / "seg.dcm", two_masks(), reference_to(tmp_path / "ct"))
    assert pydicom.dcmread(tmp_path / "seg.dcm").LossyImageCompression == "00"


def test_the_file_is_the_ct_s_patient_s_and_names_what_made_it(tmp_path):
    reference = reference_to(tmp_path / "ct")
    before = {path: path.read_bytes() for path in (tmp_path / "ct").iterdir()}
    masks = two_masks() | {"Lens_R": np.zeros((3, 5, 7), bool)}
    written = write(tmp_path / "seg.dcm", masks, reference)
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    assert written.empty == ("Lens_R",)
    assert written.sop_instance_uid == file.SOPInstanceUID
    assert (file.PatientName, file.PatientID, file.StudyDate) == ("Doe^Jane", "ID of Doe^Jane", "20240229")
    assert (file.StudyInstanceUID, file.FrameOfReferenceUID) == (STUDY, FRAME)
    assert file.SegmentationType == "BINARY"
    assert file.NumberOfFrames == 6
    assert file.ContentDescription == "Not reviewed. Left out: Lens_R."
    assert (file.SeriesDescription, file.ContentLabel, file.ContentDate) == ("Gossamer", "GOSSAMER", "20260304")
    [series] = file.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == SERIES
    uids = [image.ReferencedSOPInstanceUID for image in series.ReferencedInstanceSequence]
    assert uids == list(reference.sop_instance_uids)
    parotid, cord = file.SegmentSequence
    assert (parotid.SegmentLabel, parotid.SegmentAlgorithmType) == ("Parotid_L", "AUTOMATIC")
    [kind] = parotid.SegmentedPropertyTypeCodeSequence
    assert (kind.CodingSchemeDesignator, kind.CodeValue) == ("SCT", "45289007")  # parotid gland, SNOMED CT
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "7771000"  # left
    assert "SegmentedPropertyTypeModifierCodeSequence" not in cord.SegmentedPropertyTypeCodeSequence[0]
    said = parotid.SegmentationAlgorithmIdentificationSequence[0]
    assert said.AlgorithmVersion == "0.1.0"
    assert "ab" * 32 in said.AlgorithmParameters
    assert "gossip: A, B" in said.AlgorithmParameters
    assert read_made_by(tmp_path / "seg.dcm") == MADE_BY
    assert {path: path.read_bytes() for path in (tmp_path / "ct").iterdir()} == before


def test_its_date_and_time_are_in_the_time_zone_that_is_copied_from_the_ct(tmp_path):
    reference = reference_to(tmp_path / "ct", TimezoneOffsetFromUTC="-0500")
    write(tmp_path / "seg.dcm", two_masks(), reference, now=datetime(2026, 3, 5, 2, 6, 7, tzinfo=UTC))
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (file.TimezoneOffsetFromUTC, file.ContentDate, file.ContentTime) == ("-0500", "20260304", "210607")


def test_a_character_set_that_nobody_knows_is_copied_and_no_warning_repeats_it(tmp_path):
    write_series(tmp_path / "ct", shape=(3, 5, 7))
    for path in (tmp_path / "ct").iterdir():
        path.write_bytes(path.read_bytes().replace(b"ISO_IR 192", b"JANE^DOE 7"))
    [series] = find_series(read_headers(tmp_path / "ct").headers).series
    write(tmp_path / "seg.dcm", two_masks(), reference_of(series))
    assert b"JANE^DOE 7" in (tmp_path / "seg.dcm").read_bytes()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_name_keeps_its_bytes_even_if_its_character_set_is_wrong(tmp_path, syntax):
    name = "Muñoz^Íñigo".encode("latin-1")
    write_series(tmp_path / "ct", shape=(3, 5, 7), patient="Q" * len(name), PatientID="1", syntax=syntax)
    for path in (tmp_path / "ct").iterdir():
        path.write_bytes(path.read_bytes().replace(b"Q" * len(name), name))
    [series] = find_series(read_headers(tmp_path / "ct").headers).series
    write(tmp_path / "seg.dcm", two_masks(), reference_of(series))
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    assert file.SpecificCharacterSet == "ISO_IR 192"
    assert file.get_item("PatientName").value.strip() == name


def test_frames_of_a_multi_frame_ct_are_referred_to_by_their_numbers(tmp_path):
    write_multiframe(tmp_path / "ct", [26.0, 20.0, 23.0])
    [series] = find_series(read_headers(tmp_path / "ct").headers).series
    reference, masks = reference_of(series), {"Eye_L": np.ones((3, 6, 8), bool)}
    write(tmp_path / "seg.dcm", masks, reference)
    assert same(tmp_path / "seg.dcm", masks, reference)
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    numbers = {
        float(item.PlanePositionSequence[0].ImagePositionPatient[2]): item.DerivationImageSequence[0]
        .SourceImageSequence[0]
        .ReferencedFrameNumber
        for item in file.PerFrameFunctionalGroupsSequence
    }
    assert numbers == {26.0: 1, 20.0: 2, 23.0: 3}
    assert len(file.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1


def test_what_differs_is_found_before_anything_is_on_the_disk(tmp_path, monkeypatch):
    reference = reference_to(tmp_path / "ct")
    pack = writer.packed
    monkeypatch.setattr(writer, "packed", lambda masks, *others: pack({n: ~m for n, m in masks.items()}, *others))
    with pytest.raises(GeometryMismatchError, match=r"structure 1 of 2: .* found 105 voxels that differ"):
        write(tmp_path / "seg.dcm", two_masks(), reference)
    assert [path.name for path in tmp_path.iterdir()] == ["ct"]


def test_empty_masks_wrong_grids_and_wrong_names_write_nothing(tmp_path):
    reference = reference_to(tmp_path / "ct")
    for masks, error in (
        ({"A": np.zeros((3, 5, 7), bool)}, EmptyMaskError),
        ({"A": np.ones((3, 7, 5), bool)}, GeometryMismatchError),
        ({"x" * 65: np.ones((3, 5, 7), bool)}, UsageError),
    ):
        with pytest.raises(error):
            write(tmp_path / "seg.dcm", masks, reference)
    with pytest.raises(UsageError, match="a label of 1 to 16"):
        write(tmp_path / "seg.dcm", two_masks(), reference, label="x" * 17)
    with pytest.raises(GeometryMismatchError):
        write(tmp_path / "seg.dcm", two_masks(), replace(reference, sop_instance_uids=("1.2",)))
    assert [path.name for path in tmp_path.iterdir()] == ["ct"]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (dicom3tools), which is not installed")
def test_dciodvfy_finds_no_error(tmp_path):
    write(tmp_path / "seg.dcm", two_masks(), reference_to(tmp_path / "ct"))
    said = subprocess.run(["dciodvfy", tmp_path / "seg.dcm"], check=False, capture_output=True, text=True, timeout=60)
    lines = (said.stdout + said.stderr).splitlines()
    assert "Segmentation" in lines
    assert [line for line in lines if line.startswith("Error")] == []


def test_itk_finds_each_structure_where_it_is(tmp_path):
    """In frames that fill whole bytes; GDCM, which ITK reads with, wants that."""
    sitk = pytest.importorskip("SimpleITK", reason="needs SimpleITK, which is not installed")
    reference = reference_to(tmp_path / "ct", shape=(3, 6, 8), iop=PRONE)
    masks = two_masks((3, 6, 8))
    write(tmp_path / "seg.dcm", masks, reference)
    image = sitk.ReadImage(tmp_path / "seg.dcm")
    frames = sitk.GetArrayFromImage(image) > 0
    assert frames.shape == (6, 6, 8)
    assert np.allclose(image.GetDirection()[:2], (-1.0, 0.0))
    rising = np.allclose(image.GetOrigin(), reference.stack.first_xyz[0])
    for n, mask in enumerate(masks.values()):
        assert (frames[3 * n : 3 * n + 3] == (mask if rising else mask[::-1])).all()
