import json

import numpy as np
import pydicom
import pytest
from tests.cli.tiny_model import model_that_finds
from tests.cli.typed import typed
from tests.dicom.phantom_series import write_series

from gossamer.cli.predict import predict
from gossamer.dicom.outgoing.write_structure_set import write_structure_set
from gossamer.dicom.series.key import series_key
from gossamer.errors import DataError, EmptyMaskError, SliceStackError, UnreadableImageError, UsageError
from gossamer.segment import contouring

run = typed(predict)
pytestmark = pytest.mark.usefixtures("one_thread")
UIDS = ("1.2.3.2", "1.2.3.22")


@pytest.fixture
def dicom(tmp_path):
    """Two patients' series, of 5 slices each, the second in a folder within."""
    for place, uid in zip(("Doe", "Doe/Roe"), UIDS, strict=True):
        write_series(
            tmp_path / "dicom" / place,
            np.full((5, 16, 20), 30),
            spacing=(3.0, 1.5, 1.0),
            series_uid=uid,
            study_uid=f"{uid}.9",
            frame_uid=f"{uid}.8",
            patient=f"{place[-3:]}^Jane",
        )
    return tmp_path / "dicom"


def names_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_each_series_gets_a_structure_set_whose_names_tell_nobody(tmp_path, dicom):
    done = run("-i", dicom, "-o", tmp_path / "out", "-m", model_that_finds(tmp_path / "m", "Parotid_L"))
    assert done.exit_code == 0, done.output
    keys = sorted(series_key(uid) for uid in UIDS)
    assert names_in(tmp_path / "out") == [
        name for key in keys for name in (f"CT-{key}/RTSTRUCT-{key}.dcm", f"CT-{key}/prediction.json")
    ]
    found = {
        pydicom.dcmread(path).StudyInstanceUID: pydicom.dcmread(path).PatientName
        for path in (tmp_path / "out").rglob("*.dcm")
    }
    assert found == {"1.2.3.2.9": "Doe^Jane", "1.2.3.22.9": "Roe^Jane"}
    assert f"CT-{keys[0]}\tParotid_L\t7.20 ml" in done.stdout  # 5 x 16 x 20 voxels of 4.5 mm3
    assert f"CT-{keys[0]}: not found and left out: Parotid_R, SpinalCord" in done.stderr
    said = done.output + "".join(path.read_text() for path in (tmp_path / "out").rglob("*.json"))
    assert not any(text in said for text in ("Doe", "Roe", "Jane", *UIDS))


@pytest.mark.parametrize(
    ("form", "files"),
    [
        ("seg", ["SEG-KEY.dcm", "prediction.json"]),
        ("nifti", ["ct.nii.gz", "labelmap.nii.gz", "prediction.json", "segmentations/Parotid_L.nii.gz"]),
    ],
)
def test_other_forms_are_written_when_asked_for(tmp_path, dicom, form, files):
    more = ["--labelmap"] if form == "nifti" else []
    model = model_that_finds(tmp_path / "m", "Parotid_L")
    done = run("-i", dicom / "Doe/Roe", "-o", tmp_path / "out", "-m", model, "--format", form, "--json", *more)
    assert done.exit_code == 0, done.output
    key = series_key(UIDS[1])
    assert names_in(tmp_path / f"out/CT-{key}") == [name.replace("KEY", key) for name in files]
    assert json.loads(done.stdout)[f"CT-{key}"]["form"] == form


def test_a_refused_series_is_named_and_does_not_end_the_other(tmp_path, dicom):
    middle = next(path for path in (dicom / "Doe/Roe").iterdir() if path.name.endswith("-2"))
    middle.unlink()
    done = run("-i", dicom, "-o", tmp_path / "out", "-m", model_that_finds(tmp_path / "m", "Parotid_L"))
    assert isinstance(done.exception, DataError)
    assert "wanted 2 predictions; found 1 that failed" in str(done.exception)
    said = " ".join(done.stderr.split())
    assert f"GOS-310: CT-{series_key(UIDS[1])}: " in said
    assert "mm" in said.split(f"CT-{series_key(UIDS[1])}: ")[1]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"CT-{series_key(UIDS[0])}"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, SliceStackError),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, UnreadableImageError),
        ({"RescaleType": "US"}, UnreadableImageError),
    ],
)
def test_a_series_that_is_refused_alone_ends_with_the_code_of_its_reason(tmp_path, dicom, change, code):
    """Without a change its third slice is missing."""
    for path in list((dicom / "Doe/Roe").iterdir()):
        ds = pydicom.dcmread(path)
        for keyword, value in change.items():
            setattr(ds, keyword, value)
        ds.save_as(path)
        if not change and path.name.endswith("-2"):
            path.unlink()
    done = run("-i", dicom / "Doe/Roe", "-o", tmp_path / "out", "-m", model_that_finds(tmp_path / "m", "Parotid_L"))
    assert type(done.exception) is code


def test_nothing_found_leaves_nothing_and_has_status_3(tmp_path, dicom):
    done = run("-i", dicom / "Doe/Roe", "-o", tmp_path / "out", "-m", model_that_finds(tmp_path / "m"))
    assert isinstance(done.exception, EmptyMaskError)
    assert done.exception.exit_status == 3
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_done_is_passed_over_and_what_is_stale_is_an_error(tmp_path, dicom):
    model = model_that_finds(tmp_path / "m", "Parotid_L")
    arguments = ("-i", dicom / "Doe/Roe", "-o", tmp_path / "out", "-m", model)
    run(*arguments)
    [path] = (tmp_path / "out").rglob("*.dcm")
    before = path.read_bytes()
    again = run(*arguments)
    assert again.exit_code == 0
    assert "predicted before" in again.stderr
    assert "Parotid_L\t7.20 ml" in again.stdout
    assert isinstance(run(*arguments, "--smooth", "1").exception, UsageError)
    assert isinstance(run(*arguments, "--format", "seg").exception, UsageError)
    assert path.read_bytes() == before


def test_smoothing_says_how_far_it_moved_a_point(tmp_path, dicom):
    model = model_that_finds(tmp_path / "m", "Parotid_L")
    done = run("-i", dicom / "Doe/Roe", "-o", tmp_path / "out", "-m", model, "--smooth", "0.5")
    assert "Parotid_L: smoothed within 0.5 mm; no point moved by more than" in done.stderr
    record = json.loads(next((tmp_path / "out").rglob("prediction.json")).read_text())
    assert 0 <= record["smoothed_mm"]["Parotid_L"] <= 0.5


def test_holes_are_written_as_asked_for(tmp_path, dicom, monkeypatch):
    asked = []

    def write(*arguments, holes, **options):
        asked.append(holes)
        return write_structure_set(*arguments, holes=holes, **options)

    monkeypatch.setattr(contouring, "write_structure_set", write)
    model = model_that_finds(tmp_path / "m", "Parotid_L")
    run("-i", dicom / "Doe/Roe", "-o", tmp_path / "out", "-m", model, "--holes", "nested")
    assert asked == ["nested"]
    assert json.loads(next((tmp_path / "out").rglob("prediction.json")).read_text())["holes"] == "nested"


def test_formats_that_cannot_be_are_usage_errors(tmp_path, dicom, ct):
    model = model_that_finds(tmp_path / "m", "Parotid_L")
    (tmp_path / "none").mkdir()
    for path, *more in (
        (ct, "--format", "rtstruct"),
        (ct.parent, "--format", "seg"),
        (ct, "--smooth", "1"),
        (ct, "--holes", "xor"),
        (dicom, "--holes", "filled"),
        (dicom, "--format", "png"),
        (dicom, "--format", "seg", "--smooth", "1"),
        (dicom, "--labelmap"),
        (tmp_path / "none",),
    ):
        done = run("-i", path, "-o", tmp_path / "out", "-m", model, *more)
        assert isinstance(done.exception, UsageError), more
    assert not (tmp_path / "out").exists()
