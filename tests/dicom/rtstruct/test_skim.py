"""Structure sets in a few words: what can be read is told, what cannot costs itself."""

from tests.dicom.phantom_patient import organ, write_patient
from tests.dicom.phantom_series import FRAME
from tests.dicom.phantom_structures import Drawn, write_structures

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.rtstruct.skim import Skimmed, skim


def test_names_of_volumes_and_frames_are_told_and_a_set_that_is_cut_off_is_not(tmp_path):
    path = write_patient(tmp_path, rois=[organ(1, "Leber"), Drawn(2, "leer")])
    other = write_structures(
        tmp_path / "cut", [organ(1, "Milz")], change=lambda file: setattr(file, "SOPInstanceUID", "1.2.3.99")
    )
    headers = read_headers(tmp_path).headers
    other.write_bytes(other.read_bytes()[:-50])
    assert {header.path for header in headers} > {path, other}
    assert skim(headers) == {path: Skimmed(frozenset({"Leber"}), frozenset({FRAME}))}


def test_without_structure_sets_no_process_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr("gossamer.bounded_pool.ProcessPoolExecutor", None)
    assert skim(read_headers(tmp_path).headers, workers=2) == {}
