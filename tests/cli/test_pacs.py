"""``gossamer pacs`` as a user gives it, against a real PACS, from a model file to a structure set in the archive."""

import signal
from datetime import date

import pytest
from faults.ports import own_port
from pydicom.uid import generate_uid
from tests.cli.tiny_model import model_that_finds
from tests.cli.typed import typed
from tests.dicom.pacs.peers import needs_orthanc, running_orthanc
from tests.dicom.phantom_series import write_series

from gossamer.cli.pacs import _sum_up, pacs_app
from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.outgoing.made_by import read_made_by
from gossamer.dicom.pacs.web import WebPacs
from gossamer.dicom.rtstruct.read import read_structure_set
from gossamer.errors import (
    ConfigurationError,
    DataError,
    NotFetchedError,
    PacsError,
    StorageError,
    UnreadableImageError,
    UsageError,
)
from gossamer.segment.model_file import read_model

run = typed(pacs_app)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    needs_orthanc()
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture
def home(orthanc, tmp_path, monkeypatch):
    """A folder with a ``pacs.toml``, from where commands are given."""
    (tmp_path / "pacs.toml").write_text(
        f'[web]\nurl = "http://127.0.0.1:{orthanc.http}/dicom-web"\n[watch]\ndays = 1\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return tmp_path


def pushed(home, **changes):
    """A CT series that is in the PACS; returns its study UID."""
    study, series_uid = generate_uid(), generate_uid()[:40]
    write_series(home / "ct", **{"shape": (24, 16, 16), "study_uid": study, "series_uid": series_uid} | changes)
    done = run("push", home / "ct")
    assert done.exit_code == 0, done.output
    return study


def test_series_is_pushed_shown_pulled_and_passed_over_the_second_time(home):
    study = pushed(home, patient="Planted^Token")
    shown = run("pull", "-o", "down", "--study-uid", study, "--dry-run")
    assert shown.stdout.split("\t")[1:] == ["CT", "24 images\n"]
    assert not (home / "down").exists()
    pulled = run("pull", "-o", "down", "--study-uid", study)
    assert pulled.stdout == shown.stdout
    [folder] = (home / "down").iterdir()
    assert len(read_headers(folder).headers) == 24
    again = run("pull", "-o", "down", "--study-uid", study)
    assert again.stdout.endswith("\tCT\tfetched before\n")
    assert not [word for word in ("Planted", "Thorax", study) if word in shown.output + pulled.output + again.output]


def test_series_at_which_the_pacs_fails_does_not_keep_the_others_from_coming(home, monkeypatch):
    study = pushed(home, shape=(2, 4, 4))
    write_series(home / "more", shape=(2, 4, 4), study_uid=study, series_uid=(bad := generate_uid()[:40]))
    run("push", home / "more")
    images_of = WebPacs._images_of

    def fail_on_one(pacs, series):
        if series.series_uid == bad:
            raise PacsError("wanted an answer of the PACS; found HTTP status 500; is the address right?")
        return images_of(pacs, series)

    monkeypatch.setattr(WebPacs, "_images_of", fail_on_one)
    done = run("pull", "-o", "down", "--study-uid", study)
    assert type(done.exception) is NotFetchedError
    assert "GOS-620: wanted an answer" in done.stderr
    assert len(list((home / "down").iterdir())) == 1


def test_patient_id_is_asked_for_so_that_it_stands_in_no_list_of_processes(home):
    pushed(home, patient="X", PatientID="P4711", shape=(1, 4, 4))
    done = run("pull", "-o", "down", "--patient-id", "-", "--dry-run", input="P4711\n")
    assert done.stdout.count("CT\t1 images") == 1


def test_folder_that_cannot_be_made_is_said_without_its_path(home):
    study = pushed(home, shape=(1, 4, 4))
    (home / "Doe").write_bytes(b"")
    done = run("pull", "-o", "Doe/down", "--study-uid", study)
    assert type(done.exception) is StorageError
    assert "wanted to make the folder given with --out; found: Not a directory" in str(done.exception)
    assert "Doe" not in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "error", "meant"),
    [
        (("pull", "-o", "down"), UsageError, "nothing that chooses"),
        (("pull", "-o", "down", "--study-uid", "1.2.3.999"), DataError, "none that fit"),
        (("pull", "-o", "down", "--study-uid", "x"), UsageError, "digits and dots"),
        (("check", "--pacs", "absent.toml"), UsageError, "absent.toml"),
        (("push", "pacs.toml"), UnreadableImageError, "file 1"),
    ],
)
def test_what_cannot_be_done_says_why(home, arguments, error, meant):
    done = run(*arguments)
    assert type(done.exception) is error
    assert meant in str(done.exception)
    assert not (home / "down").exists()


def test_check_tells_how_the_pacs_answers(home):
    said = run("check").stdout.splitlines()
    assert said[0].startswith("The PACS answers to QIDO-RS, in 0.")
    assert said[1:] == ["The line is plain text: anyone on the way can read and change patients' data."]


def test_folder_without_a_file_is_no_push_by_either_protocol(home, orthanc):
    (home / "empty").mkdir()
    (home / "dimse.toml").write_text(
        f'[dimse]\nhost = "127.0.0.1"\nport = {orthanc.dicom}\nae_title = "ORTHANC"\nplain_dimse = true\n'
    )
    for pacs in ("pacs.toml", "dimse.toml"):
        done = run("push", "empty", "--pacs", pacs)
        assert type(done.exception) is UsageError
        assert "found none in what was given" in str(done.exception)


def test_once_fails_for_what_failed_this_time_and_not_for_what_was_given_up_years_ago(capsys):
    counts = {"done": 4, "there": 3, "held": 2, "trying": 0, "failed": 1}
    _sum_up(counts, failed_now=0)
    assert capsys.readouterr().out == "In all 4 series contoured, 3 had been before, 2 held back, 1 given up.\n"
    for missed in ({"counts": counts, "failed_now": 1}, {"counts": counts | {"trying": 1}, "failed_now": 0}):
        with pytest.raises(DataError, match="found 1 that failed"):
            _sum_up(**missed)


def test_new_ct_is_predicted_and_its_structure_set_is_at_the_pacs_once(home):
    """First held back, for its numbers are nobody's HU; then a person says that this does not matter."""
    today = date.today()
    study = pushed(home, StudyDate=f"{today:%Y%m%d}", FrameOfReferenceUID=generate_uid())
    model = model_that_finds(home / "model.safetensors", "SpinalCord")
    watch = ("watch", "-m", model, "--once", "--interval", 1)
    held = run(*watch, "--state", "careful")
    assert held.exit_code == 0, held.output
    assert held.stdout == "In all 0 series contoured, 0 had been before, 1 held back, 0 given up.\n"
    assert (
        "images: held back. GOS-309: wanted a CT like those that the model learned from; found the warnings hu"
        in held.stderr
    )
    assert run("pull", "-o", "none", "--study-uid", study, "--modality", "RTSTRUCT").exit_code != 0
    with (home / "pacs.toml").open("a") as settings:
        settings.write("hold_back = []\n")
    first = run(*watch)
    assert first.exit_code == 0, first.output
    assert first.stdout == "In all 1 series contoured, 0 had been before, 0 held back, 0 given up.\n"
    assert "Not a medical device" in first.stderr
    assert "not found and left out: Parotid_L, Parotid_R" in first.stderr
    assert run(*watch, "--state", "other").stdout == (
        "In all 0 series contoured, 1 had been before, 0 held back, 0 given up.\n"
    )
    run("pull", "-o", "down", "--study-uid", study, "--with-structure-sets")
    [path] = [header.path for header in read_headers(home / "down").headers if header.modality == "RTSTRUCT"]
    structures = read_structure_set(path)
    assert list(structures.by_name) == ["SpinalCord"]
    assert len(structures.by_name["SpinalCord"].image_uids) == 24
    assert read_made_by(path).model_hash == read_model(model).sha256


def test_ct_in_which_nothing_is_found_gets_no_structure_set(home):
    study = pushed(home, StudyDate=f"{date.today():%Y%m%d}", FrameOfReferenceUID=generate_uid())
    done = run("watch", "-m", model_that_finds(home / "m"), "--once", "--interval", 1, "--state", "own")
    assert type(done.exception) is DataError
    assert "GOS-304" in done.stderr
    assert run("pull", "-o", "down", "--study-uid", study, "--modality", "RTSTRUCT").exit_code != 0


def test_a_warning_that_does_not_exist_cannot_be_held_back(home):
    with (home / "pacs.toml").open("a") as settings:
        settings.write('hold_back = ["hu", "colour"]\n')
    done = run("watch", "-m", model_that_finds(home / "m", "SpinalCord"), "--once")
    assert type(done.exception) is ConfigurationError
    assert "found 'colour'" in str(done.exception)


def test_watch_waits_for_a_pacs_that_is_away_and_ends_with_a_signal(tmp_path, monkeypatch, run_main):
    (tmp_path / "pacs.toml").write_text(f'[web]\nurl = "http://127.0.0.1:{own_port()}/dicom-web"\n')
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("time.sleep", sleep)
    model, where = model_that_finds(tmp_path / "m"), ("--pacs", tmp_path / "pacs.toml", "--state", tmp_path / "st")
    status, _, said = run_main("pacs", "watch", "-m", model, *where)
    assert status == 128 + signal.SIGTERM
    assert waited == [120, 240, 480]
    assert said.count("The watch waits for the PACS. GOS-621: wanted to reach the PACS") == 1
    assert said.endswith("Stopped. The same command again goes on from here.\n")
    assert sorted(p.name for p in (tmp_path / "st").iterdir()) == [".lock", "outbox"]
