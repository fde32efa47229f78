"""The synthetic cohort as DICOM: read again by the import, under the names that hospitals use."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest

from gossamer.data.phantom import HOSPITALS, draw_patient
from gossamer.data.proposals import propose
from gossamer.dicom import phantom_export
from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.phantom_export import OWN_NAMES, export_cohort
from gossamer.dicom.rtstruct.filling import fill_structure
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.dicom.series.canonical import canonical_image
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.volume import read_volume


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    return dict(zip("ABCD", export_cohort(folder, region="head-neck", patients=1), strict=True))


def test_what_hospital_b_exports_is_the_patient_that_was_drawn(exported):
    drawn = draw_patient("head-neck", HOSPITALS[1], (0, 1, 0))
    [series] = find_series(read_headers(exported["B"]).headers).series
    image, _ = canonical_image(read_volume(series).voxels, series.stack)
    assert (image.voxels == drawn.image.voxels).all()
    assert image.frame.differs_by_voxels(drawn.image.frame) < 1e-6
    rois = read_structure_set(exported["B"] / "patient-001" / "RS.dcm").by_name
    assert rois.keys() == {OWN_NAMES["B"][name] for name in drawn.annotated}
    for name in drawn.annotated:
        mask = fill_structure(rois[OWN_NAMES["B"][name]], series.stack, series.sop_instance_uids).mask
        assert np.array_equal(mask, drawn.masks[name]), name


@pytest.mark.parametrize("hospital", "BCD")
def test_every_name_of_a_hospital_s_own_is_a_known_synonym(hospital):
    for standard, own in OWN_NAMES[hospital].items():
        assert propose(own).standard == standard


def test_another_run_gives_the_same_slices_and_leaves_none_of_a_former_one(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(phantom_export, "HOSPITALS", HOSPITALS[:1])
    before = exported["A"] / "patient-001"
    former = tmp_path / "A" / "patient-001" / "CT-200.dcm"
    former.parent.mkdir(parents=True)
    former.write_bytes((exported["B"] / "patient-001" / "CT-001.dcm").read_bytes())
    [again] = export_cohort(tmp_path, region="head-neck", patients=1)
    files = sorted(path.name for path in (again / "patient-001").iterdir())
    assert files == sorted(path.name for path in before.iterdir())
    for name in files[:-1]:
        assert (again / "patient-001" / name).read_bytes() == (before / name).read_bytes()


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (dicom3tools), which is not installed")
def test_dciodvfy_finds_no_error_in_a_slice(exported):
    path = exported["C"] / "patient-001" / "CT-003.dcm"
    done = subprocess.run(["dciodvfy", path], check=False, capture_output=True, text=True, timeout=60)
    assert "Error" not in done.stdout + done.stderr
    assert pydicom.dcmread(path).PatientName == "Phantom^C000"
