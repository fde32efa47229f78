"""What stands in a structure set beside its contours' shape: patient, references, numbers, and what made it."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.dicom.outgoing.drawn_masks import (
    MADE_BY,
    header_of,
    reference_to,
    ring_with_island,
    same,
    series_on_disk,
    write,
)
from tests.dicom.phantom_series import FRAME, SERIES, STUDY, image_uid, write_multiframe, write_series

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.outgoing.appearance import colour_of
from gossamer.dicom.outgoing.made_by import read_made_by
from gossamer.dicom.outgoing.planning_rules.rules import faults_of
from gossamer.dicom.outgoing.reference import reference_of
from gossamer.dicom.rtstruct.drawing import decimal_text
from gossamer.dicom.series.find import find_series
from gossamer.errors import UnreadableImageError


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
    assert [roi.ROIDisplayColor for roi in file.ROIContourSequence] == [list(colour_of("Parotid_L")), [1, 2, 3]]
    colours = [roi.ROIDisplayColor for roi in other.ROIContourSequence]
    assert colours[1] == list(colour_of("Eye_L"))  # the same in each patient, whatever is empty
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


def test_a_character_set_that_nobody_knows_is_copied_and_no_warning_repeats_it(tmp_path):
    write_series(tmp_path / "ct", shape=(4, 14, 19), patient="Doe^Jane", SpecificCharacterSet="ISO_IR 192")
    for path in (tmp_path / "ct").iterdir():
        path.write_bytes(path.read_bytes().replace(b"ISO_IR 192", b"JANE^DOE 7"))
    [series] = find_series(read_headers(tmp_path / "ct").headers).series
    written = write(tmp_path / "rs.dcm", {"Frame": ring_with_island()}, reference_of(series))
    assert written.notes == ()
    assert b"JANE^DOE 7" in (tmp_path / "rs.dcm").read_bytes()


@pytest.mark.parametrize(
    ("zone", "date", "time"),
    [("-0500", "20260304", "210607"), ("+0545", "20260305", "075107"), ("local", "20260305", "020607"), (None,) * 3],
)
def test_dates_and_times_are_in_the_time_zone_that_is_copied_from_the_ct(tmp_path, zone, date, time):
    now = datetime(2026, 3, 5, 2, 6, 7, tzinfo=UTC)
    reference = series_on_disk(tmp_path / "ct", **({"TimezoneOffsetFromUTC": zone} if zone else {}))
    write(tmp_path / "rs.dcm", {"Frame": ring_with_island()}, reference, now=now)
    file = pydicom.dcmread(tmp_path / "rs.dcm")
    assert file.get("TimezoneOffsetFromUTC") == zone
    expected = (date or "20260305", time or "020607")
    assert (file.StructureSetDate, file.StructureSetTime) == expected
    assert (file.InstanceCreationDate, file.InstanceCreationTime) == expected


def test_what_the_ct_has_empty_is_left_out_unless_it_must_be_there(tmp_path):
    """Specific Character Set and how a CT was de-identified are of type 1C: there with a value, or not at all."""
    reference = series_on_disk(
        tmp_path / "ct",
        SpecificCharacterSet="",
        StudyDescription="",
        StudyID="",
        DeidentificationMethod="",
        DeidentificationMethodCodeSequence=[],
    )
    write(tmp_path / "rs.dcm", {"Frame": ring_with_island()}, reference)
    file = pydicom.dcmread(tmp_path / "rs.dcm")
    assert file["StudyID"].is_empty
    for keyword in (
        "SpecificCharacterSet",
        "StudyDescription",
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
    ):
        assert keyword not in file


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
