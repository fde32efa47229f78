"""De-identified files: what stays, what goes, and that they still refer to each other."""

import shutil
import subprocess
import uuid
from datetime import date

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from tests.dicom.phantom_dose import write_dose
from tests.dicom.phantom_patient import organ, write_patient
from tests.dicom.phantom_series import write_series
from tests.dicom.phantom_structures import put

from gossamer.dicom.deidentify.objects import Treatment, deidentified
from gossamer.dicom.deidentify.pseudonyms import Pseudonyms
from gossamer.dicom.files.header import read_header
from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.rtstruct.filling import fill_structure
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.dicom.series.find import find_series
from gossamer.errors import UnreadableImageError

KEY = Pseudonyms(bytes(32))
AS_THEY_ARE = Treatment(KEY, {})
SHIFTED = Treatment(KEY, {}, shift_dates=True)


def clean(path, treatment=AS_THEY_ARE):
    header = read_header(path)
    return deidentified(header, header.patient_key, treatment)


@pytest.fixture
def cleaned(tmp_path):
    """De-identifies a file; returns it read."""

    def run(path, treatment=AS_THEY_ARE):
        file = clean(path, treatment)
        target = tmp_path / file.name
        target.write_bytes(file.content)
        return pydicom.dcmread(target)

    return run


@pytest.fixture
def slice_path(tmp_path):
    """Writes a slice."""

    def write(**settings):
        [path] = write_series(tmp_path / "ct", shape=(1, 6, 8), **settings)
        return path

    return write


def uids_in(data):
    """All values of UIDs in a data set, by keyword."""
    found = {}
    for element in data.iterall():
        if element.VR == "UI" and element.value:
            found.setdefault(element.keyword, set()).add(str(element.value))
    return found


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless],
)
def test_pixels_stay_byte_for_byte_in_their_transfer_syntax(slice_path, cleaned, syntax):
    path = slice_path(syntax=ExplicitVRLittleEndian if syntax == RLELossless else syntax)
    if syntax == RLELossless:
        file = pydicom.dcmread(path)
        file.compress(RLELossless)
        file.save_as(path)
    before, after = pydicom.dcmread(path), cleaned(path)
    assert after.PixelData == before.PixelData
    assert after.file_meta.TransferSyntaxUID == syntax
    assert (after.pixel_array == before.pixel_array).all()


def test_only_what_is_listed_stays_and_is_a_number_a_code_or_a_uid(slice_path, cleaned):
    def plant(file, _k):
        file.PatientComments, file.InstitutionName, file.ProtocolName = "of Jane Doe", "Planted", "Doe head"
        file.add_new((0x0009, 0x0010), "LO", "PLANTED 1.0")
        file.add_new((0x0009, 0x1001), "LO", "Jane Doe")
        file.add_new((0x6000, 0x3000), "OW", b"Jane Doe")
        item = pydicom.Dataset()
        item.CodeMeaning = "Jane Doe"
        file.RequestAttributesSequence = [item]
        file.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", "DOE"]
        file.KVP, file.SliceLocation, file.SeriesNumber = "120", "7.5", "12345678"

    path = slice_path(change=plant)
    path.write_bytes(path.read_bytes().replace(b"12345678", b"Jane Doe"))
    after = cleaned(path)
    assert "Doe" not in str(after)
    assert "lanted" not in str(after)
    assert not any(element.tag.is_private for element in after.iterall())
    assert list(after.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL"]
    assert (after.KVP, after.SliceLocation, after.SeriesNumber) == (120, 7.5, None)
    assert (after.PatientName, after.PatientID) == (KEY.of("ID of Doe^Jane"), KEY.of("ID of Doe^Jane"))
    texts = [
        one for one in after.iterall() if one.VR not in ("SQ", "DS", "IS", "CS", "UI", "US", "SS", "OW") and one.value
    ]
    stated = {"PatientName", "PatientID", "DeidentificationMethod", "CodeValue", "CodingSchemeDesignator"}
    stated.add("CodeMeaning")
    assert {element.keyword for element in texts} == stated


def test_pixels_of_a_structure_set_and_of_items_go(tmp_path, cleaned):
    def plant(file):
        file.Rows = file.Columns = 1
        file.BitsAllocated, file.PixelRepresentation = 8, 0
        file.PixelData = b"Doe^Jane"
        file["PixelData"].VR = "OW"
        item = pydicom.Dataset()
        item.PixelData = b"Doe^Jane"
        item["PixelData"].VR = "OW"
        for sequence in (file.ReferencedFrameOfReferenceSequence, file.StructureSetROISequence):
            sequence[0].add(item["PixelData"])
            block = sequence[0].private_block(0x0009, "Doe^Jane", create=True)
            block.add_new(1, "OB", b"Doe^Jane")

    path = write_patient(tmp_path / "in", change_set=plant)
    assert path.read_bytes().count(b"Doe^Jane") == 9, "name, ID, three times pixels, twice two private elements"
    assert b"Doe^Jane" not in clean(path).content
    assert not any(e.tag.is_private or e.keyword == "PixelData" for e in cleaned(path).iterall())


def test_an_element_is_written_with_the_vr_of_the_standard_whatever_the_file_says(slice_path, cleaned):
    path = slice_path(syntax=ExplicitVRLittleEndian, PixelPaddingValue=-2000, SmallestImagePixelValue=0)
    content = path.read_bytes()
    planted = content
    for tag, right, wrong in (
        (b"\x18\x00\x60\x00", b"DS", b"JD"),  # KVP
        (b"\x28\x00\x20\x01", b"SS", b"ZQ"),  # Pixel Padding Value
        (b"\x28\x00\x10\x00", b"US", b"ZX"),  # Rows
        (b"\x08\x00\x60\x00", b"CS", b"LO"),  # Modality
    ):
        assert planted.count(tag + right) == 1
        planted = planted.replace(tag + right, tag + wrong)
    path.write_bytes(planted)
    written = clean(path).content
    assert not [wrong for wrong in (b"JD", b"ZQ", b"ZX") if wrong in written]
    after = cleaned(path)
    found = {keyword: after[keyword].VR for keyword in ("KVP", "PixelPaddingValue", "Rows", "Modality")}
    assert found == {"KVP": "DS", "PixelPaddingValue": "SS", "Rows": "US", "Modality": "CS"}
    assert (after.KVP, after.PixelPaddingValue, after.Rows) == (120, -2000, 6)


def test_what_stands_around_and_beside_the_image_goes(slice_path, cleaned):
    def plant(file, _k):
        file.preamble = b"Doe^Jane" * 16
        icon = pydicom.Dataset()
        icon.PixelData = b"Doe^Jane"
        icon["PixelData"].VR = "OW"
        file.IconImageSequence = [icon]
        file.ICCProfile = b"Doe^Jane"
        file.add_new((0x5000, 0x3000), "OW", b"Doe^Jane")  # a curve
        file.add_new((0x6002, 0x3000), "OW", b"Doe^Jane")  # an overlay
        file.add_new((0x6002, 0x0022), "LO", "Doe^Jane")
        file.add_new((0x0010, 0x0000), "UL", 7)  # a group length
        file.DigitalSignaturesSequence = file.OriginalAttributesSequence = [icon]

    path = slice_path(change=plant)
    assert path.read_bytes().count(b"Doe^Jane") > 20
    content = clean(path).content
    assert b"Doe" not in content
    assert content[:132] == bytes(128) + b"DICM"
    after = cleaned(path)
    assert {one.tag.group for one in after} <= {0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0028, 0x7FE0}
    assert not [one for one in after if one.tag.element == 0]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("behind", [b"Doe", b"Doe^Jane" * 2, b"\xfc\xff\xfc\xff\x10\0\0\0Doe^Jane"])
def test_bytes_behind_the_last_element_go(slice_path, syntax, behind):
    path = slice_path(syntax=syntax)
    path.write_bytes(path.read_bytes() + behind)
    assert b"Doe" not in clean(path).content


def test_numbers_that_count_nothing_and_are_as_long_as_a_date_go(slice_path, cleaned):
    settings = {"SeriesNumber": "20240229", "AcquisitionNumber": "1709208000", "InstanceNumber": "123456"}
    after = cleaned(slice_path(**settings))
    assert (after.SeriesNumber, after.AcquisitionNumber, after.InstanceNumber) == (None, None, 123456)


def test_a_date_of_the_first_centuries_keeps_its_eight_digits(slice_path, cleaned):
    moved = cleaned(slice_path(StudyDate="00200101"), SHIFTED).StudyDate
    assert len(moved) == 8
    assert moved < "00200101"


def test_what_was_done_is_stated_in_the_words_and_codes_of_the_standard(slice_path, cleaned):
    def codes(file):
        return [
            (item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning)
            for item in file.DeidentificationMethodCodeSequence
        ]

    path = slice_path()
    after = cleaned(path)
    assert (after.PatientIdentityRemoved, after.LongitudinalTemporalInformationModified) == ("YES", "REMOVED")
    assert after.StudyDate == after.StudyTime == ""
    profile = [
        ("113100", "DCM", "Basic Application Confidentiality Profile"),
        ("113105", "DCM", "Clean Descriptors Option"),
    ]
    assert codes(after) == profile
    moved = cleaned(path, SHIFTED)
    assert moved.LongitudinalTemporalInformationModified == "MODIFIED"
    dates = ("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option")
    assert codes(moved) == [*profile, dates]


def test_dates_of_a_patient_move_together_and_those_of_another_otherwise(tmp_path, cleaned):
    days = {}
    for patient in ("Doe^Jane", "Roe^Rick"):
        for text in ("20240229", "20240310"):
            [path] = write_series(tmp_path / patient / text, shape=(1, 6, 8), patient=patient, StudyDate=text)
            moved = date.fromisoformat(cleaned(path, SHIFTED).StudyDate)
            days.setdefault(patient, set()).add((date.fromisoformat(text) - moved).days)
    assert all(len(found) == 1 for found in days.values())
    [jane], [rick] = days.values()
    assert jane != rick
    assert min(jane, rick) >= 1
    assert max(jane, rick) <= 3653


def test_a_new_uid_is_a_uuid_and_the_same_for_the_same_key_alone():
    new = KEY.uid("1.2.3")
    assert new == Pseudonyms(bytes(32)).uid("1.2.3")
    assert new != Pseudonyms(b"\1" * 32).uid("1.2.3")
    assert new != KEY.uid("1.2.4")
    assert new.startswith("2.25.")
    assert len(new) <= 44
    found = uuid.UUID(int=int(new[5:]))
    assert (found.version, found.variant) == (4, uuid.RFC_4122)


def test_references_hold_between_ct_structures_and_dose_of_two_runs(tmp_path, cleaned):
    structures = write_patient(tmp_path / "in")
    dose = write_dose(tmp_path / "in" / "dose", uid="1.2.3.77")

    def refer(file):
        for keyword, sop_class, uid in (
            ("ReferencedStructureSetSequence", "1.2.840.10008.5.1.4.1.1.481.3", "1.2.3.9"),
            ("ReferencedRTPlanSequence", "1.2.840.10008.5.1.4.1.1.481.5", "1.2.3.10"),
        ):
            item = pydicom.Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
            setattr(file, keyword, [item])

    file = pydicom.dcmread(dose)
    refer(file)
    file.save_as(dose)
    again = Treatment(Pseudonyms(bytes(32)), {})
    images = [cleaned(path) for path in (tmp_path / "in").glob("1.2.3.2-*")]
    drawn, given = cleaned(structures, again), cleaned(dose, again)
    instances = {image.SOPInstanceUID for image in images}
    [frame] = drawn.ReferencedFrameOfReferenceSequence
    [study] = frame.RTReferencedStudySequence
    [series] = study.RTReferencedSeriesSequence
    listed = {item.ReferencedSOPInstanceUID for item in series.ContourImageSequence}
    assert listed == instances
    assert len(instances) == 5
    contours = [c for roi in drawn.ROIContourSequence for c in roi.ContourSequence]
    assert {c.ContourImageSequence[0].ReferencedSOPInstanceUID for c in contours} < instances
    assert study.ReferencedSOPClassUID == "1.2.840.10008.3.1.2.3.1"
    for one in (*images, given, drawn):
        assert one.FrameOfReferenceUID == frame.FrameOfReferenceUID
        assert one.StudyInstanceUID == study.ReferencedSOPInstanceUID
        assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
    assert {image.SeriesInstanceUID for image in images} == {series.SeriesInstanceUID}
    assert given.ReferencedStructureSetSequence[0].ReferencedSOPInstanceUID == drawn.SOPInstanceUID
    assert given.ReferencedRTPlanSequence[0].ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.481.5"
    assert given.FrameIncrementPointer == 0x3004000C
    originals = set().union(*uids_in(pydicom.dcmread(structures)).values(), *uids_in(pydicom.dcmread(dose)).values())
    kept = set().union(*uids_in(drawn).values(), *uids_in(given).values()) & originals
    assert all(uid.startswith("1.2.840.10008.") for uid in kept)


def test_rois_without_a_standard_name_go_with_their_contours_and_observations(tmp_path, cleaned):
    rois = [
        organ(7, "Niere li Dr. Roe", (28, 33)),
        organ(3, "Liver"),
        organ(5, "GTV Jane"),
        organ(9, "milza"),
        organ(2, "Spleen"),
    ]
    path = write_patient(tmp_path / "in", rois=rois)
    names = {"Niere li Dr. Roe": "Kidney_L", "GTV Jane": "", "milza": "Spleen"}
    file = clean(path, Treatment(KEY, names))
    assert (file.rois, file.removed_rois) == (("Kidney_L", "Liver"), 3)
    after = cleaned(path, Treatment(KEY, names))
    listed = {int(item.ROINumber): item.ROIName for item in after.StructureSetROISequence}
    assert listed == {7: "Kidney_L", 3: "Liver"}
    assert {int(item.ReferencedROINumber) for item in after.ROIContourSequence} == {3, 7}
    assert {int(item.ReferencedROINumber) for item in after.RTROIObservationsSequence} == {3, 7}
    assert (after.StructureSetLabel, after.StructureSetDate) == ("RTSTRUCT", "")
    assert b"Jane" not in file.content
    assert b"milza" not in file.content


def test_a_roi_whose_contours_cannot_be_believed_goes(tmp_path, cleaned):
    broken = organ(4, "Spleen")
    broken.contours[0] = b"1\\2\\nan "
    after = cleaned(write_patient(tmp_path / "in", rois=[organ(1, "Liver"), broken]))
    assert [item.ROIName for item in after.StructureSetROISequence] == ["Liver"]


def test_masks_are_the_same_before_and_after(tmp_path):
    structures = write_patient(tmp_path / "in")
    out = tmp_path / "out"
    out.mkdir()
    for header in read_headers(tmp_path / "in").headers:
        file = deidentified(header, header.patient_key, AS_THEY_ARE)
        (out / file.name).write_bytes(file.content)
    masks = []
    for folder, path in ((tmp_path / "in", structures), (out, next(out.glob("RTSTRUCT*")))):
        [series] = find_series(read_headers(folder).headers).series
        roi = read_structure_set(path).by_name["Liver"]
        masks.append(fill_structure(roi, series.stack, series.sop_instance_uids).mask)
    assert masks[0].sum() == 3 * 4 * 5
    assert (masks[0] == masks[1]).all()


def overlay(file, _k):
    file.BitsStored, file.HighBit, file.PixelRepresentation = 12, 11, 0
    file.PixelData = np.full((6, 8), 0x8001, "<u2").tobytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"BurnedInAnnotation": "YES"}, "found Burned In Annotation YES"),
        ({"BurnedInAnnotation": "DOE"}, "found Burned In Annotation another code"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "found a scout"),
        ({"change": overlay}, "do the other bits hold an overlay"),
        ({"PixelData": bytes(96) + b"Doe^Jane"}, "wanted 96 bytes of pixels; found 104"),
        ({"PixelData": None}, "wanted 96 bytes of pixels; found 0"),
        ({"RescaleType": "DOE"}, "wanted RescaleType as DICOM defines it"),
        ({"change": lambda file, _k: put(file, "RescaleSlope", b"Doe ")}, "wanted RescaleSlope as DICOM defines it"),
    ],
)
def test_what_may_hold_words_or_means_something_else_is_refused(slice_path, settings, message):
    with pytest.raises(UnreadableImageError, match=message) as refusal:
        clean(slice_path(**settings))
    assert "DOE" not in str(refusal.value).upper()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"BitsStored": 24, "HighBit": 23}, "found it in 24 of 32; export"),
        ({"PixelData": None, "Rows": None}, "wanted a dose on a grid; found none"),
        ({"PixelData": bytes(480) + b"Doe^Jane"}, "wanted 480 bytes of pixels; found 488"),
    ],
)
def test_a_dose_that_may_hold_something_beside_it_is_refused(tmp_path, settings, message):
    with pytest.raises(UnreadableImageError, match=message):
        clean(write_dose(tmp_path / "dose", **settings))


def test_a_dose_compressed_into_what_is_none_is_refused(tmp_path):
    path = write_dose(tmp_path / "dose", syntax=ExplicitVRLittleEndian)
    file = pydicom.dcmread(path)
    file.file_meta.TransferSyntaxUID = RLELossless
    file.PixelData = pydicom.encaps.encapsulate([b"Doe^Jane"] * 4)
    file["PixelData"].VR = "OB"
    file["PixelData"].is_undefined_length = True
    file.save_as(path)
    with pytest.raises(UnreadableImageError) as refusal:
        clean(path)
    assert "Doe" not in str(refusal.value)


def test_a_relative_dose_of_a_beam_stays_what_it_is(tmp_path, cleaned):
    path = write_dose(tmp_path / "dose", DoseUnits="RELATIVE", DoseSummationType="BEAM", DoseComment="of Doe")
    before, after = pydicom.dcmread(path), cleaned(path)
    assert (after.DoseUnits, after.DoseSummationType, after.PixelData) == ("RELATIVE", "BEAM", before.PixelData)
    assert "DoseComment" not in after


def test_a_structure_set_of_which_no_roi_would_stay_is_refused(tmp_path):
    path = write_patient(tmp_path / "in", rois=[organ(1, "Doe"), organ(2, "PTV")])
    with pytest.raises(UnreadableImageError, match="found none among 2; name them"):
        clean(path)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (dicom3tools), which is not installed")
def test_what_dciodvfy_finds_valid_it_finds_valid_afterwards(tmp_path):
    def part(file, _k):
        file.BodyPartExamined = "CHEST"  # with which Laterality is not wanted

    structures = write_patient(tmp_path / "in", change_ct=part)
    dose = write_dose(
        tmp_path / "in" / "dose", StudyDate="", StudyTime="", StudyID="", AccessionNumber="", ReferringPhysicianName="",
        PatientBirthDate="", PatientSex="", SeriesNumber=1, OperatorsName="", PositionReferenceIndicator="",
        SliceThickness="", InstanceNumber="1", DoseSummationType="BEAM", SpecificCharacterSet="ISO_IR 100",
    )  # fmt: skip
    image = next((tmp_path / "in").glob("1.2.3.2-*"))
    for path in (image, structures, dose):
        for treatment in (AS_THEY_ARE, SHIFTED):
            file = clean(path, treatment)
            (tmp_path / file.name).write_bytes(file.content)
            assert errors_of(tmp_path / file.name) <= errors_of(path), file.name
            assert path != structures or errors_of(tmp_path / file.name) == set()


def errors_of(path):
    said = subprocess.run(["dciodvfy", path], capture_output=True, timeout=60, check=False)
    lines = (said.stdout + said.stderr).decode(errors="replace").splitlines()
    return {line for line in lines if line.startswith("Error")}
