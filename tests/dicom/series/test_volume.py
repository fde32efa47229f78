"""Exact HU, each slice with its own scale; what is padding, damaged, or no CT's."""

from contextlib import suppress

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
)
from tests.dicom.phantom_series import distinct_voxels, write_multiframe, write_series
from tests.dicom.phantom_structures import put

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.series import volume as volume_module
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.pixels import read_stored
from gossamer.dicom.series.volume import read_volume
from gossamer.errors import UnreadableImageError

SHAPE = (3, 4, 5)


def test_values_are_what_was_stored_times_slope_plus_intercept(series_of):
    volume = read_volume(series_of())
    assert (volume.voxels.dtype, volume.notes) == (np.int16, ())
    np.testing.assert_array_equal(volume.voxels, distinct_voxels((5, 6, 8)))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_values_are_the_same_in_every_transfer_syntax(series_of, syntax):
    np.testing.assert_array_equal(read_volume(series_of(syntax=syntax)).voxels, distinct_voxels((5, 6, 8)))


def test_pixels_compressed_by_run_lengths_are_read(series_of):
    series = series_of()
    for one in series.slices:
        file = pydicom.dcmread(one.header.path)
        file.compress(RLELossless, generate_instance_uid=False)
        file.save_as(one.header.path)
    np.testing.assert_array_equal(read_volume(series).voxels, distinct_voxels((5, 6, 8)))


def test_pixels_that_nobody_here_can_decompress_are_refused_by_name(series_of):
    series = series_of()
    for one in series.slices:
        file = pydicom.dcmread(one.header.path)
        file.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        file.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
        file["PixelData"].VR = "OB"
        file.save_as(one.header.path, implicit_vr=False)
    with pytest.raises(
        UnreadableImageError, match=r"^slice at 20\.00 mm: wanted pixels that can be decompressed here; found JPEG"
    ):
        read_volume(series)


def test_each_slice_has_its_own_scale(series_of):
    def scale(file, k):
        file.RescaleSlope, file.RescaleIntercept = k + 1, -1000 * k
        file.PixelData = np.full((4, 5), 7, "<i2").tobytes()

    volume = read_volume(series_of(shape=SHAPE, change=scale))
    assert volume.voxels.dtype == np.int16
    assert [np.unique(part).tolist() for part in volume.voxels] == [[7], [-986], [-1979]]


def test_unsigned_values_above_the_signed_range_are_read(series_of):
    def unsigned(file, _k):
        file.PixelRepresentation, file.RescaleIntercept = 0, -32768
        file.PixelData = np.linspace(0, 65535, 20, dtype="<u2").tobytes()

    volume = read_volume(series_of(shape=SHAPE, change=unsigned))
    assert volume.voxels.dtype == np.int16
    np.testing.assert_array_equal(volume.voxels[1].ravel(), np.linspace(0, 65535, 20, dtype="<u2").astype(int) - 32768)


def test_an_intercept_beyond_the_signed_range_is_no_obstacle_where_the_sum_fits(series_of):
    def shifted(file, _k):
        file.PixelRepresentation, file.RescaleIntercept = 0, -50_000
        file.PixelData = np.linspace(49_000, 53_000, 20, dtype="<u2").tobytes()

    volume = read_volume(series_of(shape=SHAPE, change=shifted))
    assert volume.voxels.dtype == np.int16
    np.testing.assert_array_equal(volume.voxels[1].ravel(), np.linspace(49_000, 53_000, 20, dtype="<u2") - 50_000.0)


def test_values_below_16_bits_become_float(series_of):
    def low(file, _k):
        file.RescaleSlope, file.RescaleIntercept = 2, 0
        file.PixelData = np.full((4, 5), -20_000, "<i2").tobytes()

    volume = read_volume(series_of(shape=SHAPE, change=low))
    assert (volume.voxels.dtype, volume.voxels.min()) == (np.float32, -40_000)


@pytest.mark.parametrize("whole_until", [0, 2])
def test_whole_values_that_do_not_fit_16_bits_become_float(series_of, whole_until):
    def large(file, k):
        file.RescaleSlope, file.RescaleIntercept = (3 if k >= whole_until else 1), 5
        file.PixelData = np.full((4, 5), 20_000, "<i2").tobytes()

    volume = read_volume(series_of(shape=SHAPE, change=large))
    assert volume.voxels.dtype == np.float32
    expected = [60_005 if k >= whole_until else 20_005 for k in range(3)]
    assert [np.unique(part).tolist() for part in volume.voxels] == [[value] for value in expected]


def test_fractions_become_float(series_of):
    def scale(file, _k):
        file.RescaleSlope, file.RescaleIntercept = "0.25", "-100.5"
        file.PixelData = np.full((4, 5), 7, "<i2").tobytes()

    volume = read_volume(series_of(shape=SHAPE, change=scale))
    assert volume.voxels.dtype == np.float32
    assert np.unique(volume.voxels).tolist() == [-98.75]


def padded(**elements):
    """Slices of 0 HU with a stored -2000 in the corner, and the elements that say what this is."""

    def change(file, _k):
        values = np.full((4, 5), 1024, "<i2")
        values[0, 0], values[0, 1] = -2000, -1990
        file.PixelData = values.tobytes()
        for keyword, data in elements.items():
            put(file, keyword, np.array(data, "<i2").tobytes())

    return change


def test_padding_is_air_and_is_said(series_of):
    volume = read_volume(series_of(shape=SHAPE, change=padded(PixelPaddingValue=-2000)))
    assert volume.voxels[:, 0, 0].tolist() == [-1000] * 3
    assert volume.voxels[:, 0, 1].tolist() == [-3014] * 3  # not declared, so left as it is
    assert volume.notes == ("3 voxels outside the scanned field (padding) are taken for air",)


def test_a_range_of_padding_is_air(series_of):
    change = padded(PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1980)
    volume = read_volume(series_of(shape=SHAPE, change=change))
    assert volume.voxels[0, 0, :3].tolist() == [-1000, -1000, 0]
    assert volume.notes == ("6 voxels outside the scanned field (padding) are taken for air",)


def test_padding_whose_type_does_not_fit_the_pixels_is_read_by_its_bits(series_of):
    def change(file, k):
        padded()(file, k)
        file.PixelPaddingValue = 63536  # -2000 as an unsigned number, as some scanners write it
        file["PixelPaddingValue"].VR = "US"

    volume = read_volume(series_of(shape=SHAPE, change=change, syntax=ExplicitVRLittleEndian))
    assert volume.voxels[0, 0, 0] == -1000


def test_padding_that_tissue_may_have_is_left_and_said(series_of):
    volume = read_volume(series_of(shape=SHAPE, change=padded(PixelPaddingValue=1024)))
    assert volume.voxels[0, 3, 3] == 0
    assert volume.notes == ("padding of 0 HU is declared, which may be tissue, and left as it is",)


@pytest.mark.parametrize("value", [0, 3000])
def test_padding_that_is_air_already_or_found_nowhere_changes_nothing(series_of, value):
    def change(file, _k):
        put(file, "PixelPaddingValue", np.array(value, "<i2").tobytes())
        file.PixelData = np.arange(0, 40, 2, "<i2").tobytes()

    volume = read_volume(series_of(shape=SHAPE, change=change))
    np.testing.assert_array_equal(volume.voxels[0].ravel(), np.arange(-1024, -984, 2))
    assert volume.notes == ()


def test_padding_below_16_bits_does_not_make_a_volume_float(series_of):
    def change(file, k):
        padded(PixelPaddingValue=-32768)(file, k)
        file.PixelData = np.array([-32768, *[1024] * 19], "<i2").tobytes()

    volume = read_volume(series_of(shape=SHAPE, change=change))
    assert (volume.voxels.dtype, volume.voxels.min()) == (np.int16, -1000)


@pytest.mark.parametrize("value", [-2000, -32768])
def test_a_slice_that_is_all_padding_is_air_whatever_it_would_be_in_hu(series_of, value):
    def change(file, k):
        put(file, "PixelPaddingValue", np.array(value, "<i2").tobytes())
        file.PixelData = np.full((4, 5), value if k else 1024, "<i2").tobytes()

    volume = read_volume(series_of(shape=SHAPE, change=change))
    assert volume.voxels.dtype == np.int16
    assert [np.unique(part).tolist() for part in volume.voxels] == [[0], [-1000], [-1000]]
    assert volume.notes == ("40 voxels outside the scanned field (padding) are taken for air",)


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, "wanted one value a pixel in 16 bits; found 1 in 8"),
        ({"SamplesPerPixel": 3}, "wanted one value a pixel in 16 bits; found 3 in 16"),
        ({"HighBit": 14}, "found 1 in 16, 16 used up to bit 14"),
        ({"BitsStored": 6, "HighBit": 5}, "wanted stored values of 6 bits, -32 to 31; found 44 to 63"),
        (
            {"PixelRepresentation": 0, "BitsStored": 5, "HighBit": 4},
            "wanted stored values of 5 bits, 0 to 31; found 44 to 63",
        ),
        ({"PhotometricInterpretation": "RGB"}, "wanted grey values; found RGB"),
        ({"PixelData": b"\0" * 38}, "wanted 40 bytes of pixels; found 38"),
        ({"PixelData": b"\0" * 44}, "wanted 40 bytes of pixels; found 44"),
    ],
)
def test_pixels_that_are_no_ct_s_are_refused_with_their_slice(series_of, elements, reason):
    def spoil(file, k):
        for keyword, value in elements.items() if k == 1 else ():
            setattr(file, keyword, value)

    series = series_of(shape=SHAPE, change=spoil)
    with pytest.raises(UnreadableImageError) as error:
        read_volume(series)
    assert str(error.value).startswith("slice at 23.00 mm: ")
    assert reason in str(error.value)


def test_a_slice_that_was_cut_off_is_named(series_of):
    series = series_of()
    path = series.slices[3].header.path
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UnreadableImageError, match=r"slice at 29\.00 mm: wanted 96 bytes .* found 86, the file is cut"):
        read_volume(series)


def test_a_file_that_was_replaced_since_its_header_was_read_is_noticed(series_of):
    series = series_of()
    first, second = (series.slices[k].header.path for k in (0, 1))
    second.write_bytes(first.read_bytes())
    with pytest.raises(UnreadableImageError, match=r"slice at 23\.00 mm: wanted the image of the header"):
        read_volume(series)


def test_values_that_no_ct_has_are_refused(series_of):
    series = series_of(RescaleSlope="40000.5", change=lambda f, _k: setattr(f, "PixelData", b"\x64\x00" * 48))
    with pytest.raises(
        UnreadableImageError, match=r"slice at 20\.00 mm: wanted HU; found values from 3\.999e\+06 to 3"
    ):
        read_volume(series)


@pytest.mark.parametrize("seed", range(3))
def test_a_slice_with_changed_bytes_is_read_or_refused_and_never_more(tmp_path, seed):
    path = write_series(tmp_path, shape=SHAPE)[1]
    content, rng = path.read_bytes(), np.random.default_rng(seed)
    for _ in range(40):
        changed = bytearray(content)
        for place in rng.integers(350, len(content), rng.integers(1, 5)):
            changed[place] = rng.choice([0, 32, 48, 49, 57, 92, 255])  # blanks, digits, a backslash
        path.write_bytes(changed)
        for series in find_series(read_headers(tmp_path).headers).series:
            with suppress(UnreadableImageError):
                assert np.isfinite(read_volume(series).voxels).all()


def test_frames_of_a_multi_frame_ct_have_their_own_scale_and_place(tmp_path, one, monkeypatch):
    reads = []
    monkeypatch.setattr(volume_module, "read_stored", lambda header: reads.append(header) or read_stored(header))
    write_multiframe(tmp_path, [29, 20, 26, 23])
    volume = read_volume(one())
    assert len(reads) == 1, "a file is read once"
    # (n + 1) * (n + 1) - 1000 of frame n; by position they are 1, 3, 2, 0
    assert [np.unique(part).tolist() for part in volume.voxels] == [[-996], [-984], [-991], [-999]]
