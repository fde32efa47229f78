"""The watch on a real PACS, by either protocol: the structure set is found there, valid, and refers to the CT."""

import shutil
import subprocess
from datetime import UTC, datetime

import pydicom
import pytest
from pydicom.uid import generate_uid
from tests.dicom.pacs.drawing import MODEL_HASH, draw_box
from tests.dicom.phantom_series import write_series

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.outgoing.planning_rules.rules import faults_of
from gossamer.dicom.pacs.base import Query
from gossamer.dicom.pacs.opened import open_pacs
from gossamer.dicom.pacs.settings import WatchSettings
from gossamer.dicom.pacs.watch import PacsWatch
from gossamer.dicom.pacs.watch_state import opened_state
from gossamer.dicom.rtstruct.read import read_structure_set


def watch_once(pacs, state_folder, said):
    """Contour what was scanned today, which is a day of 2031, so that other tests' series are out of its sight."""
    with opened_state(state_folder) as state:
        PacsWatch(
            pacs=pacs, settings=WatchSettings(days=0), model_hash=MODEL_HASH, state=state, contour=draw_box,
            now=lambda: datetime(2031, 5, 6, 12, tzinfo=UTC), sleep=lambda _s: None, say=said.append,
        ).run_once(60.0)  # fmt: skip
        return state.counts()


@pytest.mark.parametrize("kind", ["web", "move"])
def test_phantom_of_24_slices_is_contoured_and_its_structure_set_is_there(orthanc, tmp_path, kind):
    study, series_uid = generate_uid(), generate_uid()[:40]
    day = {"StudyDate": "20310506", "FrameOfReferenceUID": generate_uid()}
    ct = write_series(tmp_path / "ct", shape=(24, 12, 16), study_uid=study, series_uid=series_uid, **day)
    said = []
    with open_pacs(orthanc.settings(kind), tmp_path) as pacs:
        pacs.store(ct)
        assert watch_once(pacs, tmp_path / "state", said)["done"] == 1, said
        [found] = pacs.find_series(Query(study_uid=study, modality="RTSTRUCT"))
        assert pacs.fetch(found, tmp_path / "rs") == 1
        assert watch_once(pacs, tmp_path / "new state", said)["there"] >= 1
        assert len(pacs.find_series(Query(study_uid=study, modality="RTSTRUCT"))) == 1
    [path] = (tmp_path / "rs").iterdir()
    refers_to_the_ct(path, ct, series_uid)
    assert faults_of(path) == ()
    if shutil.which("dciodvfy"):
        done = subprocess.run(["dciodvfy", path], check=False, capture_output=True, text=True, timeout=60)
        lines = (done.stdout + done.stderr).splitlines()
        assert "RTStructureSet" in lines
        assert not [line for line in lines if line.startswith("Error")]


def refers_to_the_ct(path, ct, series_uid):
    structures = read_structure_set(path)
    images = {header.sop_instance_uid for header in read_headers(ct[0].parent).headers}
    first = pydicom.dcmread(ct[0])
    assert structures.series_uids == (series_uid,)
    assert structures.study_uid == first.StudyInstanceUID
    assert structures.frame_of_reference_uids == (first.FrameOfReferenceUID,)
    assert structures.image_uids == images
    assert structures.by_name["SpinalCord"].image_uids < images
    assert structures.approval_status == "UNAPPROVED"
    assert structures.patient_key == first.PatientID
