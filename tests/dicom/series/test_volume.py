"""Volumes: exact HU, each voxel where its file says, and what becomes of uneven and tilted stacks."""

import tarfile
from contextlib import suppress
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
)
from tests.dicom.phantom_series import AXIAL, distinct_voxels, write_multiframe, write_series
from tests.dicom.phantom_structures import put

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.series import volume as volume_module
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.pixels import read_stored
from gossamer.dicom.series.stack import SliceStack
from gossamer.dicom.series.volume import (
    carry_image,
    carry_mask,
    from_canonical,
    is_regular,
    read_volume,
    regular_stack,
    to_canonical,
)
from gossamer.errors import GeometryMismatchError, UnreadableImageError

REAL = Path(__file__).parents[4] / "shared" / "data" / "dicom_rt"
"""Beside the repository, where somebody has fetched it."""

SHAPE = (3, 4, 5)
SPACING = (3.0, 1.5, 0.75)

SIGNED_AXES = [
    (tuple(np.eye(3)[a] * s), tuple(np.eye(3)[b] * t))
    for a, b in permutations(range(3), 2)
    for s, t in product((1.0, -1.0), repeat=2)
]
"""The 24 orientations whose axes are the world's: directions in which columns and rows grow."""


@pytest.fixture
def series_of(tmp_path):
    """Writes a series and finds it."""

    def both(*args, **settings):
        write_series(tmp_path, *args, **settings)
        return found_in(tmp_path)

    return both


def found_in(folder):
    found = find_series(read_headers(folder).headers)
    assert found.refused == ()
    [series] = found.series
    return series


def turned(degrees_x, degrees_z, iop=AXIAL):
    """An orientation turned about the world's x axis, then about its z axis."""
    cx, sx, cz, sz = (f(np.radians(angle)) for angle in (degrees_x, degrees_z) for f in (np.cos, np.sin))
    turn = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]) @ [[1, 0, 0], [0, cx, -sx], [0, sx, cx]]
    return (*(turn @ iop[:3]), *(turn @ iop[3:]))


# HU


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


def test_a_slice_that_is_all_padding_is_air(series_of):
    def change(file, _k):
        put(file, "PixelPaddingValue", np.array(-2000, "<i2").tobytes())
        file.PixelData = np.full((4, 5), -2000, "<i2").tobytes()

    assert np.unique(read_volume(series_of(shape=SHAPE, change=change)).voxels).tolist() == [-1000]


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


def test_frames_of_a_multi_frame_ct_have_their_own_scale_and_place(tmp_path, monkeypatch):
    reads = []
    monkeypatch.setattr(volume_module, "read_stored", lambda header: reads.append(header) or read_stored(header))
    write_multiframe(tmp_path, [29, 20, 26, 23])
    volume = read_volume(found_in(tmp_path))
    assert len(reads) == 1, "a file is read once"
    # (n + 1) * (n + 1) - 1000 of frame n; by position they are 1, 3, 2, 0
    assert [np.unique(part).tolist() for part in volume.voxels] == [[-996], [-984], [-991], [-999]]


# Canonical axes


def assert_every_voxel_lies_where_its_file_says(folder, voxels, frame, exact):
    """By the equation of PS3.3 C.7.6.2.1.1, from the files themselves."""
    for path in folder.iterdir():
        file = pydicom.dcmread(path)
        iop, ipp = np.array(file.ImageOrientationPatient, float), np.array(file.ImagePositionPatient, float)
        down, across = (float(spacing) for spacing in file.PixelSpacing)
        for (r, c), stored in np.ndenumerate(file.pixel_array):
            (index,) = np.argwhere(voxels == stored - 1024)
            found = frame.world_from_index(index.astype(float))
            expected = iop[:3] * across * c + iop[3:] * down * r + ipp
            if exact:
                np.testing.assert_array_equal(found, expected)
            else:
                np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("towards", [1.0, -1.0])
@pytest.mark.parametrize(("columns_grow", "rows_grow"), SIGNED_AXES)
def test_all_orientations_keep_every_voxel_in_its_place(tmp_path, columns_grow, rows_grow, towards):
    """24 orientations, written upwards and downwards along their normals: 48 signed orders of axes."""
    positions = towards * SPACING[0] * np.arange(3)
    write_series(tmp_path, shape=SHAPE, iop=columns_grow + rows_grow, positions=positions, spacing=SPACING)
    series = found_in(tmp_path)
    native = read_volume(series).voxels
    voxels, frame = to_canonical(native, series.stack)
    assert (np.diag(frame.world_from_voxel[[2, 1, 0]]) > 0).all(), "z to the head, y to the back, x to the left"
    assert frame.world_from_voxel.dtype == np.float64
    assert voxels.shape == frame.shape
    assert voxels.flags.c_contiguous
    assert_every_voxel_lies_where_its_file_says(tmp_path, voxels, frame, exact=True)
    np.testing.assert_array_equal(from_canonical(voxels, series.stack), native)


@pytest.mark.parametrize("degrees", [(12.0, 0.0), (0.0, -25.0), (17.0, 30.0), (-40.0, 40.0), (180.0, 10.0)])
def test_an_oblique_scan_stays_oblique(tmp_path, degrees):
    write_series(tmp_path, shape=SHAPE, iop=turned(*degrees), spacing=SPACING)
    series = found_in(tmp_path)
    voxels, frame = to_canonical(read_volume(series).voxels, series.stack)
    assert frame.tilt_degrees > 9
    assert_every_voxel_lies_where_its_file_says(tmp_path, voxels, frame, exact=False)


@pytest.mark.parametrize(
    "iop",
    [
        AXIAL,
        (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),  # prone
        (0.0, 1.0, 0.0, -1.0, 0.0, 0.0),  # on the side
        (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0),  # feet first
        (1.0, 0.0, 0.0, 0.0, 0.0, -1.0),  # coronal
        (0.0, 1.0, 0.0, 0.0, 0.0, -1.0),  # sagittal
        turned(15.0, -20.0),
        turned(170.0, 5.0),
    ],
)
def test_another_reader_finds_the_same_voxels_at_the_same_places(tmp_path, iop):
    paths = write_series(tmp_path, shape=SHAPE, iop=iop, spacing=SPACING)
    other = SimpleITK.ReadImage([str(path) for path in paths])
    series = found_in(tmp_path)
    voxels, frame = to_canonical(read_volume(series).voxels, series.stack)
    for (k, r, c), value in np.ndenumerate(SimpleITK.GetArrayFromImage(other)):
        (index,) = np.argwhere(voxels == value)
        expected = other.TransformIndexToPhysicalPoint((int(c), int(r), int(k)))
        np.testing.assert_allclose(frame.world_from_index(index.astype(float)), expected, atol=1e-6)


def test_rounded_positions_do_not_add_up(series_of):
    series = series_of(positions=[round(0.625 * k, 1) for k in range(9)])  # 0.6, 1.2, 1.9 ... 5.0
    _, frame = to_canonical(read_volume(series).voxels, series.stack)
    found = frame.world_from_index(np.array([(k, 0.0, 0.0) for k in range(9)]))[:, 2]
    np.testing.assert_allclose(found, 20 + 0.625 * np.arange(9), atol=1e-9)


def test_a_mask_turns_with_its_image(series_of):
    series = series_of(shape=SHAPE, iop=(0.0, -1.0, 0.0, 0.0, 0.0, -1.0))
    native = read_volume(series).voxels
    voxels, _ = to_canonical(native, series.stack)
    mask, _ = to_canonical(native % 7 == 3, series.stack)
    np.testing.assert_array_equal(mask, voxels % 7 == 3)


def test_an_array_of_another_stack_is_refused(series_of):
    series = series_of(shape=SHAPE)
    with pytest.raises(GeometryMismatchError, match=r"wanted an array of 3 x 4 x 5 .*; found 3 x 5 x 4"):
        to_canonical(np.zeros((3, 5, 4)), series.stack)
    with pytest.raises(GeometryMismatchError, match=r"wanted an array of 3 x 4 x 5"):
        from_canonical(np.zeros((3, 5, 4)), series.stack)


# Uneven and tilted stacks


def stack_at(positions, *, rows=6, columns=8, tilt_degrees=0.0):
    """An axial stack from (-100, -50, 20) on; a tilt turns the rows' direction towards the head."""
    tilt = np.radians(tilt_degrees)
    first = np.array([(-100.0, -50.0, 20.0 + position) for position in positions])
    return SliceStack(rows, columns, first, 1.5 * np.array([0, np.cos(tilt), np.sin(tilt)]), np.array([0.75, 0, 0]))


def world_of(stack):
    """World points of all voxels, [k, r, c, 3], by the equation itself."""
    k, r, c = np.indices(stack.shape)
    steps = r[..., None] * stack.row_step_xyz + c[..., None] * stack.column_step_xyz
    return stack.first_xyz[k] + steps


def ramp(points_xyz):
    """A plane in HU: linear interpolation gives it back exactly."""
    return points_xyz @ np.array([3.0, -2.0, 5.0]) + 40.0


def test_an_even_stack_is_its_own_regular_stack():
    stack = stack_at([0, 3, 6])
    assert is_regular(stack)
    assert regular_stack(stack) is stack


def test_uneven_slices_are_refused_before_they_are_carried(series_of):
    series = series_of(positions=[0, 3, 6, 9, 15, 21])
    with pytest.raises(
        GeometryMismatchError,
        match=r"found them up to 3\.60 mm off along the normal and 0\.00 mm across; carry them onto the regular stack",
    ):
        to_canonical(read_volume(series).voxels, series.stack)


def test_uneven_slices_are_interpolated_along_the_normal_onto_the_usual_gap():
    stack = stack_at([0, 3, 6, 9, 15, 21])
    even = regular_stack(stack)
    assert even.shape == (8, 6, 8)
    np.testing.assert_array_equal(even.first_xyz[:, 2], [20, 23, 26, 29, 32, 35, 38, 41])
    voxels = carry_image(ramp(world_of(stack)).astype(np.float32), stack, even)
    np.testing.assert_allclose(voxels, ramp(world_of(even)), atol=1e-4)
    canonical, frame = to_canonical(voxels, even)
    assert frame.spacing_mm == (3.0, 1.5, 0.75)
    assert canonical.shape == (8, 6, 8)


def test_slices_that_lie_on_the_regular_stack_keep_their_values():
    stack = stack_at([0, 3, 6, 9, 15, 21])
    native = distinct_voxels(stack.shape)
    carried = carry_image(native, stack, regular_stack(stack))
    assert carried.dtype == np.int16
    np.testing.assert_array_equal(carried[[0, 1, 2, 3, 5, 7]], native)
    np.testing.assert_array_equal(carried[4], (native[3].astype(int) + native[4]) // 2)


def test_steps_are_as_near_to_the_usual_gap_as_the_ends_allow():
    even = regular_stack(stack_at([0, 3, 6, 9, 13]))
    np.testing.assert_allclose(even.first_xyz[:, 2], [20, 23.25, 26.5, 29.75, 33])


@pytest.mark.parametrize("positions", [[0, 3, 6, 9, 13], [0, 4, 7, 10, 13], [0, 2.5, 6.5, 9, 10, 13.7]])
def test_images_are_interpolated_between_the_slices_below_and_above(positions):
    stack = stack_at(positions)
    even = regular_stack(stack)
    assert not is_regular(stack)
    carried = carry_image(ramp(world_of(stack)), stack, even)
    np.testing.assert_allclose(carried, ramp(world_of(even)), atol=5 * 0.1 + 1e-9)  # 5 HU a mm, slices within 0.1 mm
    assert np.abs(carried - ramp(world_of(even))).mean() < 0.05


def test_of_two_usual_gaps_the_finer_one_counts():
    assert regular_stack(stack_at([0, 3, 6, 12, 18])).shape[0] == 7


def test_whole_values_are_rounded_and_not_cut():
    stack = stack_at([0, 3, 6, 15])
    native = np.zeros(stack.shape, np.int16)
    native[3] = 1
    carried = carry_image(native, stack, regular_stack(stack))
    assert carried[:, 0, 0].tolist() == [0, 0, 0, 0, 1, 1]  # thirds


def test_a_mask_takes_the_nearest_slice_and_of_two_the_lower():
    stack = stack_at([0, 3, 6, 9, 15, 21])
    mask = np.zeros(stack.shape, bool)
    for k in range(6):
        mask[k, 2, k] = True
    carried = carry_mask(mask, stack, regular_stack(stack))
    assert [int(np.flatnonzero(part[2])[0]) for part in carried] == [0, 1, 2, 3, 3, 4, 4, 5]


def test_a_mask_comes_back_from_the_regular_stack_as_it_was():
    rng = np.random.default_rng(0)
    for stack in (stack_at([0, 3, 6, 9, 15, 21]), stack_at(3.0 * np.arange(5), tilt_degrees=20.0)):
        mask = rng.random(stack.shape) < 0.4
        even = regular_stack(stack)
        np.testing.assert_array_equal(carry_mask(carry_mask(mask, stack, even), even, stack), mask)


@pytest.mark.parametrize("tilt_degrees", [20.0, -20.0])
def test_a_tilted_stack_is_carried_onto_a_straight_one_that_holds_all_of_it(tilt_degrees):
    stack = stack_at(3.0 * np.arange(5), tilt_degrees=tilt_degrees)
    straight = regular_stack(stack)
    # 12 mm of table shift the last slice by 12 sin 20 = 4.10 mm within its plane: 2.74 rows of 1.5 mm, so 3 more.
    assert straight.shape == (5, 9, 8)
    assert is_regular(straight)
    np.testing.assert_allclose(straight.positions_mm, stack.positions_mm)
    native = world_of(stack).reshape(-1, 3)
    low, high = (straight.pixel_from_world(native, 0).min(axis=0), straight.pixel_from_world(native, 0).max(axis=0))
    assert (low >= -1e-9).all()
    assert (high <= np.array([8, 7]) + 1e-9).all()

    voxels = carry_image(ramp(world_of(stack)), stack, straight)
    expected, inside, outside = ramp(world_of(straight)), [], []
    for k in range(5):
        row = stack.pixel_from_world(world_of(straight)[k].reshape(-1, 3), k)[:, 0].reshape(9, 8)
        inside.append((row >= -1e-6) & (row <= 5 + 1e-6))
        outside.append((row <= -1) | (row >= 6))
    np.testing.assert_allclose(voxels[inside], expected[inside], atol=1e-3)  # shifts are rounded to 1e-6 pixels
    assert set(voxels[outside].tolist()) == {-1000.0}
    assert np.array(inside).sum() > 5 * 5 * 8 - 1


def test_a_mask_on_a_tilted_stack_falls_on_the_nearest_pixels():
    stack = stack_at(3.0 * np.arange(5), tilt_degrees=20.0)
    straight = regular_stack(stack)
    mask = np.random.default_rng(1).random(stack.shape) < 0.5
    expected = np.zeros(straight.shape, bool)
    for index in np.ndindex(straight.shape):
        point = straight.world_from_index(np.array(index, float))
        r, c = np.rint(stack.pixel_from_world(point, index[0])).astype(int)
        expected[index] = 0 <= r < 6 and 0 <= c < 8 and mask[index[0], r, c]
    np.testing.assert_array_equal(carry_mask(mask, stack, straight), expected)


def test_a_ball_stays_a_ball_where_the_gantry_was_tilted(series_of):
    """Of 12 mm around a point, in a scan with 20 degrees of tilt; dropping the shear would move its ends by 4 mm."""
    stack = stack_at(2.0 * np.arange(20), rows=40, columns=60, tilt_degrees=20.0)
    centre = np.array([-78.0, -15.0, 51.0])
    ball = np.linalg.norm(world_of(stack) - centre, axis=-1) <= 12.0
    series = series_of(np.where(ball, 40, -1000), spacing=(2.0, 1.5, 0.75), tilt_degrees=20.0)
    straight = regular_stack(series.stack)
    voxels, frame = to_canonical(carry_image(read_volume(series).voxels, series.stack, straight), straight)
    mask, _ = to_canonical(carry_mask(ball, series.stack, straight), straight)
    points = frame.world_from_index(np.moveaxis(np.indices(frame.shape), 0, -1).astype(float))
    expected = np.linalg.norm(points - centre, axis=-1) <= 12.0
    for found in (mask, voxels > -480):
        dice = 2 * (found & expected).sum() / (found.sum() + expected.sum())
        assert dice > 0.97
        np.testing.assert_allclose(points[found].mean(axis=0), centre, atol=0.15)
    dropped = np.linalg.norm(np.average(world_of(stack)[ball], axis=0) - centre)
    assert dropped < 0.15  # the phantom itself lies where it should


def test_outside_the_stack_an_image_is_air_and_a_mask_is_nothing():
    stack, further = stack_at([0, 3, 6]), stack_at([-3, 0, 3, 6, 9])
    image = carry_image(np.full(stack.shape, 40, np.int16), stack, further)
    mask = carry_mask(np.ones(stack.shape, bool), stack, further)
    assert image[:, 0, 0].tolist() == [-1000, 40, 40, 40, -1000]
    assert mask[:, 0, 0].tolist() == [False, True, True, True, False]


def test_what_cannot_be_carried_is_refused():
    with pytest.raises(
        GeometryMismatchError, match=r"usual 3\.00 mm apart; found 10\.00 mm between 26\.00 and 36\.00 mm"
    ):
        regular_stack(stack_at([0, 3, 6, 16]))
    with pytest.raises(GeometryMismatchError, match="wanted at least 2 slices; found 1"):
        regular_stack(stack_at([0]))
    with pytest.raises(GeometryMismatchError, match="wanted two stacks with equal pixels"):
        carry_mask(np.ones((3, 6, 8), bool), stack_at([0, 3, 6]), stack_at([0, 3, 6], tilt_degrees=1.0))


# Files that other systems wrote


@pytest.mark.parametrize("name", ["sts_001", "sts_010"])
def test_real_series_are_read_as_another_reader_does(tmp_path, name):
    if not (REAL / f"{name}.tar.xz").exists():
        pytest.skip("needs the DICOM files of ../shared/data/dicom_rt, which are not here")
    with tarfile.open(REAL / f"{name}.tar.xz", "r:xz") as archive:
        archive.extractall(tmp_path, filter="data")
    series = found_in(tmp_path)
    voxels, frame = to_canonical(read_volume(series).voxels, series.stack)
    folder = str(tmp_path / name / "CT")
    other = SimpleITK.ReadImage(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(folder))
    np.testing.assert_array_equal(voxels, SimpleITK.GetArrayFromImage(other))
    for index in ((0, 0, 0), (58, 163, 184), (7, 30, 11)):
        expected = other.TransformIndexToPhysicalPoint(index[::-1])
        np.testing.assert_allclose(frame.world_from_index(np.array(index, float)), expected, atol=1e-4)
