"""Each rule finds a file that was broken for it, and none finds a file as it is written."""

from datetime import datetime

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian
from tests.dicom.phantom_series import write_series
from tests.dicom.phantom_structures import Drawn, box, write_structures

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.outgoing.made_by import MadeBy
from gossamer.dicom.outgoing.planning_rules.rules import RULES, faults_of
from gossamer.dicom.outgoing.reference import reference_of
from gossamer.dicom.outgoing.write_structure_set import write_structure_set
from gossamer.dicom.series.find import find_series
from gossamer.errors import UnreadableImageError


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Path of a structure set of two organs."""
    folder = tmp_path_factory.mktemp("sound")
    write_series(folder / "ct", shape=(3, 12, 16))
    [series] = find_series(read_headers(folder / "ct").headers).series
    mask = np.zeros((3, 12, 16), bool)
    mask[:2, 2:10, 3:12] = True
    mask[:, 4:7, 5:9] = False
    now, made_by = datetime(2026, 3, 4), MadeBy("Gossamer", "0.1.0", "ab" * 32)
    masks = {"Lung_L": mask, "Lung_R": ~mask}
    write_structure_set(folder / "rs.dcm", masks, reference_of(series), label="Auto", made_by=made_by, now=now)
    return folder / "rs.dcm"


def raw(data, keyword, value):
    """Put bytes into a data set as they are."""
    tag = Tag(keyword)
    value += b" " * (len(value) % 2)
    data[tag] = RawDataElement(tag, "UN", len(value), value, 0, True, True)


def series_of(file):
    return file.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]


def contour_of(file):
    return file.ROIContourSequence[1].ContourSequence[0]


def points_of(file):
    return contour_of(file).get_item("ContourData").value.strip().split(b"\\")


def set_points(file, values, count=None):
    raw(contour_of(file), "ContourData", b"\\".join(values))
    raw(contour_of(file), "NumberOfContourPoints", str(count or len(values) // 3).encode())


def tilt(file):
    values = np.array(points_of(file), dtype=float).reshape(-1, 3)
    values[:, 2] += values[:, 0] / 10
    set_points(file, [f"{v:.4f}".encode() for v in values.ravel()])


def lift_a_point(file):
    values = points_of(file)
    set_points(file, [*values[:2], b"77.7", *values[3:]])


def without(*keywords):
    def change(file):
        for keyword in keywords:
            del file[keyword]

    return change


def with_(where, **elements):
    def change(file):
        for keyword, value in elements.items():
            raw(where(file), keyword, value)

    return change


def top(file):
    return file


BROKEN = {
    "Implicit VR Little Endian": lambda file: setattr(file.file_meta, "TransferSyntaxUID", ExplicitVRLittleEndian),
    "an RT Structure Set": with_(top, Modality=b"CT"),
    "patient's elements present": without("PatientBirthDate"),
    "patient has name and ID": with_(top, PatientID=b""),
    "a study": with_(top, StudyInstanceUID=b""),
    "study's elements present": without("ReferringPhysicianName"),
    "a series": without("SeriesInstanceUID"),
    "series' elements present": without("SeriesNumber"),
    "a series of its own": lambda file: setattr(file, "SeriesInstanceUID", series_of(file).SeriesInstanceUID),
    "one UID for the object": with_(top, SOPInstanceUID=b"1.2.3"),
    "an object with a UID": with_(top, SOPInstanceUID=b""),
    "a frame of reference": without("FrameOfReferenceUID"),
    "position reference indicator present": without("PositionReferenceIndicator"),
    "manufacturer present": without("Manufacturer"),
    "a character set": lambda file: (without("SpecificCharacterSet")(file), setattr(file, "PatientName", "Muñoz")),
    "a label": with_(top, StructureSetLabel=b""),
    "texts not too long": with_(top, StructureSetLabel=b"seventeen letters"),
    "date and time present": without("StructureSetDate"),
    "one series referred to": without("ReferencedFrameOfReferenceSequence"),
    "the images' study": with_(top, StudyInstanceUID=b"1.2.3.77"),
    "images listed": lambda file: series_of(file).ContourImageSequence.clear(),
    "three sequences of the same ROIs": lambda file: file.ROIContourSequence.pop(),
    "ROI Numbers": with_(lambda file: file.StructureSetROISequence[0], ROINumber=b"2"),
    "names of 16 characters": with_(lambda file: file.StructureSetROISequence[0], ROIName=b"Femoral Head Left"),
    "names that differ": with_(lambda file: file.StructureSetROISequence[0], ROIName=b"LUNG_r"),
    "ROIs' elements": with_(lambda file: file.StructureSetROISequence[0], ReferencedFrameOfReferenceUID=b"1.9"),
    "observations' elements": lambda file: without("ROIInterpreter")(file.RTROIObservationsSequence[0]),
    "not approved by itself": with_(top, ApprovalStatus=b"APPROVED"),
    "a colour": with_(lambda file: file.ROIContourSequence[0], ROIDisplayColor=b"1\\2\\2.5"),
    "no empty ROI": lambda file: file.ROIContourSequence[1].ContourSequence.clear(),
    "one image a contour": lambda file: without("ContourImageSequence")(contour_of(file)),
    "an image that is listed": with_(
        lambda file: contour_of(file).ContourImageSequence[0], ReferencedSOPInstanceUID=b"1.2.3.77"
    ),
    "a type of the standard": with_(contour_of, ContourGeometricType=b"INTERPOLATED_PLANAR"),
    "no XOR": with_(contour_of, ContourGeometricType=b"CLOSEDPLANAR_XOR"),
    "counts of points": with_(contour_of, NumberOfContourPoints=b"8.0"),
    "three points or more": lambda file: set_points(file, points_of(file)[:6]),
    "first point not repeated": lambda file: set_points(file, points_of(file) + points_of(file)[:3]),
    "numbers": lambda file: set_points(file, [b"nan", *points_of(file)[1:]]),
    "numbers of 16 characters": lambda file: set_points(file, [b"-90.25000000000001", *points_of(file)[1:]]),
    "contours of 65,534 bytes": lambda file: set_points(file, points_of(file) * 900),
    "flat contours": lift_a_point,
    "planes along an axis": tilt,
}


def rules_broken(path):
    return {fault.partition(":")[0] for fault in faults_of(path)}


def test_a_file_as_it_is_written_has_no_fault(sound):
    assert faults_of(sound) == ()


def test_there_is_a_broken_file_for_each_rule():
    assert [rule.name for rule in RULES] == list(BROKEN)
    assert all(rule.source for rule in RULES)


@pytest.mark.parametrize("name", BROKEN)
def test_each_rule_finds_what_breaks_it(tmp_path, sound, name):
    file = pydicom.dcmread(sound)
    BROKEN[name](file)
    file.save_as(tmp_path / "broken.dcm")
    faults = [fault for fault in faults_of(tmp_path / "broken.dcm") if fault.startswith(f"{name}: ")]
    assert faults
    [source] = [rule.source for rule in RULES if rule.name == name]
    assert all(fault.endswith(f"({source})") for fault in faults)
    assert not any(
        text in fault for fault in faults for text in ("Lung", "LUNG", "Femoral", "Doe", "Mu", str(tmp_path))
    )


def test_faults_are_counted_by_contour_and_say_where(tmp_path, sound):
    file = pydicom.dcmread(sound)
    set_points(file, points_of(file) + points_of(file)[:3])
    file.save_as(tmp_path / "broken.dcm")
    assert faults_of(tmp_path / "broken.dcm") == (
        "first point not repeated: ROI 2, contour 1: its last point repeats the first (PS3.3 C.8.8.6.1)",
    )


def test_a_poor_file_of_another_hand_is_told_all_its_faults(tmp_path):
    rois = [Drawn(1, "Heart", [box((3, 5), (3, 5))]), Drawn(2, "heart", [[[0.0, 0, 20]]], kind="POINT")]
    path = write_structures(tmp_path / "poor.dcm", rois, explicit=True)
    assert rules_broken(path) == {
        *("Implicit VR Little Endian", "patient's elements present", "patient has name and ID"),
        *("study's elements present", "series' elements present", "a frame of reference"),
        *("position reference indicator present", "names that differ", "a colour", "one image a contour"),
    }


def test_what_is_no_dicom_file_is_an_error_and_no_fault(tmp_path):
    (tmp_path / "note.txt").write_text("nothing")
    with pytest.raises(UnreadableImageError):
        faults_of(tmp_path / "note.txt")
