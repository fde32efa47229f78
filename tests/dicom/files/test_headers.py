"""Headers of files as they come: sound, foreign, damaged and hostile."""

import os
import struct
import tracemalloc
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian
from tests.dicom.phantom_series import FRAME, SERIES, STUDY, image_uid, write_multiframe, write_series
from tests.dicom.phantom_structures import Drawn, box, put, write_structures

from gossamer.dicom.files import header, open_file
from gossamer.dicom.files.header import read_header
from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.errors import UnreadableImageError


@pytest.fixture
def write_slice(tmp_path):
    """Writes one slice."""

    def write(**settings):
        [path] = write_series(tmp_path / "ct", shape=(1, 6, 8), **settings)
        return path

    return write


def test_what_a_slice_says_is_read_as_plain_values(write_slice):
    header = read_header(write_slice(AcquisitionNumber=2, RescaleType="HU"))
    assert header.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"
    assert (header.sop_instance_uid, header.series_uid) == (image_uid(0), SERIES)
    assert (header.study_uid, header.frame_of_reference_uid) == (STUDY, FRAME)
    assert (header.modality, header.image_type) == ("CT", ("ORIGINAL", "PRIMARY", "AXIAL"))
    assert (header.acquisition_number, header.instance_number) == (2, 1)
    assert (header.rows, header.columns, header.lossy, header.contradicted) == (6, 8, False, False)
    assert (header.patient_key, header.whose) == ("ID of Doe^Jane", "ID of Doe^Jane")
    [plane] = header.planes
    assert (plane.position_xyz, plane.position_text) == ((-100.0, -50.0, 20.0), "-100.0\\-50.0\\20.0")
    assert plane.orientation == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    assert plane.spacing_mm == (1.5, 0.75)
    assert (plane.frame, plane.slope, plane.intercept, plane.unit) == (0, 1.0, -1024.0, "HU")


def test_neither_the_patient_nor_the_path_shows_where_a_header_is_printed(write_slice):
    text = repr(read_header(write_slice(SeriesDescription="Jane Doe")))
    assert not any(word in text for word in ("Doe", "Jane", "ct/", "ID of"))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_a_header_is_the_same_in_every_transfer_syntax(write_slice, syntax):
    plain = read_header(write_slice())
    assert read_header(write_slice(syntax=syntax)) == plain


def test_an_old_export_without_the_mark_of_part_10_is_read(write_slice):
    path = write_slice()
    plain = read_header(path)
    file = pydicom.dcmread(path)
    file.save_as(path, enforce_file_format=False)  # keeps preamble and meta; these are cut off next
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"\x08\x00\x05\x00") :])
    assert read_header(path) == plain


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("ImagePositionPatient", b"-100\\nan\\20 "),
        ("ImagePositionPatient", b"-100\\1_0\\20"),
        ("ImagePositionPatient", b"-100\\-50"),
        ("ImageOrientationPatient", b"1\\0\\0\\0\\1\\"),
        ("PixelSpacing", b""),
        ("PixelSpacing", b"1.5\\inf "),
        ("PixelSpacing", b"1.5\\1E999 "),
    ],
)
def test_broken_numbers_are_no_numbers(write_slice, keyword, text):
    [plane] = read_header(write_slice(change=lambda file, _k: put(file, keyword, text))).planes
    names = {"ImagePositionPatient": "position_xyz", "ImageOrientationPatient": "orientation"}
    assert getattr(plane, names.get(keyword, "spacing_mm")) is None


def test_numbers_longer_than_a_decimal_string_may_be_are_read(write_slice):
    path = write_slice(change=lambda file, _k: put(file, "ImagePositionPatient", b"-100.0000000000000001\\5E+1\\ +20"))
    assert read_header(path).planes[0].position_xyz == (-100.0, 50.0, 20.0)


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192", None])
@pytest.mark.parametrize("patient", ["Nuñez 7".encode(), "Nuñez 7".encode("latin-1"), b" 007 ", b""])
def test_the_key_of_a_patient_is_the_same_from_slices_and_structures(tmp_path, charset, patient):
    def change(file, _k=0):
        file.SpecificCharacterSet, file.PatientID = charset, "placehol"

    [slice_path] = write_series(tmp_path, shape=(1, 4, 5), change=change)
    structures_path = write_structures(tmp_path / "rs", [Drawn(1, "Heart", [box((1, 2), (3, 4))])], change=change)
    for path in (slice_path, structures_path):
        path.write_bytes(path.read_bytes().replace(b"placehol", patient.ljust(8)))
    key = read_header(slice_path).patient_key
    assert key == read_header(structures_path).patient_key
    assert key == read_structure_set(structures_path).patient_key


def test_a_sequence_without_its_end_warns_nobody(tmp_path):
    begin = struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 7)
    (tmp_path / "file").write_bytes(file_of(SOP + begin))
    assert len(read_headers(tmp_path).headers) == 1


def test_a_folder_gives_slices_and_structures_and_counts_the_rest(tmp_path):
    folder = tmp_path / "Doe^Jane"
    write_series(folder / "deep" / "er", shape=(3, 4, 5))
    write_structures(folder / "rs.dcm", [Drawn(1, "Heart", [box((1, 2), (3, 4))])])
    (folder / "notes.txt").write_text("the patient Jane Doe")
    (folder / "empty").touch()
    (folder / "picture.png").write_bytes(b"\x89PNG" + bytes(300))
    (folder / "link").symlink_to(folder / "rs.dcm")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    seen = []
    found = read_headers(folder, on_file=lambda done, of: seen.append((done, of)))
    assert sorted(header.modality for header in found.headers) == ["CT", "CT", "CT", "RTSTRUCT"]
    assert (found.not_dicom, found.unreadable, found.repeated) == (3, (), 0)
    assert seen == [(n, 7) for n in range(1, 8)]
    structures = next(header for header in found.headers if header.modality == "RTSTRUCT")
    assert structures.planes == ()


def test_several_workers_give_what_one_does(tmp_path):
    write_series(tmp_path, shape=(5, 4, 5))
    (tmp_path / "notes.txt").write_text("nothing")
    assert read_headers(tmp_path, workers=2) == read_headers(tmp_path)


def test_a_file_twice_under_two_names_is_taken_once(tmp_path):
    paths = write_series(tmp_path, shape=(3, 4, 5))
    (tmp_path / "X.0001.dcm").write_bytes(paths[1].read_bytes())
    found = read_headers(tmp_path)
    assert sorted(header.sop_instance_uid for header in found.headers) == [image_uid(k) for k in range(3)]
    assert found.repeated == 1


def test_two_contents_under_one_uid_are_both_marked(tmp_path):
    paths = write_series(tmp_path, shape=(3, 4, 5))
    (tmp_path / "X.0001.dcm").write_bytes(paths[1].read_bytes()[:-2] + b"\x07\x07")
    found = read_headers(tmp_path)
    marked = [header.sop_instance_uid for header in found.headers if header.contradicted]
    assert marked == [image_uid(1)] * 2
    assert (len(found.headers), found.repeated) == (4, 0)


def test_a_multi_frame_ct_without_a_group_for_each_frame_is_refused(tmp_path, monkeypatch):
    [path] = write_multiframe(tmp_path, [20, 23, 26])
    assert len(read_header(path).planes) == 3
    monkeypatch.setattr(header, "MAX_FRAMES", 2)
    with pytest.raises(UnreadableImageError, match="at most 2; found 3 frames and 3 groups"):
        read_header(path)
    [path] = write_series(tmp_path, shape=(1, 6, 8), NumberOfFrames=2)
    with pytest.raises(UnreadableImageError, match="found 2 frames and 0 groups; export the series as single slices"):
        read_header(path)


# Damaged and hostile files


def element(group, number, vr, value):
    """Explicit VR Little Endian."""
    return struct.pack("<HH", group, number) + vr + struct.pack("<H", len(value)) + value


def file_of(content, syntax=b"1.2.840.10008.1.2.1", sop_class=b"1.2.840.10008.5.1.4.1.1.2"):
    meta = b"".join(
        element(2, number, b"UI", uid + b"\0" * (len(uid) % 2)) for number, uid in ((2, sop_class), (0x10, syntax))
    )
    return bytes(128) + b"DICM" + element(2, 0, b"UL", struct.pack("<I", len(meta))) + meta + content


SOP = element(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0") + element(8, 0x18, b"UI", b"1.2.3.4\0")


def outcome_of(path):
    """What kind of answer a file gets, and the message of a refusal."""
    try:
        return type(read_header(path)).__name__, ""
    except UnreadableImageError as error:
        return "refused", str(error)


def test_a_file_cut_off_anywhere_is_read_or_refused_and_never_more(write_slice):
    path = write_slice()
    content = path.read_bytes()
    outcomes = {}
    for size in range(0, len(content) - 96, 7):
        path.write_bytes(content[:size])
        outcome, message = outcome_of(path)
        outcomes[outcome] = outcomes.get(outcome, "") + message
    assert sorted(outcomes) == ["Header", "NoneType", "refused"]
    assert "Doe" not in outcomes["refused"]
    assert "ct/" not in outcomes["refused"]


@pytest.mark.parametrize("seed", range(4))
def test_files_with_changed_bytes_are_read_or_refused_and_never_more(write_slice, seed):
    path = write_slice()
    content = path.read_bytes()
    rng = np.random.default_rng(seed)
    for _ in range(60):
        changed = bytearray(content)
        for place in rng.integers(132, len(content), rng.integers(1, 9)):
            changed[place] = rng.integers(256)
        path.write_bytes(changed)
        assert "Doe" not in outcome_of(path)[1]


def test_sequences_nested_without_end_refuse_the_file_alone(tmp_path):
    write_series(tmp_path, shape=(2, 4, 5))
    begin = struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    (tmp_path / "nested").write_bytes(file_of(SOP + begin * 20_000))
    found = read_headers(tmp_path)
    assert len(found.headers) == 2
    [message] = found.unreadable
    assert message == (
        "file 3 of 3, in the order of their paths: wanted a DICOM file; "
        "found one that cannot be read (RecursionError); copy or export it again"
    )


def test_a_deflate_bomb_is_refused_before_it_grows(tmp_path, monkeypatch):
    monkeypatch.setattr(open_file, "MAX_INFLATED_BYTES", 2**20)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    filler = struct.pack("<HH2sHI", 9, 0x10, b"OB", 0, 2**21) + bytes(2**21)
    bomb = packer.compress(SOP + filler) + packer.flush()
    (tmp_path / "bomb").write_bytes(file_of(bomb, b"1.2.840.10008.1.2.1.99"))
    assert (tmp_path / "bomb").stat().st_size < 4_000
    with pytest.raises(UnreadableImageError, match="wanted a deflated data set of at most 1 MiB; found more"):
        read_header(tmp_path / "bomb")


@pytest.mark.parametrize("tag", [(0x8, 0x1010), (0x20, 0xD)])
def test_a_length_of_gigabytes_in_a_small_file_costs_no_memory(tmp_path, tag):
    content = struct.pack("<HH2sHI", *tag, b"UN", 0, 0xFFFFFFF0) + b"1.2"
    (tmp_path / "huge").write_bytes(file_of(SOP + content))
    tracemalloc.start()
    found = read_headers(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()
    if tag == (0x20, 0xD):  # one that is read; the other one is passed over, and nothing stands behind it
        assert found.unreadable == (
            "file 1 of 1, in the order of their paths: wanted 4,294,967,280 bytes of element (0020,000D); found 3, "
            "the file is cut off; copy or export it again",
        )
    else:
        assert found.headers[0].series_uid == ""


@pytest.mark.parametrize(("size", "kept"), [(2**20, True), (2**20 + 2, False)])
def test_a_text_longer_than_any_is_not_carried_out_of_its_process(tmp_path, size, kept):
    name = struct.pack("<HH2sHI", 0x10, 0x20, b"UT", 0, size) + b"x" * size
    (tmp_path / "long").write_bytes(file_of(SOP + name))
    found = read_headers(tmp_path)
    assert len(found.headers) == kept
    if not kept:
        [message] = found.unreadable
        assert message.endswith(
            "wanted at most 1 MiB in element (0010,0020); found 1,048,578 bytes; export the file again"
        )


def test_a_directory_of_files_is_no_object_of_its_own_and_a_file_without_one_is_refused(tmp_path):
    (tmp_path / "DICOMDIR").write_bytes(file_of(b"", sop_class=b"1.2.840.10008.1.3.10"))
    (tmp_path / "cut").write_bytes(file_of(b""))
    found = read_headers(tmp_path)
    assert found.not_dicom == 1
    assert found.unreadable == (
        "file 2 of 2, in the order of their paths: wanted a DICOM object; found a file without SOP Instance UID; "
        "copy or export it again",
    )


def test_a_file_larger_than_any_series_is_refused_by_its_size(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.write(file_of(SOP))
        file.truncate(2**31 + 2**29)  # sparse
    with pytest.raises(UnreadableImageError, match=r"at most 2 GiB; found 2\.50 GiB"):
        read_header(tmp_path / "large")


def test_a_file_that_may_not_be_read_is_counted_as_unreadable(tmp_path, monkeypatch):
    write_series(tmp_path, shape=(2, 4, 5))

    def refuse(_path):
        raise PermissionError(13, "Permission denied", "Doe^Jane")

    monkeypatch.setattr(header, "start_of", refuse)
    found = read_headers(tmp_path)
    assert [message.split("(")[1] for message in found.unreadable] == ["PermissionError); copy or export it again"] * 2


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UnreadableImageError, match="found one that cannot be listed: No such file or directory"):
        read_headers(tmp_path / "nowhere")
