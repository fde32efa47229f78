"""``gossamer deidentify``: a folder a patient, whole or not at all, once; and the originals as they were."""

import hashlib
import json

import pydicom
import pytest
from tests.dicom.phantom_dose import write_dose
from tests.dicom.phantom_patient import organ, write_patient
from tests.dicom.phantom_series import write_multiframe
from typer.testing import CliRunner

from gossamer.bounded_pool import outcomes
from gossamer.cli.main import app
from gossamer.dicom.deidentify import folder as module
from gossamer.dicom.deidentify.folder import RECORD, deidentify_folder
from gossamer.dicom.deidentify.objects import Treatment
from gossamer.dicom.deidentify.pseudonyms import Pseudonyms
from gossamer.errors import DatasetError, DiskFullError, UnreadableImageError, UsageError

KEY = Pseudonyms(bytes(32))
PLAIN = Treatment(KEY, {})
JANE, RICK = KEY.of("ID of Doe^Jane"), KEY.of("ID of Roe^Rick")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


@pytest.fixture
def exports(tmp_path):
    """Two patients, of whom one has a dose, among other things."""
    folder = tmp_path / "in"
    write_patient(folder / "Doe Jane")
    write_patient(folder / "Roe", root="1.2.4", patient="Roe^Rick")
    write_dose(folder / "dose", PatientID="ID of Doe^Jane")
    plan = pydicom.dcmread(folder / "dose")
    plan.SOPClassUID, plan.SOPInstanceUID, plan.Modality = "1.2.840.10008.5.1.4.1.1.481.5", "1.2.3.88", "RTPLAN"
    plan.save_as(folder / "plan")
    (folder / "notes.txt").write_text("Doe, Jane")
    return folder


def content_of(folder):
    return {
        path.relative_to(folder): (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_each_patient_gets_a_folder_and_the_originals_stay(exports, tmp_path):
    before = content_of(exports)
    found = deidentify_folder(exports, tmp_path / "out", PLAIN)
    assert {patient.patient: patient.written for patient in found.patients} == {
        JANE: {"CT": 5, "RTSTRUCT": 1, "RTDOSE": 1},
        RICK: {"CT": 5, "RTSTRUCT": 1},
    }
    assert [(p.rois, p.removed_rois, p.left_out) for p in found.patients] == [({"Liver": 1}, 1, {})] * 2
    assert (found.other_kinds, found.not_dicom, found.failed) == ({"RT Plan Storage": 1}, 1, {})
    assert content_of(exports) == before
    for name in (JANE, RICK):
        for path in (tmp_path / "out" / name).glob("*.dcm"):
            file = pydicom.dcmread(path)
            assert path.name == f"{file.Modality}.{file.SOPInstanceUID}.dcm"
            assert file.PatientID == name
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([JANE, RICK])


def test_a_second_run_makes_anew_what_changed_alone(exports, tmp_path):
    deidentify_folder(exports, tmp_path / "out", PLAIN)
    first = content_of(tmp_path / "out")
    assert deidentify_folder(exports, tmp_path / "out", PLAIN).kept == 2
    assert content_of(tmp_path / "out") == first
    next((tmp_path / "out" / RICK).glob("CT.*")).unlink()
    (exports / "dose").unlink()
    found = deidentify_folder(exports, tmp_path / "out", PLAIN)
    assert found.kept == 0
    assert not list((tmp_path / "out" / JANE).glob("RTDOSE*"))
    assert len(list((tmp_path / "out" / RICK).glob("CT.*"))) == 5
    assert deidentify_folder(exports, tmp_path / "out", Treatment(KEY, {"Liver": ""})).kept == 0


def test_a_full_disk_leaves_no_part_of_a_patient(exports, tmp_path, monkeypatch):
    real, left = module._write, [9]

    def write(path, content):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(module, "_write", write)
    with pytest.raises(DiskFullError, match="found no room"):
        deidentify_folder(exports, tmp_path / "out", PLAIN)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [min(JANE, RICK)]
    monkeypatch.setattr(module, "_write", real)
    assert deidentify_folder(exports, tmp_path / "out", PLAIN).kept == 1


def test_one_bad_file_costs_itself_and_a_patient_of_bad_files_alone_is_named(exports, tmp_path):
    write_patient(exports / "bad", root="1.2.5", patient="Poe", BurnedInAnnotation="YES", rois=[organ(1, "of Poe")])
    slice_of_jane = next((exports / "Doe Jane").glob("1.2.3.2-*"))
    slice_of_jane.write_bytes(slice_of_jane.read_bytes()[:-20])
    found = deidentify_folder(exports, tmp_path / "out", PLAIN)
    [jane] = [patient for patient in found.patients if patient.patient == JANE]
    assert jane.written == {"CT": 4, "RTSTRUCT": 1, "RTDOSE": 1}
    [(reason, count)] = jane.left_out.items()
    assert (reason[:10], count) == ("CT: wanted", 1)
    [(name, why)] = found.failed.items()
    assert name == KEY.of("ID of Poe")
    assert "5: CT: wanted pixels without words" in why
    assert "Poe" not in why
    assert not (tmp_path / "out" / name).exists()


def test_a_multi_frame_ct_is_left_out_and_counted_by_its_name(exports, tmp_path):
    [path] = write_multiframe(exports / "enhanced", [20, 23])
    file = pydicom.dcmread(path)
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = "1.2.3.77"
    file.save_as(path)
    found = deidentify_folder(exports, tmp_path / "out", PLAIN)
    assert found.other_kinds == {"RT Plan Storage": 1, "Enhanced CT Image Storage": 1}
    assert {patient.written["CT"] for patient in found.patients} == {5}


def test_a_file_that_another_contradicts_since_the_last_run_is_no_longer_given(exports, tmp_path):
    deidentify_folder(exports, tmp_path / "out", PLAIN)
    other = pydicom.dcmread(exports / "dose")
    other.DoseGridScaling = "0.002"
    other.save_as(exports / "other")
    found = deidentify_folder(exports, tmp_path / "out", PLAIN)
    assert found.kept == 1
    [jane] = [patient for patient in found.patients if patient.patient == JANE]
    [(reason, count)] = jane.left_out.items()
    assert count == 2
    assert "RTDOSE: wanted one object a SOP Instance UID; found two files that differ" in reason
    assert not list((tmp_path / "out" / JANE).glob("RTDOSE*"))


def test_the_same_in_workers(exports, tmp_path):
    here = deidentify_folder(exports, tmp_path / "one", PLAIN)
    there = deidentify_folder(exports, tmp_path / "two", PLAIN, workers=1)
    assert there == here
    assert {p: h for p, (h, _) in content_of(tmp_path / "one").items()} == {
        p: h for p, (h, _) in content_of(tmp_path / "two").items()
    }


def test_folders_must_lie_apart_and_hold_something(exports, tmp_path):
    for folder, out in ((exports, exports / "out"), (exports, tmp_path), (exports, exports)):
        with pytest.raises(UsageError, match="inside the other"):
            deidentify_folder(folder, out, PLAIN)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="found 0 DICOM objects"):
        deidentify_folder(tmp_path / "empty", tmp_path / "out", PLAIN)


@pytest.fixture
def gossamer(monkeypatch):
    """The command, reading in this process."""

    def here(function, jobs, bounds_of, *, workers, at_a_time=1):
        assert workers >= 1, "always in children"
        return outcomes(function, jobs, bounds_of, workers=0, at_a_time=at_a_time)

    monkeypatch.setattr(module, "outcomes", here)
    monkeypatch.setattr("gossamer.dicom.files.headers.outcomes", here)
    return lambda *arguments: CliRunner().invoke(app, ["deidentify", *map(str, arguments)])


def test_the_command_prints_a_table_or_json_and_keeps_the_key_beside_the_folder(gossamer, exports, tmp_path):
    names = tmp_path / "names.toml"
    names.write_text('[names]\n"PTV of Jane" = "Spleen"\n[derived]\nKidney_L = "Spleen - Liver"\n')
    done = gossamer(exports, "--out", tmp_path / "out", "--names", names, "--shift-dates", "--json")
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert [patient["rois"] for patient in said["patients"]] == [{"Liver": 1, "Spleen": 1}] * 2
    assert said["other_kinds"] == {"RT Plan Storage": 1}
    assert (tmp_path / "out.key").stat().st_mode & 0o077 == 0
    assert "a head CT shows the face" in done.stderr
    assert "1 structures that the names file derives are not drawn here" in " ".join(done.stderr.split())
    again = gossamer(exports, "--out", tmp_path / "out", "--names", names, "--shift-dates")
    assert "Kept as a former run had made them: 2" in again.stdout
    assert "Liver, Spleen" in again.stdout
    assert "Left out, of another kind: RT Plan Storage: 1" in again.stdout
    assert "Jane" not in done.output + again.output
    record = json.loads(next((tmp_path / "out").glob(f"*/{RECORD}")).read_text())
    assert record["written"]["CT"] == 5


def test_the_command_refuses_a_key_that_would_be_given_away(gossamer, exports, tmp_path):
    done = gossamer(exports, "--out", tmp_path / "out", "--key", tmp_path / "out" / "key")
    assert isinstance(done.exception, UsageError)
    assert not (tmp_path / "out").exists()


def test_the_command_ends_with_an_error_where_nothing_of_a_patient_can_be_given(gossamer, exports, tmp_path):
    write_patient(exports / "bad", root="1.2.5", patient="Poe", BurnedInAnnotation="YES", rois=[organ(1, "of Poe")])
    done = gossamer(exports, "--out", tmp_path / "out")
    assert isinstance(done.exception, UnreadableImageError)
    assert "found 1 of 3 of whom nothing can be given away" in str(done.exception)
    assert len(list((tmp_path / "out").iterdir())) == 2
