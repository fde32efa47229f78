"""A real PACS by DICOMweb and by DIMSE: what goes up comes back, and what is refused is said."""

import socket
from datetime import date, timedelta

import numpy as np
import pytest
from faults.ports import own_port
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from tests.dicom.pacs.peers import (
    Orthanc,
    lets_sockets_lie,
    needs_orthanc,
    pick_sockets_up,
    running_orthanc,
)
from tests.dicom.phantom_series import write_series

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.pacs import line, web
from gossamer.dicom.pacs.base import Query
from gossamer.dicom.pacs.opened import open_pacs
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.volume import read_volume
from gossamer.errors import (
    ListenError,
    NotFetchedError,
    PacsAwayError,
    PacsRefusedError,
    UnreadableImageError,
    UsageError,
)

KINDS = ("web", "move", "get")
SHAPE = (24, 12, 16)


def new_series(folder, **changes):
    """A CT series with UIDs of its own: study UID, series UID, files."""
    study, series = generate_uid(), generate_uid()
    paths = write_series(
        folder, **{"shape": SHAPE, "study_uid": study, "series_uid": series[:40], "patient": str(study)[-12:]} | changes
    )
    return study, series[:40], paths


@pytest.mark.parametrize("kind", KINDS)
def test_series_goes_up_is_found_and_comes_back_with_the_same_voxels(orthanc, tmp_path, kind):
    voxels = np.random.default_rng(5).integers(-1000, 2000, SHAPE).astype(np.int16)
    study, series_uid, paths = new_series(tmp_path / "up", voxels=voxels, syntax=ExplicitVRLittleEndian)
    steps = []
    with open_pacs(orthanc.settings(kind), tmp_path) as pacs:
        assert pacs.store(paths, lambda *step: steps.append(step)) == 0
        [found] = pacs.find_series(Query(study_uid=study, modality="CT"))
        assert (found.series_uid, found.modality, found.instances) == (series_uid, "CT", 24)
        assert pacs.count_images(found) == 24
        assert pacs.fetch(found, tmp_path / "down") == 24
    assert steps == [(n, 24) for n in range(1, 25)]
    [series] = find_series(read_headers(tmp_path / "down").headers).series
    np.testing.assert_array_equal(read_volume(series).voxels, voxels)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["down", "up"]
    assert not any(series_uid in path.name for path in (tmp_path / "down").iterdir())


@pytest.mark.parametrize("kind", ["web", "move"])
def test_search_finds_by_patient_study_series_modality_and_days_alone(orthanc, tmp_path, kind):
    day = date(2025, 3, 1 + ["web", "move"].index(kind))
    patient = {"shape": (1, 4, 4), "patient": kind, "StudyDate": f"{day:%Y%m%d}"}
    study, series_uid, paths = new_series(tmp_path / "a", **patient)
    _, _, other = new_series(tmp_path / "b", **patient | {"patient": f"{kind} too", "StudyDate": "20250401"})
    with open_pacs(orthanc.settings(kind), tmp_path) as pacs:
        pacs.store([*paths, *other])
        for query in (
            Query(patient_id=f"ID of {kind}"),
            Query(study_uid=study),
            Query(series_uid=series_uid, modality="CT"),
            Query(since=day, until=day),
        ):
            [found] = pacs.find_series(query)
            assert found.series_uid == series_uid
            assert (found.study_date, found.description, found.patient_id) == (day, "Thorax", f"ID of {kind}")
        assert pacs.find_series(Query(study_uid=study, modality="RTSTRUCT")) == []
        assert pacs.find_series(Query(study_uid=study, since=day + timedelta(days=1))) == []


def test_a_patients_texts_are_not_in_what_a_series_shows_of_itself(orthanc, tmp_path):
    study, series_uid, paths = new_series(tmp_path / "a", shape=(1, 4, 4), patient="Planted^Token")
    with open_pacs(orthanc.settings("web"), tmp_path) as pacs:
        pacs.store(paths)
        [found] = pacs.find_series(Query(study_uid=study))
    shown = f"{found!r} {Query(patient_id='Planted')!r}"
    assert not [word for word in ("Planted", "Thorax", "2024", study, series_uid) if word in shown]


@pytest.mark.parametrize(("kind", "answers"), [("web", "QIDO-RS"), ("get", "C-ECHO and C-FIND")])
def test_check_says_what_the_pacs_answers_to(orthanc, tmp_path, kind, answers):
    with open_pacs(orthanc.settings(kind), tmp_path) as pacs:
        assert pacs.check() == answers


@pytest.mark.parametrize("kind", KINDS)
def test_series_that_is_gone_leaves_no_folder(orthanc, tmp_path, kind):
    _, _, paths = new_series(tmp_path / "up", shape=(2, 4, 4))
    with open_pacs(orthanc.settings(kind), tmp_path) as pacs:
        pacs.store(paths)
        [found] = [one for one in pacs.find_series(Query()) if one.instances == 2][:1]
        gone = type(found)(found.study_uid, generate_uid(), "CT", 2)
        with pytest.raises(NotFetchedError, match="announces 0"):
            pacs.fetch(gone, tmp_path / "down")
        (tmp_path / "down").mkdir()
        with pytest.raises(UsageError, match="one there"):
            pacs.fetch(found, tmp_path / "down")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["down", "up"]


@lets_sockets_lie
@pytest.mark.parametrize("kind", ["web", "get"])
def test_closed_port_is_a_pacs_that_is_away(orthanc, tmp_path, kind):
    where = {"url": f"http://127.0.0.1:{own_port()}/dicom-web"} if kind == "web" else {"port": own_port()}
    with (
        open_pacs(orthanc.settings(kind, **where), tmp_path) as pacs,
        pytest.raises(PacsAwayError, match="nobody listens"),
    ):
        pacs.check()
    pick_sockets_up()


@lets_sockets_lie
@pytest.mark.parametrize("kind", ["web", "get"])
def test_silence_is_a_pacs_that_is_away(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(line, "CONNECT_S", 0.3)
    monkeypatch.setattr(web, "ANSWER_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = Orthanc(port, port, port).settings(kind)
        with open_pacs(settings, tmp_path) as pacs, pytest.raises(PacsAwayError):
            pacs.check()
    pick_sockets_up()


def test_wrong_ae_title_is_refused_in_the_standards_words(orthanc, tmp_path):
    with (
        open_pacs(orthanc.settings("move", ae_title="NOBODY"), tmp_path) as pacs,
        pytest.raises(PacsRefusedError, match="rejected: Called AE title not recognised"),
    ):
        pacs.check()


def test_stranger_to_the_pacs_is_told_to_have_its_title_entered(orthanc, tmp_path):
    with (
        open_pacs(orthanc.settings("get", own_ae_title="STRANGER"), tmp_path) as pacs,
        pytest.raises(PacsAwayError, match="this machine's AE title"),
    ):
        pacs.find_series(Query(study_uid="1.2.3"))


def test_our_port_that_is_taken_is_told(orthanc, tmp_path):
    study, _, paths = new_series(tmp_path / "up", shape=(1, 4, 4))
    with open_pacs(orthanc.settings("move"), tmp_path) as pacs, socket.create_server(("127.0.0.1", orthanc.ours)):
        pacs.store(paths)
        [found] = pacs.find_series(Query(study_uid=study))
        with pytest.raises(ListenError, match=f"port {orthanc.ours}"):
            pacs.fetch(found, tmp_path / "down")
    assert not (tmp_path / "down").exists()


def test_move_to_another_port_than_is_entered_fetches_nothing(orthanc, tmp_path):
    study, _, paths = new_series(tmp_path / "up", shape=(1, 4, 4))
    with open_pacs(orthanc.settings("move", own_port=own_port()), tmp_path) as pacs:
        pacs.store(paths)
        [found] = pacs.find_series(Query(study_uid=study))
        with pytest.raises(NotFetchedError, match=r"found 0; it says: cannot understand or process it \(C000\);"):
            pacs.fetch(found, tmp_path / "down")
    assert [p.name for p in tmp_path.iterdir()] == ["up"]


@pytest.mark.parametrize("kind", ["web", "move"])
def test_file_that_is_no_dicom_or_cut_off_is_refused_before_anything_is_stored(orthanc, tmp_path, kind):
    study, _, paths = new_series(tmp_path / "up", shape=(1, 4, 4))
    (tmp_path / "letter").write_text("Dear colleague")
    (tmp_path / "cut").write_bytes(paths[0].read_bytes()[:-20])
    with open_pacs(orthanc.settings(kind), tmp_path) as pacs:
        for name in ("letter", "cut"):
            with pytest.raises(UnreadableImageError, match=r"^file 2: "):
                pacs.store([*paths, tmp_path / name])
        assert pacs.find_series(Query(study_uid=study)) == []


def test_password_comes_from_a_file_and_a_wrong_one_is_refused(tmp_path):
    needs_orthanc()
    for name, secret in (("right", "s3cret"), ("wrong", "guess")):
        (tmp_path / name).write_text(secret + "\n")
        (tmp_path / name).chmod(0o600)
    with running_orthanc(tmp_path, AuthenticationEnabled=True, RegisteredUsers={"gossamer": "s3cret"}) as locked:
        right = locked.settings("web", user="gossamer", password_file="right")
        with open_pacs(right, tmp_path) as pacs:
            assert pacs.find_series(Query()) == []
        for settings in (locked.settings("web"), locked.settings("web", user="gossamer", password_file="wrong")):
            with open_pacs(settings, tmp_path) as pacs, pytest.raises(PacsRefusedError, match="401") as refused:
                pacs.check()
            assert "guess" not in str(refused.value)
