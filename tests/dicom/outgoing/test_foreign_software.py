"""Structure sets as other software takes them: judged by dciodvfy, filled by plastimatch."""

import shutil
import subprocess
import tarfile

import numpy as np
import pytest
from tests.dicom.outgoing.drawn_masks import REAL_CT, ring_with_island, same, series_on_disk, write

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.outgoing.reference import reference_of
from gossamer.dicom.rtstruct.filling import fill_structure
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.dicom.series.find import find_series


def run(*command):
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (dicom3tools), which is not installed")
@pytest.mark.parametrize("holes", ["keyhole", "nested", "xor"])
def test_dciodvfy_finds_no_error_but_that_it_knows_no_xor(tmp_path, holes):
    reference = series_on_disk(tmp_path / "ct")
    upper = np.zeros((4, 14, 19), bool)
    upper[2:, 3:9, 4:11] = True
    write(tmp_path / "rs.dcm", {"Frame": ring_with_island(), "Upper": upper}, reference, holes=holes, name="Head")
    said = run("dciodvfy", tmp_path / "rs.dcm")
    lines = (said.stdout + said.stderr).splitlines()
    assert "RTStructureSet" in lines
    errors = {line for line in lines if line.startswith("Error")}
    unknown = (
        "Error - Unrecognized enumerated value <CLOSEDPLANAR_XOR> for value 1 of attribute <Contour Geometric Type>"
    )
    assert errors == ({unknown} if holes == "xor" else set())


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (dicom3tools), which is not installed")
@pytest.mark.skipif(not REAL_CT.is_file(), reason="needs ../shared/data (real patients), which is absent")
def test_organs_drawn_in_a_clinic_are_written_again_on_their_ct_to_the_voxel(tmp_path):
    with tarfile.open(REAL_CT, "r:xz") as tar:
        tar.extractall(tmp_path, filter="data")
    headers = read_headers(tmp_path).headers
    [series] = find_series(headers).series
    [theirs] = [header.path for header in headers if header.modality == "RTSTRUCT"]
    rois = read_structure_set(theirs).rois.values()
    masks = {f"Organ_{roi.number}": fill_structure(roi, series.stack).mask for roi in rois}
    assert len(masks) >= 4
    reference = reference_of(series)
    assert write(tmp_path / "rs.dcm", masks, reference).notes == ()
    assert same(tmp_path / "rs.dcm", masks, reference)
    said = run("dciodvfy", tmp_path / "rs.dcm")
    assert not any(line.startswith("Error") for line in (said.stdout + said.stderr).splitlines())


@pytest.mark.skipif(shutil.which("plastimatch") is None, reason="needs plastimatch, which is not installed")
@pytest.mark.parametrize(
    ("holes", "options"), [("keyhole", ()), ("keyhole", ("--xor-contours",)), ("nested", ("--xor-contours",))]
)
def test_plastimatch_finds_every_structure_where_it_is(tmp_path, holes, options):
    masks, found = read_by_plastimatch(tmp_path, holes, options)
    assert found.keys() == masks.keys()
    for name, mask in masks.items():
        assert 2 * (found[name] & mask).sum() / (found[name].sum() + mask.sum()) >= 0.99, name


@pytest.mark.skipif(shutil.which("plastimatch") is None, reason="needs plastimatch, which is not installed")
def test_plastimatch_does_not_know_xor_which_is_why_it_is_no_default(tmp_path):
    _, found = read_by_plastimatch(tmp_path, "xor", ("--xor-contours",))
    assert found.keys() == {"Core"}


def read_by_plastimatch(folder, holes, options):
    """Writes a ring and its core; returns their masks, and those that plastimatch makes of the file."""
    sitk = pytest.importorskip("SimpleITK", reason="needs SimpleITK, which is not installed")
    rows, columns = np.mgrid[:90, :110]
    disc = ((rows - 45) / 35) ** 2 + ((columns - 55) / 45) ** 2 < 1
    hole = ((rows - 40) / 12) ** 2 + ((columns - 65) / 15) ** 2 < 1
    reference = series_on_disk(folder / "ct", shape=(4, 90, 110))
    masks = {"Ring": np.stack([disc & ~hole] * 4), "Core": np.stack([hole] * 4)}
    masks["Ring"][0] = False
    write(folder / "rs.dcm", masks, reference, holes=holes)
    said = run(
        *("plastimatch", "convert", *options, "--input", folder / "rs.dcm", "--referenced-ct", folder / "ct"),
        *("--output-prefix", folder / "out", "--prefix-format", "nrrd"),
    )
    assert said.returncode == 0
    images = {file.stem: sitk.ReadImage(file) for file in (folder / "out").glob("*.nrrd")}
    return masks, {name: sitk.GetArrayFromImage(image) > 0 for name, image in images.items()}
