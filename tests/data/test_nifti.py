"""A file from outside is an image in millimetres, or one sentence that says what is wrong with it."""

import gzip
import struct
import tracemalloc
from contextlib import suppress

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gossamer.data import nifti
from gossamer.data.nifti import read_file, write_file
from gossamer.errors import UnreadableImageError

WHAT = "case p1, image"
AFFINE = np.array([[0.9, 0, 0, -40.0], [0, 0.8, 0, 12.0], [0, 0, 3.0, 7.0], [0, 0, 0, 1]])
VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)

# Bytes of a NIfTI-1 header, from nifti1.h
DIM, DATATYPE, PIXDIM, VOX_OFFSET, SLOPE, INTERCEPT, UNITS, DESCRIP, QFORM_CODE, SFORM_CODE, SROW_X = (
    40, 70, 76, 108, 112, 116, 123, 148, 252, 254, 280,
)  # fmt: skip


@pytest.fixture
def place(tmp_path):
    """A file below a folder with a patient's name, which no message may tell."""
    folder = tmp_path / "Doe^John_19480312"
    folder.mkdir()
    return folder / "Doe_John.nii"


def file_bytes(voxels=VOXELS, affine=AFFINE, kind=nibabel.Nifti1Image):
    image = kind(voxels, affine)
    image.set_qform(affine, code=1)
    return bytearray(image.to_bytes())


def refusal(place, content):
    place.write_bytes(content)
    with pytest.raises(UnreadableImageError) as caught:
        read_file(place, WHAT)
    message = str(caught.value)
    assert message.startswith(f"{WHAT}: wanted ")
    assert "; found" in message
    assert message.rindex(";") > message.index("found"), "says what to do"
    assert "Doe" not in message
    assert str(place.parent) not in message
    return message


def patched(at, form, *values):
    content = file_bytes()
    struct.pack_into(form, content, at, *values)
    return content


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_voxels_and_affine_come_as_they_were_stored(place, kind, compress):
    place.write_bytes(compress(bytes(file_bytes(kind=kind))))
    file = read_file(place, WHAT)
    np.testing.assert_array_equal(file.array, VOXELS)
    np.testing.assert_allclose(file.ras_from_file, AFFINE, atol=1e-6)


def test_bytes_in_the_other_order_are_understood(place):
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    image = nibabel.Nifti1Image(VOXELS, AFFINE, header)
    image.set_qform(AFFINE, code=1)
    place.write_bytes(image.to_bytes())
    assert place.read_bytes()[:4] == struct.pack(">i", 348)
    np.testing.assert_array_equal(read_file(place, WHAT).array, VOXELS)


def test_slope_and_intercept_turn_stored_numbers_into_values(place):
    content = patched(SLOPE, "<2f", 2.5, -1024.0)
    place.write_bytes(content)
    np.testing.assert_allclose(read_file(place, WHAT).array, VOXELS * 2.5 - 1024.0)


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_a_slope_of_nothing_leaves_whole_numbers(place, slope):
    place.write_bytes(patched(SLOPE, "<2f", slope, 0.0))
    assert read_file(place, WHAT).array.dtype == np.int16


def test_a_scale_that_is_no_number_is_refused(place):
    assert "contradicts itself" in refusal(place, patched(SLOPE, "<2f", 1.0, float("nan")))


def test_four_dimensions_are_refused_and_one_volume_in_four_is_not(place):
    message = refusal(place, file_bytes(np.zeros((3, 4, 5, 2), dtype=np.int16)))
    assert "wanted one 3-D image; found an array of 3 x 4 x 5 x 2; export one volume a file" in message
    place.write_bytes(file_bytes(VOXELS[..., None]))
    assert read_file(place, WHAT).array.shape == (3, 4, 5)


@pytest.mark.parametrize("kept", [0, 3, 100, 347, 400, 471])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_part_of_a_file_is_refused_wherever_it_was_cut(place, kept, compress):
    assert len(file_bytes()) == 352 + 120
    refusal(place, compress(bytes(file_bytes()[:kept])))


def test_a_cut_file_tells_how_much_is_missing(place):
    message = refusal(place, patched(DIM, "<8h", 3, 100, 100, 100, 1, 1, 1, 1))
    # 352 + 2,000,000 bytes promised, the header's 472 there
    assert "wanted 1,999,880 more bytes of voxels; found 0; the file was cut: copy it again" in message


@pytest.mark.parametrize("kept", [1, 5, 20, 60])
def test_a_cut_archive_is_refused(place, kept):
    whole = gzip.compress(bytes(file_bytes()))
    message = refusal(place, whole[:-kept])
    assert "damaged or cut" in message


def test_an_archive_with_one_changed_byte_is_refused(place):
    whole = bytearray(gzip.compress(bytes(file_bytes()), compresslevel=0))
    whole[len(whole) // 2 + 200] ^= 1  # a stored voxel: only the checksum at the end can tell
    assert "damaged or cut" in refusal(place, whole)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "something else"),
        (b"%PDF-1.7" + bytes(600), "something else"),
        (bytes(128) + b"DICM" + bytes(400), "DICOM"),
        (b"NRRD0004\n" + bytes(600), "NRRD"),
        (b"ObjectType = Image\n" + bytes(600), "MetaImage"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "HDF5"),
        (b"PK\x03\x04" + bytes(600), "a zip file"),
        (bytes(344) + b"ni1\0" + bytes(200), "a pair of .hdr and .img"),
    ],
)
def test_another_format_is_named(place, content, found):
    assert refusal(place, content) == f"{WHAT}: wanted NIfTI in one file; found {found}; convert it to .nii.gz"


def test_a_missing_file_or_a_folder_is_refused_without_its_path(place):
    with pytest.raises(UnreadableImageError, match="found: No such file") as missing:
        read_file(place, WHAT)
    with pytest.raises(UnreadableImageError, match="found: Is a directory") as folder:
        read_file(place.parent, WHAT)
    assert "Doe" not in f"{missing.value}{folder.value}"


@pytest.mark.parametrize("dtype", [np.complex64, "RGB"])
def test_more_than_one_number_a_voxel_is_refused(place, dtype):
    dtype = np.dtype([(c, "u1") for c in "RGB"]) if dtype == "RGB" else dtype
    assert "wanted one number a voxel" in refusal(place, file_bytes(np.zeros((3, 4, 5), dtype=dtype)))


@pytest.mark.parametrize("offset", [float("nan"), float("inf"), 2.0**30])
def test_voxels_that_begin_nowhere_are_refused(place, offset):
    assert "wanted voxels that begin within" in refusal(place, patched(VOX_OFFSET, "<f", offset))


def test_a_header_that_promises_too_much_is_refused_before_memory_is_taken(place):
    message = refusal(place, patched(DIM, "<8h", 3, 32767, 32767, 32767, 1, 1, 1, 1))
    assert "wanted at most 2 GiB of voxels; found 65,530.00 GiB" in message


def test_a_header_that_promises_what_may_be_takes_no_more_memory_than_the_file_has(place):
    """512 x 512 x 4,000 voxels in 16 bits are allowed: 2 GB, in a file of a few hundred bytes."""
    place.write_bytes(patched(DIM, "<4h", 3, 512, 512, 4000))
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableImageError, match="the file was cut"):
            read_file(place, WHAT)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_an_archive_that_holds_far_more_than_its_header_says_is_refused(place):
    assert "found more" in refusal(place, gzip.compress(bytes(file_bytes()) + bytes(3 * 2**20)))


def test_some_bytes_of_padding_are_borne(place):
    place.write_bytes(file_bytes() + bytes(512))
    np.testing.assert_array_equal(read_file(place, WHAT).array, VOXELS)


def test_a_file_without_geometry_is_refused(place):
    message = refusal(place, patched(QFORM_CODE, "<2h", 0, 0))
    assert "found neither sform nor qform, so left and right are unknown" in message


@pytest.mark.parametrize(
    "row", [(0.0, 0, 0, 0), (float("nan"), 0, 0, 0), (0.9, 0, 0, float("inf")), (0, 0.8, 0, 0), (0.9, 0, 0, 1e9)]
)
def test_axes_that_span_no_space_are_refused(place, row):
    assert "wanted three finite axes; found the affine [" in refusal(place, patched(SROW_X, "<4f", *row))


@pytest.mark.parametrize(("scale", "found"), [(1e-3, "0.0009 x 0.0008 x 0.003 mm"), (1e3, "900 x 800 x 3000 mm")])
def test_absurd_spacing_is_refused_with_its_numbers(place, scale, found):
    message = refusal(place, file_bytes(affine=AFFINE @ np.diag([scale, scale, scale, 1.0])))
    assert f"wanted voxels of 0.01 to 100 mm; found {found}" in message
    assert "another unit" in message


@pytest.mark.parametrize(("code", "name"), [(1, "metres"), (3, "micrometres"), (5, "the unknown unit 5")])
def test_lengths_in_another_unit_are_refused(place, code, name):
    assert f"wanted lengths in mm; found {name}" in refusal(place, patched(UNITS, "B", code))


@pytest.mark.parametrize("code", [0, 2, 2 | 8])
def test_lengths_in_mm_or_without_a_unit_are_taken_as_mm(place, code):
    place.write_bytes(patched(UNITS, "B", code))
    np.testing.assert_allclose(np.diag(read_file(place, WHAT).ras_from_file), [0.9, 0.8, 3.0, 1.0], atol=1e-6)


def test_two_geometries_that_disagree_on_a_side_are_refused(place):
    message = refusal(place, patched(SROW_X, "<4f", -0.9, 0, 0, 40.0))
    assert "found sform and qform that differ (LAS and RAS)" in message


DAMAGE = (
    *(struct.pack("<f", number) for number in (float("nan"), float("inf"), -1.0, 1e30, 0.0)),
    *(struct.pack("<d", number) for number in (float("nan"), float("inf"), -1.0, 1e300)),
    *(b"\xff\xff", b"\0\0", b"\x7f\xff", b"\xff"),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([nibabel.Nifti1Image, nibabel.Nifti2Image]),
    st.dictionaries(st.integers(0, 134), st.sampled_from(DAMAGE), min_size=1, max_size=3),
)
def test_any_damage_to_a_header_ends_in_an_image_or_a_refusal_and_in_silence(place, caplog, capfd, kind, damage):
    content = file_bytes(kind=kind)
    for word, wrong in damage.items():
        content[4 * word : 4 * word + len(wrong)] = wrong
    place.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch, suppress(UnreadableImageError):
        patch.setattr(nifti, "MAX_VOXEL_BYTES", 2**16)
        file = read_file(place, WHAT)
        assert file.array.ndim == 3
        assert np.isfinite(file.ras_from_file).all()
    assert not [record for record in caplog.records if record.name.startswith(("nibabel", "gossamer"))]
    assert capfd.readouterr() == ("", "")  # nibabel's remarks name no case


def test_a_written_file_is_the_same_bytes_each_time_and_tells_no_name(tmp_path, place):
    named = patched(DESCRIP, "80s", b"Doe^John 1948-03-12")
    place.write_bytes(named)
    for name in ("a.nii.gz", "b.nii.gz"):
        write_file(tmp_path / name, VOXELS, AFFINE, header=read_file(place, WHAT).header)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert b"Doe" not in gzip.decompress((tmp_path / "a.nii.gz").read_bytes())


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_another_program_reads_what_is_written(tmp_path, name, dtype):
    write_file(tmp_path / name, VOXELS.astype(dtype), AFFINE)
    image = nibabel.load(tmp_path / name)
    assert image.get_data_dtype() == dtype
    assert image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_array_equal(np.asarray(image.dataobj), VOXELS)
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-6)
