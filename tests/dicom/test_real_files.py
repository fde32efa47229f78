"""Structure sets of planning systems (Pinnacle, MIM, an Eclipse-like one) against counts, masks and software of others.

The files, where they are from and under which licences: ../shared/data/dicom_rt/README.md.
"""

import json
import shutil
import subprocess
import tarfile
from collections import Counter
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from gossamer.dicom.rtstruct.filling import fill_structure
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.dicom.rtstruct.rings import area
from gossamer.dicom.rtstruct.structure_set import RoiState
from gossamer.dicom.series.stack import SliceStack
from gossamer.errors import EmptyMaskError, GeometryMismatchError

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "dicom_rt"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs ../shared/data (real patients), which is absent")
EXPECTED = json.loads((FOLDER / "expected.json").read_text()) if FOLDER.is_dir() else {}
FILES = [(archive, file) for archive, content in EXPECTED.items() for file in content["rtstruct"]]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """Unpacks an archive once; returns its folder."""
    root = tmp_path_factory.mktemp("dicom_rt")

    def unpack(archive):
        if not (root / archive).is_dir():
            with tarfile.open(FOLDER / f"{archive}.tar.xz", "r:xz") as tar:
                tar.extractall(root, filter="data")
        return root / archive

    return unpack


def found_in(roi):
    """What expected.json says of a ROI, counted anew; all of these are axial."""
    heights = [float(contour.points_xyz[0, 2]) for contour in roi.contours]
    slices = sorted(set(np.round(heights, 3)))
    return {
        "contours": len(roi.contours),
        "slices": len(slices),
        "types": dict(Counter(contour.kind for contour in roi.contours)),
        "nested_holes": sum(holes(roi)),
        "z_range": pytest.approx([slices[0], slices[-1]], abs=0.01) if slices else None,
    }


def holes(roi):
    """Of each contour whether it lies in an odd number of others of its slice, by its first point."""
    rings = [(round(float(c.points_xyz[0, 2]), 3), c.points_xyz[:, :2]) for c in roi.contours]
    return [
        sum(inside(ring[0], other) for z2, other in rings if z2 == z and other is not ring) % 2 == 1
        for z, ring in rings
    ]


def inside(point, ring):
    (x, y), after = point, np.roll(ring, -1, axis=0)
    spans = (ring[:, 1] > y) != (after[:, 1] > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = ring[:, 0] + (y - ring[:, 1]) / (after[:, 1] - ring[:, 1]) * (after[:, 0] - ring[:, 0])
    return np.count_nonzero(spans & (x < crossing)) % 2 == 1


@pytest.mark.parametrize(("archive", "file"), FILES)
def test_contours_are_those_that_were_counted_independently(unpacked, archive, file):
    [path] = unpacked(archive).rglob(file)
    expected = EXPECTED[archive]["rtstruct"][file]
    structures = read_structure_set(path)
    assert structures.notes == ()
    assert structures.by_name.keys() == expected.keys()
    for name, counted in expected.items():
        roi = structures.by_name[name]
        assert (roi.refusal, roi.notes) == ("", ())
        assert found_in(roi) == {key: counted[key] for key in found_in(roi)}
        assert roi.state is (RoiState.CONTOURED if counted["contours"] else RoiState.DECLARED_EMPTY)
        areas = [
            abs(area(c.points_xyz[:, :2])) * (-1) ** hole for c, hole in zip(roi.contours, holes(roi), strict=True)
        ]
        assert sum(areas) * counted["z_step"] / 1000 == pytest.approx(counted["polygon_volume_ml"], abs=0.001)


def stack_of(folder, pattern="*.dcm"):
    """The grid of a folder of axial slices, and their UIDs."""
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.glob(pattern)]
    headers = sorted(headers, key=lambda header: float(header.ImagePositionPatient[2]))
    one = headers[0]
    down, across = (float(mm) for mm in one.PixelSpacing)
    orientation = np.array(one.ImageOrientationPatient, float)
    first = np.array([header.ImagePositionPatient for header in headers], float)
    stack = SliceStack(int(one.Rows), int(one.Columns), first, down * orientation[3:], across * orientation[:3])
    return stack, [str(header.SOPInstanceUID) for header in headers]


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


@pytest.mark.parametrize(("archive", "volume_ml"), [("sts_001", 365.32), ("sts_010", 182.77)])
def test_masks_are_those_that_came_with_the_files(unpacked, archive, volume_ml):
    folder = unpacked(archive)
    stack, uids = stack_of(folder / "CT")
    [roi] = read_structure_set(folder / "RTSTRUCT" / "RS.dcm").rois.values()
    filled = fill_structure(roi, stack, uids)
    [reference] = (folder / "reference_nifti").glob("*mask*")
    given = nibabel.load(reference)
    # NIfTI is (x, y, z) in RAS: these run to the right or left and to the front or back as their affine says.
    flips = [axis for axis, sign in ((0, -1), (1, -1), (2, 1)) if given.affine[axis, axis] * sign < 0]
    theirs = np.flip(np.asarray(given.dataobj) > 0, flips).transpose(2, 1, 0)
    assert (filled.mask == theirs).all()
    assert filled.mask.sum() * 0.976562**2 * 3.27 / 1000 == pytest.approx(volume_ml, abs=0.005)
    assert filled.notes[0].endswith(f"placed by their points alone: {len(roi.contours)}")


@pytest.mark.skipif(shutil.which("plastimatch") is None, reason="needs plastimatch, which is not installed")
@pytest.mark.parametrize("archive", ["lung4d_113_p40", "sts_001", "sts_010"])
def test_masks_agree_with_plastimatch(unpacked, tmp_path, archive):
    folder = unpacked(archive)
    stack, _ = stack_of(folder / "CT")
    [path] = (folder / "RTSTRUCT").iterdir()
    subprocess.run(
        ["plastimatch", "convert", "--xor-contours", "--input", path, "--referenced-ct", folder / "CT",
         "--output-prefix", tmp_path, "--prefix-format", "nrrd"],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    rois = read_structure_set(path).by_name
    written = {file.stem: file for file in tmp_path.glob("*.nrrd")}
    assert written.keys() == rois.keys()
    for name, roi in rois.items():
        sitk = pytest.importorskip("SimpleITK", reason="needs SimpleITK, which is not installed")
        theirs = sitk.GetArrayFromImage(sitk.ReadImage(written[name])) > 0
        assert dice(fill_structure(roi, stack).mask, theirs) >= 0.99, name


def test_a_lone_slice_of_a_series_takes_only_the_contours_on_it(unpacked):
    folder = unpacked("dicompyler_breast")
    stack, uids = stack_of(folder, "ct.*.dcm")
    structures = read_structure_set(folder / "rtss.dcm")
    filled = fill_structure(structures.by_name["BODY"], stack, uids)
    assert filled.mask.any()
    assert "from -122.44 to 165.56 mm, with no slice within half its gap: 137" in filled.notes[1]  # of 141
    with pytest.raises(GeometryMismatchError, match=r"found all 33 elsewhere, from -98\.44 to -2\.44 mm"):
        fill_structure(structures.by_name["Heart"], stack, uids)
    with pytest.raises(EmptyMaskError, match="declared empty"):
        fill_structure(structures.by_name["Areola"], stack, uids)


def test_the_contours_of_a_whole_patient_have_the_volume_of_their_polygons(unpacked):
    structures = read_structure_set(unpacked("dicompyler_breast") / "rtss.dcm")
    counted = EXPECTED["dicompyler_breast"]["rtstruct"]["rtss.dcm"]
    points = np.concatenate([c.points_xyz for roi in structures.rois.values() for c in roi.contours])
    low = points.min(axis=0) - 5
    rows, columns = (np.ptp(points[:, axis]) + 10 for axis in (1, 0))
    first = np.stack([np.full(98, low[0]), np.full(98, low[1]), -122.44 + 3.0 * np.arange(98)], axis=1)
    stack = SliceStack(int(rows / 0.8), int(columns), first, np.array([0, 0.8, 0]), np.array([1.0, 0, 0]))
    for name in ("BODY", "Breast", "Heart", "Lt Lung", "Tumor Bed Block"):
        filled = fill_structure(structures.by_name[name], stack)
        assert filled.mask.sum() * 0.8 * 3 / 1000 == pytest.approx(counted[name]["polygon_volume_ml"], rel=0.005), name
