"""RT Doses: values and places by arithmetic, by SimpleITK and plastimatch; what is refused; which is the plan's."""

import shutil
import subprocess
import tarfile
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
    ImplicitVRLittleEndian,
)
from tests.dicom.phantom_dose import distinct_doses, write_dose
from tests.dicom.phantom_series import AXIAL, write_series

from gossamer.dicom.dose.choose import NOT_CHECKED, read_plan_dose
from gossamer.dicom.dose.read import read_rt_dose
from gossamer.errors import DataError, GeometryMismatchError, UnreadableImageError

pytestmark = pytest.mark.usefixtures("files_are_read_here")
FRAGMENTS = Path(__file__).parents[4] / "shared" / "data" / "dicom_rt" / "pydicom_rt_fragments.tar.xz"
SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
AXES = [
    (np.array(row) * s, np.array(column) * t)
    for row, column in permutations(np.eye(3, dtype=int), 2)
    for s, t in product((1, -1), repeat=2)
]
"""All 24 orders and signs of a row's and a column's direction."""


def assert_holds(dose, stored, away_mm, iop=AXIAL):
    """Each stored voxel, in mGy, is found where PS3.3 C.7.6.2.1.1 has it, its plane so far away along the normal."""
    row, column = np.array(iop[:3], float), np.array(iop[3:], float)
    k, r, c = np.indices(stored.shape).reshape(3, -1, 1)
    points = (-100.0, -50.0, 20.0) + column * r * 2.5 + row * c * 3.0 + np.cross(row, column) * np.take(away_mm, k)
    np.testing.assert_allclose(dose.at(points), stored.ravel() * 1e-3, atol=1e-4)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("kind", [np.uint16, np.uint32])
def test_dose_is_stored_value_times_scaling_in_any_plain_syntax(tmp_path, syntax, kind):
    stored = (distinct_doses((4, 5, 6)) - (65_000 if kind == np.uint16 else 0)).astype(kind)
    read = read_rt_dose(write_dose(tmp_path / "d.dcm", stored, syntax=syntax))
    assert read.dose.gray.dtype == np.float32
    assert_holds(read.dose, stored, (0, 4, 8, 12))
    assert (read.summation, read.frame_of_reference_uid, read.dose.notes) == ("PLAN", "1.2.3.3", ())


@pytest.mark.parametrize("axes", AXES, ids=lambda axes: "".join(map(str, (*axes[0], *axes[1]))))
def test_dose_lies_where_it_says_in_any_signed_orientation(tmp_path, axes):
    iop = tuple(float(n) for n in np.concatenate(axes))
    read = read_rt_dose(write_dose(tmp_path / "d.dcm", iop=iop))
    assert_holds(read.dose, distinct_doses((4, 5, 6)), (0, 4, 8, 12), iop=iop)


def test_oblique_dose_lies_where_it_says(tmp_path):
    turn = np.radians(25)
    iop = (np.cos(turn), np.sin(turn), 0.0, -np.sin(turn), np.cos(turn), 0.0)
    read = read_rt_dose(write_dose(tmp_path / "d.dcm", iop=[f"{n:.10f}" for n in iop]))
    assert_holds(read.dose, distinct_doses((4, 5, 6)), (0, 4, 8, 12), iop=iop)


@pytest.mark.parametrize(
    ("iop", "offsets", "away"),
    [
        (AXIAL, (20, 24, 28, 32), (0, 4, 8, 12)),  # z of the planes
        (AXIAL, (20, 16, 12, 8), (0, -4, -8, -12)),  # and downwards
        (AXIAL, (0, -4, -8, -12), (0, -4, -8, -12)),  # along the normal, downwards
        ((-1, 0, 0, 0, -1, 0), (20, 24, 28, 32), (0, 4, 8, 12)),  # prone: the normal still points to the head
        ((-1, 0, 0, 0, 1, 0), (20, 24, 28, 32), (0, -4, -8, -12)),  # facing the feet: z against the normal
        ((-1, 0, 0, 0, 1, 0), (0, 4, 8, 12), (0, 4, 8, 12)),  # but a distance along it
    ],
)
def test_offsets_are_distances_along_the_normal_or_z(tmp_path, iop, offsets, away):
    read = read_rt_dose(write_dose(tmp_path / "d.dcm", iop=iop, offsets=offsets))
    assert_holds(read.dose, distinct_doses((4, 5, 6)), away, iop=iop)


def test_planes_at_multiples_of_the_smallest_distance_are_linear_between(tmp_path):
    offsets = (0, 2.5, 7.5, 15)
    read = read_rt_dose(write_dose(tmp_path / "d.dcm", offsets=offsets))
    stored = distinct_doses((4, 5, 6))
    assert read.dose.gray.shape == (7, 5, 6)
    assert_holds(read.dose, stored, offsets)
    half_way = np.array([[-100.0, -50.0, 20 + 11.25]])
    assert read.dose.at(half_way)[0] == pytest.approx(
        (int(stored[2, 0, 0]) + int(stored[3, 0, 0])) / 2 * 1e-3, abs=1e-4
    )
    assert read.dose.notes == ("planes of the dose are 2.5 to 7.5 mm apart; it is linear between them",)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"DoseUnits": "RELATIVE"}, UnreadableImageError, "found RELATIVE; export the dose as absolute"),
        ({"DoseUnits": None}, UnreadableImageError, "found none"),
        ({"DoseType": "ERROR"}, UnreadableImageError, "Dose Type ERROR"),
        ({"DoseGridScaling": None}, UnreadableImageError, "Dose Grid Scaling"),
        ({"DoseGridScaling": "0"}, UnreadableImageError, "found 0 for values up to 70,119"),
        ({"DoseGridScaling": "1e9"}, UnreadableImageError, "gives doses in Gy"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, UnreadableImageError, "found RTDOSE"),
        ({"PixelRepresentation": 1}, UnreadableImageError, "signed"),
        ({"BitsStored": 24}, UnreadableImageError, "in 24 of 32 bits"),
        ({"Rows": 6}, UnreadableImageError, "wanted 576 bytes of dose; found 480"),
        ({"NumberOfFrames": 100_000}, UnreadableImageError, "at most 2,048 planes"),
        ({"GridFrameOffsetVector": [0, 4, 8]}, GeometryMismatchError, "found 4 and 3"),
        ({"GridFrameOffsetVector": None}, GeometryMismatchError, "found 4 and 0"),
        ({"GridFrameOffsetVector": [0, 4, 4, 8]}, GeometryMismatchError, "turn back"),
        ({"GridFrameOffsetVector": [0, 4, 9, 14]}, GeometryMismatchError, "found 4 to 5 mm"),
        (
            {"GridFrameOffsetVector": [3, 7, 11, 15]},
            GeometryMismatchError,
            r"Image Position \(20.00 mm\); found 3",
        ),
        ({"ImageOrientationPatient": [1, 0, 0, 0.2, 1, 0]}, GeometryMismatchError, "right angles"),
        ({"ImagePositionPatient": None}, GeometryMismatchError, "found a dose without"),
        ({"GridFrameOffsetVector": [0, 0.001, 4, 8]}, GeometryMismatchError, "found 0.001 to 4 mm"),
        ({"GridFrameOffsetVector": [0, 4, 8, "1e300"]}, GeometryMismatchError, "found 4 to 1e[+]300 mm"),
        ({"GridFrameOffsetVector": ["-1e308", 0, "1e308", "1.7e308"]}, GeometryMismatchError, "begins with 0"),
        ({"PixelSpacing": [0, 3]}, GeometryMismatchError, "found 0 x 3 mm"),
        ({"ImagePositionPatient": [0, "1e300", 0]}, GeometryMismatchError, "within a kilometre"),
    ],
)
def test_what_is_no_dose_on_a_known_grid_is_refused(tmp_path, change, error, message):
    with pytest.raises(error, match=message) as caught:
        read_rt_dose(write_dose(tmp_path / "Doe.dcm", **change))
    assert "Doe" not in str(caught.value)


def test_offsets_that_mean_two_places_are_refused(tmp_path):
    path = write_dose(tmp_path / "d.dcm", iop=(-1, 0, 0, 0, 1, 0), ipp=(0, 0, 0))
    with pytest.raises(GeometryMismatchError, match="wanted planes in one place"):
        read_rt_dose(path)


def test_offsets_of_sagittal_planes_are_never_z(tmp_path):
    with pytest.raises(GeometryMismatchError, match="begins with 0"):
        read_rt_dose(write_dose(tmp_path / "d.dcm", iop=(0, 1, 0, 0, 0, -1), offsets=(20, 24, 28, 32)))


def test_single_plane_is_refused(tmp_path):
    with pytest.raises(GeometryMismatchError, match="at least 2 planes"):
        read_rt_dose(write_dose(tmp_path / "d.dcm", offsets=(0.0,)))


def test_cut_file_is_refused(tmp_path):
    path = write_dose(tmp_path / "d.dcm")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UnreadableImageError, match="cut off"):
        read_rt_dose(path)


def test_effective_dose_is_taken_and_said(tmp_path):
    [note] = read_rt_dose(write_dose(tmp_path / "d.dcm", DoseType="EFFECTIVE")).dose.notes
    assert "EFFECTIVE" in note


def test_simpleitk_finds_the_same_dose_in_the_same_place(tmp_path):
    path = write_dose(tmp_path / "d.dcm", syntax=ExplicitVRLittleEndian)
    theirs = SimpleITK.ReadImage(str(path))
    dose = read_rt_dose(path).dose
    np.testing.assert_allclose(dose.gray, SimpleITK.GetArrayFromImage(theirs) * 1e-3, rtol=1e-6)  # it does not scale
    for index in [(0, 0, 0), (5, 4, 3), (2, 1, 0)]:
        point = theirs.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(dose.frame.world_from_index(np.array(index[::-1], float)), point, atol=1e-6)


@pytest.mark.skipif(shutil.which("plastimatch") is None, reason="needs plastimatch, which is not installed")
@pytest.mark.parametrize("offsets", [(0, 4, 8, 12), (20, 24, 28, 32)])
def test_plastimatch_finds_the_same_dose_in_the_same_place(tmp_path, offsets):
    path = write_dose(tmp_path / "in" / "d.dcm", offsets=offsets)
    command = ["plastimatch", "convert", "--input", path.parent, "--output-dose-img", tmp_path / "d.nrrd"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    theirs = SimpleITK.ReadImage(str(tmp_path / "d.nrrd"))
    dose = read_rt_dose(path).dose
    np.testing.assert_allclose(dose.gray, SimpleITK.GetArrayFromImage(theirs), rtol=1e-5)
    point = theirs.TransformIndexToPhysicalPoint((5, 4, 3))
    np.testing.assert_allclose(dose.frame.world_from_index(np.array([3.0, 4.0, 5.0])), point, atol=1e-4)


@pytest.mark.skipif(not FRAGMENTS.is_file(), reason="needs ../shared/data (files of pydicom), which is absent")
@pytest.mark.parametrize("name", ["rtdose.dcm", "rtdose_expb.dcm", "rtdose_rle.dcm"])
def test_doses_of_pydicoms_own_tests_are_read_as_pydicom_reads_them(tmp_path, name):
    with tarfile.open(FRAGMENTS, "r:xz") as tar:
        tar.extractall(tmp_path, filter="data")
    [path] = tmp_path.rglob(name)
    with pytest.raises(UnreadableImageError, match="found RELATIVE"):  # as they are
        read_rt_dose(path)
    theirs = pydicom.dcmread(path)
    theirs.DoseUnits = "GY"
    theirs.save_as(tmp_path / "gray.dcm")
    dose = read_rt_dose(tmp_path / "gray.dcm").dose
    np.testing.assert_allclose(dose.gray, theirs.pixel_array * float(theirs.DoseGridScaling), rtol=1e-6)
    assert dose.frame.spacing_mm == pytest.approx((5.0, 10.0, 10.0))
    np.testing.assert_allclose(dose.frame.world_from_voxel[:3, 3], theirs.ImagePositionPatient)


# Which dose is the plan's


def test_dose_of_the_plan_is_taken_and_those_of_its_beams_are_not(tmp_path):
    write_series(tmp_path / "ct")
    write_dose(tmp_path / "beam.dcm", uid="1.2.3.9.2", DoseSummationType="BEAM", scaling=2e-3)
    write_dose(tmp_path / "plan.dcm")
    read, notes = read_plan_dose(tmp_path)
    assert read.summation == "PLAN"
    assert_holds(read.dose, distinct_doses((4, 5, 6)), (0, 4, 8, 12))
    assert notes == ("1 doses of beams or fractions are not the plan's, and left out",)


def test_copies_of_one_dose_are_one(tmp_path):
    write_series(tmp_path / "ct")
    shutil.copy(write_dose(tmp_path / "plan.dcm"), tmp_path / "again.dcm")
    assert read_plan_dose(tmp_path)[1] == ()


@pytest.mark.parametrize(
    ("summations", "error", "message"),
    [
        (["BEAM", "BEAM"], UnreadableImageError, "found 2 of BEAM"),
        (["PLAN", "PLAN", "BEAM"], DataError, "found 2 of PLAN, 1 of BEAM; leave the one"),
        ([], UnreadableImageError, "found none; export it"),
    ],
)
def test_none_or_several_doses_of_plans_are_refused(tmp_path, summations, error, message):
    for n, summation in enumerate(summations):
        write_dose(tmp_path / f"{n}.dcm", uid=f"1.2.3.9.{n}", DoseSummationType=summation)
    with pytest.raises(error, match=message):
        read_plan_dose(tmp_path)


def test_dose_of_a_beam_given_as_a_file_is_refused(tmp_path):
    with pytest.raises(UnreadableImageError, match="whole plan"):
        read_plan_dose(write_dose(tmp_path / "d.dcm", DoseSummationType="BEAM"))


def test_dose_in_the_coordinates_of_another_ct_is_refused(tmp_path):
    write_series(tmp_path / "ct")
    write_dose(tmp_path / "plan.dcm", frame_uid="1.2.3.77")
    with pytest.raises(GeometryMismatchError, match="Frame of Reference UID of the CT"):
        read_plan_dose(tmp_path)


def test_without_a_ct_it_is_said_that_nothing_was_compared(tmp_path):
    path = write_dose(tmp_path / "plan.dcm")
    assert read_plan_dose(path)[1] == read_plan_dose(tmp_path)[1] == (NOT_CHECKED,)


def test_two_doses_under_one_uid_are_refused(tmp_path):
    write_dose(tmp_path / "one.dcm")
    write_dose(tmp_path / "other.dcm", scaling=2e-3)
    with pytest.raises(UnreadableImageError, match="the same in all of its copies"):
        read_plan_dose(tmp_path)
