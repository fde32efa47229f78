"""``gossamer pacs`` as a user gives it, against a real PACS, from a model file to a structure set in the archive."""

import signal
from datetime import date

import pytest
import torch
from pydicom.uid import generate_uid
from tests.dicom.pacs.peers import DICOMWEB, ORTHANC, free_port, running_orthanc
from tests.dicom.phantom_series import write_series
from typer.testing import CliRunner

from gossamer.cli.main import main
from gossamer.cli.pacs import pacs_app
from gossamer.data.plan import NetworkPlan, Plan
from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.outgoing.made_by import read_made_by
from gossamer.dicom.rtstruct.structure_set import read_structure_set
from gossamer.errors import ConfigurationError, DataError, UnreadableImageError, UsageError
from gossamer.nets import build_network, parameters_of
from gossamer.segment.model_file import ModelRecord, read_model, write_model

PLAN = Plan(
    structures=("SpinalCord", "Parotid_R"),
    spacing_mm=(3.0, 1.5, 1.5),
    patch_size=(8, 16, 16),
    hu_low=-200.0,
    hu_high=300.0,
    hu_mean=10.0,
    hu_sd=100.0,
    position_channels=False,
    network=NetworkPlan("unet", (8, 16), ((2, 2, 2),)),
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    if ORTHANC is None or not DICOMWEB.exists():
        pytest.skip("needs Orthanc with DICOMweb (Debian: orthanc, orthanc-dicomweb), which is not installed")
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


def run(*arguments):
    return CliRunner().invoke(pacs_app, [str(a) for a in arguments])


def pushed(home, **changes):
    """A CT series that is in the PACS; returns its study UID."""
    study, series_uid = generate_uid(), generate_uid()[:40]
    write_series(home / "ct", **{"shape": (24, 16, 16), "study_uid": study, "series_uid": series_uid} | changes)
    done = run("push", home / "ct")
    assert done.exit_code == 0, done.output
    return study


def model_that_finds(path, *found):
    """A model that sees these structures everywhere and the others nowhere."""
    params = parameters_of(build_network(PLAN))
    params["head.weight"].zero_()
    params["head.bias"] = torch.tensor([9.0 if name in found else -9.0 for name in PLAN.structures])
    record = ModelRecord(arm="gossip", seed=0, sites={"A": 3}, steps=1, rounds=1, gossamer_version="0.1.0")
    write_model(path, params, PLAN, record)
    return path


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


def test_patient_id_is_asked_for_so_that_it_stands_in_no_list_of_processes(home):
    pushed(home, patient="X", PatientID="P4711", shape=(1, 4, 4))
    done = CliRunner().invoke(pacs_app, ["pull", "-o", "down", "--patient-id", "-", "--dry-run"], input="P4711\n")
    assert done.stdout.count("CT\t1 images") == 1


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
    assert run("check").stdout.startswith("The PACS answers to QIDO-RS, in 0.")


def test_new_ct_is_predicted_and_its_structure_set_is_at_the_pacs_once(home):
    """First held back, for its numbers are nobody's HU; then a person says that this does not matter."""
    today = date.today()
    study = pushed(home, StudyDate=f"{today:%Y%m%d}", FrameOfReferenceUID=generate_uid())
    model = model_that_finds(home / "model.safetensors", "SpinalCord")
    watch = ("watch", "-m", model, "--once", "--interval", 1)
    held = run(*watch, "--state", "careful")
    assert type(held.exception) is DataError
    assert "GOS-309: wanted a CT like those that the model learned from; found the warnings hu" in held.stderr
    assert run("pull", "-o", "none", "--study-uid", study, "--modality", "RTSTRUCT").exit_code != 0
    with (home / "pacs.toml").open("a") as settings:
        settings.write("hold_back = []\n")
    first = run(*watch)
    assert first.exit_code == 0, first.output
    assert first.stdout == "In all 1 series contoured, 0 had been before, 0 given up.\n"
    assert "Not a medical device" in first.stderr
    assert "not found and left out: Parotid_R" in first.stderr
    assert run(*watch, "--state", "other").stdout == "In all 0 series contoured, 1 had been before, 0 given up.\n"
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


@pytest.fixture
def _handlers():
    """``main`` takes signals; this gives them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
def test_watch_waits_for_a_pacs_that_is_away_and_ends_with_a_signal(tmp_path, monkeypatch, capsys):
    (tmp_path / "pacs.toml").write_text(f'[web]\nurl = "http://127.0.0.1:{free_port()}/dicom-web"\n')
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("time.sleep", sleep)
    command = (
        "watch",
        "-m",
        model_that_finds(tmp_path / "m"),
        "--pacs",
        tmp_path / "pacs.toml",
        "--state",
        tmp_path / "st",
    )
    monkeypatch.setattr("sys.argv", ["gossamer", "pacs", *map(str, command)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 128 + signal.SIGTERM
    assert waited == [120, 240, 480]
    said = capsys.readouterr().err
    assert said.count("The watch waits for the PACS. GOS-621: wanted to reach the PACS") == 1
    assert said.endswith("Stopped. The same command again goes on from here.\n")
    assert sorted(p.name for p in (tmp_path / "st").iterdir()) == [".lock", "outbox"]
