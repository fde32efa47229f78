"""Structure sets as other systems write them: what is read, what is left out and what is refused."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.dicom.phantom_structures import Drawn, box, contour_item, write_structures

from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.dicom.rtstruct.structure_set import ImageReference, RoiState
from gossamer.errors import UnreadableImageError

HEART = Drawn(2, "Heart", [box((10, 11), (20, 23))])


@pytest.fixture
def read(tmp_path):
    """Writes a structure set and reads it."""

    def both(rois, **settings):
        return read_structure_set(write_structures(tmp_path / "rs.dcm", rois, **settings))

    return both


def test_what_the_file_says_is_read_as_plain_values(read):
    structures = read([Drawn(2, "Heart", [box((10, 11), (20, 23))], images=["1.2.3.4.1"])])
    assert (structures.label, structures.date, structures.time) == ("Plan", "20240229", "123000")
    assert (structures.approval_status, structures.manufacturer) == ("UNAPPROVED", "Phantom")
    assert (structures.sop_instance_uid, structures.study_uid) == ("1.2.3.9", "1.2.3.1")
    assert structures.frame_of_reference_uids == ("1.2.3.3",)
    assert structures.series_uids == ("1.2.3.2",)
    assert structures.referenced_study_uids == ("1.2.3.1",)
    assert structures.image_uids == {"1.2.3.4.1"}
    heart = structures.rois[2]
    assert (heart.name, heart.name_bytes, heart.interpreted_type) == ("Heart", b"Heart ", "ORGAN")
    assert (heart.state, heart.refusal, heart.notes) == (RoiState.CONTOURED, "", ())
    assert heart.image_uids == {"1.2.3.4.1"}
    [contour] = heart.contours
    assert contour.kind == "CLOSED_PLANAR"
    assert contour.points_xyz.tolist() == [
        [-90.25, -40.5, 20],
        [-88.25, -40.5, 20],
        [-88.25, -38.5, 20],
        [-90.25, -38.5, 20],
    ]
    assert structures.notes == ()


def test_neither_names_nor_the_patient_show_where_the_values_are_printed(read):
    structures = read([Drawn(2, "Heart Jane Doe", [box((10, 11), (20, 23))])], label="Jane Doe")
    assert "Doe" not in repr(structures)
    assert "P1" not in repr(structures)


def test_the_three_sequences_are_joined_by_number_whatever_their_order_and_gaps(read):
    def shuffle(file):
        file.ROIContourSequence = [file.ROIContourSequence[n] for n in (2, 0, 1)]
        file.RTROIObservationsSequence = [file.RTROIObservationsSequence[n] for n in (1, 2, 0)]

    rois = [
        Drawn(n, name, [box((n % 7, 8), (3, 9))], interpreted_type=kind)
        for n, name, kind in ((2, "A", "ORGAN"), (63, "B", "PTV"), (19, "C", "GTV"))
    ]
    structures = read(rois, change=shuffle)
    for roi in rois:
        found = structures.rois[roi.number]
        assert (found.name, found.interpreted_type) == (roi.name, roi.interpreted_type)
        assert (found.contours[0].points_xyz == roi.contours[0]).all()


def test_a_roi_without_item_is_absent_and_one_without_contours_declared_empty(read):
    def change(file):
        del file.ROIContourSequence[0]
        del file.ROIContourSequence[0].ContourSequence
        file.ROIContourSequence[1].ContourSequence = []
        file.ROIContourSequence[2].ContourSequence = [contour_item(b"")]

    structures = read([Drawn(n, str(n), [box((1, 2), (3, 4))]) for n in (1, 2, 3, 4)], change=change)
    states = [structures.rois[n].state for n in (1, 2, 3, 4)]
    assert states == [RoiState.ABSENT, *[RoiState.DECLARED_EMPTY] * 3]


def test_contours_and_observations_without_a_roi_are_said_and_left_out(read):
    def change(file):
        file.ROIContourSequence[0].ReferencedROINumber = "7"
        file.RTROIObservationsSequence[0].ReferencedROINumber = "8"

    structures = read([HEART], change=change)
    assert structures.rois.keys() == {2}
    assert structures.rois[2].state is RoiState.ABSENT
    assert structures.notes == (
        "ROI 7 has contours and is not in the list of ROIs; it is left out",
        "ROI 8 has an observation and is not in the list of ROIs",
    )


def test_a_number_that_only_python_takes_is_none(read):
    def change(file):
        file["StructureSetROISequence"][0]["ROINumber"]._value = "1_0"

    structures = read([Drawn(1, "Lung_L"), HEART], change=change)
    assert structures.rois.keys() == {2}
    assert "items without a ROI number in the list of ROIs, left out: 1" in structures.notes


def test_of_two_rois_with_one_name_neither_is_taken_by_name_nor_one_without(read):
    structures = read([Drawn(1, "Lung_L"), Drawn(4, "LUNG_L"), Drawn(5, ""), HEART])
    assert structures.by_name.keys() == {"Heart"}
    assert structures.notes == (
        "ROI 5 without a name; not taken by name",
        "ROIs 1, 4 with one and the same name; none of them is taken by name",
    )


def test_a_number_listed_twice_is_nobodys_and_contours_in_two_items_are_refused(read):
    def change(file):
        file.ROIContourSequence[2].ReferencedROINumber = "2"

    structures = read([HEART, Drawn(3, "A"), Drawn(9, "B", HEART.contours), Drawn(3, "C")], change=change)
    assert structures.rois.keys() == {2, 9}
    assert "ROI 3 is listed 2 times; none of them is taken" in structures.notes
    assert structures.rois[2].refusal.startswith("ROI 2: wanted one item of contours; found 2")
    assert structures.rois[2].contours == ()


def test_points_and_open_lines_are_listed_as_no_volume(read):
    structures = read([Drawn(1, "Iso", [np.array([[1.0, 2.0, 3.0]])], kind="POINT"), HEART])
    iso = structures.rois[1]
    assert not iso.is_volume
    assert iso.contours[0].points_xyz.tolist() == [[1, 2, 3]]
    assert iso.notes == ("ROI 1: contours of type POINT, which are not a volume: 1",)


def test_a_vendors_interpolated_contours_are_taken_with_a_note(read):
    heart = read([Drawn(2, "Heart", HEART.contours, kind="INTERPOLATED_PLANAR")]).rois[2]
    assert heart.is_volume
    assert heart.notes == ("ROI 2: contours of type INTERPOLATED_PLANAR, taken as CLOSED_PLANAR: 1",)


def test_contours_of_fewer_than_three_distinct_points_are_skipped_and_counted(read):
    [[a, b, _, _]] = HEART.contours
    contours = [HEART.contours[0], np.array([a]), np.array([a, b]), np.array([a, b, a, b]), np.array([a, a, a])]
    heart = read([Drawn(2, "Heart", contours)]).rois[2]
    assert len(heart.contours) == 1
    assert heart.notes == ("ROI 2: contours of fewer than 3 distinct points, skipped: 4",)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"1\\2\\3\\4\\5", "wanted three numbers a point; found 5 numbers"),
        (b"1\\2\\3\\4\\5\\nan\\7\\8\\9", "found 3 characters that no finite number has"),
        (b"1\\2\\3\\4\\5\\inf\\7\\8\\9", "found 3 characters that no finite number has"),
        (b"1\\2\\3\\4\\5\\1e999\\7\\8\\9", "found one more than 100 m away"),
        (b"1,5\\2\\3\\4\\5\\6\\7\\8\\9", "found 1 characters that no finite number has"),
        (b"1_5\\2\\3\\4\\5\\6\\7\\8\\9", "found 1 characters that no finite number has"),
        (b"1\\\\3\\4\\5\\6\\7\\8\\9", "found text that is none"),
    ],
)
def test_broken_numbers_cost_the_roi_that_has_them_and_no_other(read, data, found):
    structures = read([HEART, Drawn(7, "Lung", [box((1, 2), (3, 4)), data])])
    lung = structures.rois[7]
    assert lung.refusal.startswith("ROI 7, contour 2 of 2: wanted ")
    assert found in lung.refusal
    assert (lung.state, lung.contours) == (RoiState.CONTOURED, ())
    assert structures.rois[2].refusal == ""


def test_a_contour_with_fewer_points_than_it_claims_is_refused(read):
    def change(file):
        file.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = "5"

    assert "wanted the 5 points that it claims; found 4" in read([HEART], change=change).rois[2].refusal


def test_a_contour_that_lost_the_points_it_claims_is_refused_and_one_without_is_counted(read):
    def change(file):
        file.ROIContourSequence[0].ContourSequence[1].NumberOfContourPoints = claimed

    claimed = "4"
    heart = read([Drawn(2, "Heart", [HEART.contours[0], b""])], change=change).rois[2]
    assert "contour 2 of 2: wanted the 4 points that it claims; found 0" in heart.refusal
    claimed = "0"
    heart = read([Drawn(2, "Heart", [HEART.contours[0], b""])], change=change).rois[2]
    assert (len(heart.contours), heart.refusal) == (1, "")
    assert heart.notes == ("ROI 2: contours without points, skipped: 1",)


def test_numbers_of_more_than_16_characters_are_read_to_the_last_digit(read):
    digits = b"-90.123456789012345\\-40.50000000000000001\\20\\1e1\\+2\\20\\ 3 \\4.\\20"
    [contour] = read([Drawn(2, "Heart", [digits])]).rois[2].contours
    assert contour.points_xyz.tolist() == [[-90.123456789012345, -40.5, 20], [10, 2, 20], [3, 4, 20]]


@pytest.mark.parametrize("explicit", [False, True])
def test_a_contour_of_more_than_65534_bytes_is_read_also_where_explicit_vr_made_it_un(read, tmp_path, explicit):
    angle = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    circle = np.round(np.stack([-90 + 8 * np.cos(angle), -40 + 8 * np.sin(angle), 20 + 0 * angle], axis=1), 4)
    [contour] = read([Drawn(2, "Heart", [circle])], explicit=explicit).rois[2].contours
    item = pydicom.dcmread(tmp_path / "rs.dcm").ROIContourSequence[0].ContourSequence[0]
    assert item.get_item("ContourData").length > 65534
    vr = item.get_item("ContourData").VR
    assert vr == "UN" if explicit else vr is None
    assert (contour.points_xyz == circle).all()


def test_what_is_of_type_3_may_be_missing(read):
    def change(file):
        del file.ReferencedFrameOfReferenceSequence
        del file.RTROIObservationsSequence
        del file.ApprovalStatus
        del file.StructureSetDate
        del file.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints

    structures = read([HEART], change=change)
    assert structures.frame_of_reference_uids == ("1.2.3.3",)  # the ROI's own
    assert (structures.series_uids, structures.date, structures.approval_status) == ((), "", "")
    assert structures.rois[2].interpreted_type == ""
    assert len(structures.rois[2].contours) == 1


def test_empty_references_are_none(read):
    [contour] = read([Drawn(2, "Heart", HEART.contours, images=[""])]).rois[2].contours
    assert contour.images == ()


@pytest.mark.parametrize(("text", "frames"), [(["3"], (3,)), (["2", "5"], (2, 5)), (None, ()), ([""], ())])
def test_a_reference_may_name_frames_of_a_file(read, text, frames):
    def change(file):
        image = file.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0]
        if text is not None:
            image.ReferencedFrameNumber = text

    [contour] = read([Drawn(2, "Heart", HEART.contours, images=["1.2.9"])], change=change).rois[2].contours
    assert contour.images == (ImageReference("1.2.9", frames),)


@pytest.mark.parametrize(
    ("charset", "data", "name"),
    [
        ("ISO_IR 100", "Riñón".encode("latin-1"), "Riñón"),
        ("ISO_IR 192", "Riñón".encode(), "Riñón"),
        ("ISO_IR 192", "Riñón".encode("latin-1"), "Ri\ufffd\ufffdn"),
        (None, "Riñón".encode(), "Riñón"),
        (None, "Riñón".encode("latin-1"), "Riñón"),
        ("ISO_IR 100", b"Heart\\2 ", "Heart\\2"),
    ],
)
def test_names_are_decoded_and_their_bytes_are_kept(tmp_path, charset, data, name):
    path = write_structures(tmp_path / "rs.dcm", [Drawn(2, "#" * len(data), HEART.contours)], charset=charset)
    path.write_bytes(path.read_bytes().replace(b"#" * len(data), data))
    roi = read_structure_set(path).rois[2]
    assert roi.name == name
    assert roi.name_bytes.strip() == data.strip()
    assert bool(roi.notes) == (charset is None)


def test_a_file_without_preamble_is_read(tmp_path):
    path = write_structures(tmp_path / "rs.dcm", [HEART])
    file = pydicom.dcmread(path)
    bare = Dataset()
    bare.update({element.tag: element for element in file})
    bare.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert path.read_bytes()[128:132] != b"DICM"
    assert read_structure_set(path).rois[2].name == "Heart"


def test_a_file_that_is_no_structure_set_is_refused(read, tmp_path):
    def change(file):
        file.SOPClassUID, file.Modality = "1.2.840.10008.5.1.4.1.1.481.5", "RTPLAN"

    with pytest.raises(UnreadableImageError, match="found RTPLAN"):
        read([HEART], change=change)
    (tmp_path / "text").write_text("no DICOM at all")
    with pytest.raises(UnreadableImageError, match=r"found (no DICOM object|a file that cannot be read)"):
        read_structure_set(tmp_path / "text")


def test_a_missing_file_is_refused_without_its_path(tmp_path):
    with pytest.raises(UnreadableImageError) as caught:
        read_structure_set(tmp_path / "Doe^Jane.dcm")
    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize("undefined", [False, True])
def test_a_file_cut_off_anywhere_behind_the_list_of_rois_is_refused(tmp_path, undefined):
    def change(file):
        for element in file.iterall():
            element.is_undefined_length = undefined and element.VR == "SQ"
            for item in element.value if element.VR == "SQ" else []:
                item.is_undefined_length_sequence_item = undefined

    path = write_structures(tmp_path / "rs.dcm", [Drawn(n, f"R{n}", HEART.contours) for n in (1, 2)], change=change)
    whole = path.read_bytes()
    assert (b"\xff\xff\xff\xff" in whole) == undefined
    begin = whole.index(b"\x06\x30\x39\x00") + 8  # (3006,0039) ROI Contour Sequence: tag, then four bytes of length
    end = whole.index(b"\x06\x30\x80\x00")  # (3006,0080) RT ROI Observations Sequence
    for size in range(begin, end, 7):
        path.write_bytes(whole[:size])
        with pytest.raises(UnreadableImageError):
            read_structure_set(path)


def test_sequences_nested_without_end_are_refused(tmp_path):
    path = write_structures(tmp_path / "rs.dcm", [HEART])
    opened = b"\x06\x30\x39\x00\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"  # a sequence, and in it an item
    path.write_bytes(path.read_bytes() + opened * 3000)
    with pytest.raises(UnreadableImageError, match="RecursionError"):
        read_structure_set(path)


def test_an_unknown_character_set_costs_no_file(tmp_path):
    path = write_structures(tmp_path / "rs.dcm", [HEART], charset="ISO_IR 144")
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 144", b"ISO_IR 999"))
    assert read_structure_set(path).rois[2].name == "Heart"
