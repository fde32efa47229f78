"""A DIMSE peer that lies, and strangers at our port: only what was asked for is taken, from the PACS alone."""

import socket
from contextlib import contextmanager

import pytest
from faults.ports import own_port
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian
from pynetdicom import AE
from tests.dicom.pacs.peers import AET
from tests.dicom.pacs.scripted_dimse import scripted_scp
from tests.dicom.phantom_series import SERIES, STUDY, image_uid, write_series

from gossamer.dicom.pacs import incoming, receiver
from gossamer.dicom.pacs.base import Query, SeriesAtPacs
from gossamer.dicom.pacs.dimse import DimsePacs
from gossamer.dicom.pacs.incoming import Incoming
from gossamer.dicom.pacs.line import Line
from gossamer.dicom.pacs.our_port import listening
from gossamer.dicom.pacs.receiver import Receiver
from gossamer.dicom.pacs.settings import DimseSettings
from gossamer.errors import NotFetchedError, NotStoredError, PacsError, PacsRefusedError

FOUND = SeriesAtPacs(STUDY, SERIES, "CT", 2)


@pytest.fixture
def slices(tmp_path):
    return [dcmread(path) for path in write_series(tmp_path / "up", shape=(2, 4, 4))]


def match(**elements):
    found = Dataset()
    for keyword, value in elements.items():
        setattr(found, keyword, value)
    return found


def test_series_of_another_study_than_was_asked_for_are_not_taken_for_its_own(tmp_path):
    """A PACS that ignores what it does not know to match gives every series it has."""
    other = "1.2.9"
    matches = {
        "STUDY": [match(QueryRetrieveLevel="STUDY", StudyInstanceUID=STUDY, PatientID="P1")],
        "SERIES": [
            match(QueryRetrieveLevel="SERIES", StudyInstanceUID=study, SeriesInstanceUID=uid, Modality="CT")
            for study, uid in ((STUDY, SERIES), (other, "1.2.9.1"))
        ],
    }
    with scripted_scp(matches=matches) as settings:
        found = DimsePacs(settings, tmp_path).find_series(Query(study_uid=STUDY))
    assert [(one.study_uid, one.series_uid, one.patient_id) for one in found] == [(STUDY, SERIES, "P1")]


def test_value_against_the_standard_is_left_out_and_not_shown(tmp_path, recwarn):
    odd = match(QueryRetrieveLevel="SERIES", StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES, Modality="CT")
    odd.add(RawDataElement(Tag("NumberOfSeriesRelatedInstances"), "IS", 4, b"many", 0, True, True))
    odd.add(RawDataElement(Tag("SeriesDescription"), "LO", 70, b"Planted " * 9, 0, True, True))
    odd.add(RawDataElement(Tag("StationName"), "SH", 8, b"CT1\\CT2 ", 0, True, True))
    matches = {"STUDY": [match(QueryRetrieveLevel="STUDY", StudyInstanceUID=STUDY)], "SERIES": [odd]}
    with scripted_scp(matches=matches) as settings:
        [found] = DimsePacs(settings, tmp_path).find_series(Query(study_uid=STUDY))
    assert (found.instances, found.station) == (None, "CT1")
    assert not [warning for warning in recwarn if "Planted" in str(warning.message)]


def test_images_of_two_patients_in_one_series_are_refused(tmp_path, slices):
    slices[1].PatientID = "another"
    with (
        scripted_scp([image_uid(0), image_uid(1)], slices) as settings,
        pytest.raises(NotFetchedError, match="found two Patient IDs") as raised,
    ):
        DimsePacs(settings, tmp_path).fetch(FOUND, tmp_path / "down")
    assert "another" not in str(raised.value)
    assert [p.name for p in tmp_path.iterdir()] == ["up"]


def test_series_without_end_does_not_fill_the_disk(tmp_path, slices, monkeypatch):
    monkeypatch.setattr(incoming, "MAX_SERIES_BYTES", sum(len(s.PixelData) for s in slices) + 1000)
    with (
        scripted_scp([image_uid(0), image_uid(1)], slices) as settings,
        pytest.raises(NotFetchedError, match="wanted a series of at most"),
    ):
        DimsePacs(settings, tmp_path).fetch(FOUND, tmp_path / "down")
    assert [p.name for p in tmp_path.iterdir()] == ["up"]


def test_honest_peer_is_believed(tmp_path, slices):
    with scripted_scp([image_uid(0), image_uid(1)], slices) as settings:
        assert DimsePacs(settings, tmp_path).fetch(FOUND, tmp_path / "down") == 2
    assert len(list((tmp_path / "down").iterdir())) == 2


def test_image_that_was_not_announced_is_not_written(tmp_path, slices):
    slices[1].SOPInstanceUID = slices[1].file_meta.MediaStorageSOPInstanceUID = "1.9.9"
    with (
        scripted_scp([image_uid(0), image_uid(1)], slices) as settings,
        pytest.raises(NotFetchedError, match="found 1; it"),
    ):
        DimsePacs(settings, tmp_path).fetch(FOUND, tmp_path / "down")
    assert [p.name for p in tmp_path.iterdir()] == ["up"]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")
def test_path_in_place_of_a_uid_is_not_written(tmp_path, slices):
    slices[1].SOPInstanceUID = slices[1].file_meta.MediaStorageSOPInstanceUID = "../../evil"
    with scripted_scp([image_uid(0), image_uid(1)], slices) as settings, pytest.raises(NotFetchedError):
        DimsePacs(settings, tmp_path).fetch(FOUND, tmp_path / "down")
    with scripted_scp([image_uid(0), "../../evil"], slices) as settings, pytest.raises(NotFetchedError, match="digits"):
        DimsePacs(settings, tmp_path).fetch(FOUND, tmp_path / "down")
    assert [p.name for p in tmp_path.rglob("*") if "up" not in p.parts] == []


def test_image_of_another_series_is_refused(tmp_path, slices):
    slices[1].SeriesInstanceUID = "1.9.9"
    with (
        scripted_scp([image_uid(0), image_uid(1)], slices) as settings,
        pytest.raises(NotFetchedError, match="another name"),
    ):
        DimsePacs(settings, tmp_path).fetch(FOUND, tmp_path / "down")
    assert [p.name for p in tmp_path.iterdir()] == ["up"]


def test_image_without_end_is_cut_off(tmp_path, slices, monkeypatch):
    monkeypatch.setattr(receiver, "MAX_FILE_BYTES", 20_000)
    slices[1].PixelData = bytes(10**6)
    with scripted_scp([image_uid(0), image_uid(1)], slices) as settings, pytest.raises(PacsError):
        DimsePacs(settings, tmp_path).fetch(FOUND, tmp_path / "down")
    assert [p.name for p in tmp_path.iterdir()] == ["up"]


def test_failing_search_is_an_error_of_the_pacs(tmp_path):
    with (
        scripted_scp(["1.2"], find_status=0xA700) as settings,
        pytest.raises(PacsError, match=r"out of resources \(A700\)"),
    ):
        DimsePacs(settings, tmp_path).count_images(FOUND)


@pytest.mark.parametrize(
    ("status", "meant"),
    [(0xA900, "data set does not match its SOP class"), (0xC001, "cannot understand"), (0x0124, "not auth")],
)
def test_file_that_is_not_taken_is_counted_with_the_standards_words(tmp_path, slices, status, meant):
    with (
        scripted_scp(store_status=status) as settings,
        pytest.raises(NotStoredError, match=f"2: 2 × {meant}.*{status:04X}"),
    ):
        DimsePacs(settings, tmp_path).store(sorted((tmp_path / "up").iterdir()))


@pytest.mark.parametrize(("status", "warned"), [(0xB000, 2), (0x0111, 0), (0x0000, 0)])
def test_file_that_was_changed_or_was_there_is_stored(tmp_path, slices, status, warned):
    with scripted_scp(store_status=status) as settings:
        assert DimsePacs(settings, tmp_path).store(sorted((tmp_path / "up").iterdir())) == warned


def test_kind_of_object_that_the_pacs_does_not_take_is_named(tmp_path):
    files = write_series(tmp_path / "up", shape=(1, 4, 4), change=other_class)
    with scripted_scp() as settings, pytest.raises(NotStoredError, match=r"SOP class not supported \(0122\)"):
        DimsePacs(settings, tmp_path).store(files + write_series(tmp_path / "ct", shape=(1, 4, 4)))


def other_class(file, _k):
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"


def test_move_that_is_not_offered_is_refused_with_what_to_do(tmp_path):
    with scripted_scp([image_uid(0)]) as settings:
        moved = settings.model_copy(update={"own_port": own_port(), "listen": "127.0.0.1"})
        with pytest.raises(PacsRefusedError, match=r"Retrieve.*MOVE; found that it offers none.*without by C-GET"):
            DimsePacs(moved, tmp_path).fetch(FOUND, tmp_path / "down")


@contextmanager
def our_port(tmp_path):
    """Our port, open for two images of a series; yields it, and what is still missing."""
    settings = DimseSettings(
        host="127.0.0.1", port=104, ae_title=AET, own_port=own_port(), listen="127.0.0.1", plain_dimse=True
    )
    with (
        Incoming(FOUND, tmp_path / "down", [image_uid(0), image_uid(1)]) as incoming,
        listening(Line(settings, None), Receiver(incoming, lambda n, of: None)),
    ):
        yield settings.own_port, lambda: incoming.missing


def test_pacs_may_send_what_was_announced_at_our_port(tmp_path, slices):
    ae = AE(AET)
    ae.add_requested_context(CTImageStorage, ImplicitVRLittleEndian)
    with our_port(tmp_path) as (port, missing):
        caller = ae.associate("127.0.0.1", port, ae_title="GOSSAMER")
        assert caller.send_c_store(slices[0]).Status == 0
        slices[1].SOPInstanceUID = "1.9.9"
        assert caller.send_c_store(slices[1]).Status == 0x0124  # refused: not authorised
        caller.release()
        assert missing() == {image_uid(1)}


@pytest.mark.parametrize(("title", "called"), [("STRANGER", "GOSSAMER"), (AET, "OTHER")])
def test_another_title_than_the_pacss_is_rejected_at_our_port(tmp_path, title, called):
    ae = AE(title)
    ae.add_requested_context(CTImageStorage, ImplicitVRLittleEndian)
    with our_port(tmp_path) as (port, _):
        assert ae.associate("127.0.0.1", port, ae_title=called).is_rejected


def test_another_machine_than_the_pacs_is_hung_up_on_at_our_port(tmp_path):
    with (
        our_port(tmp_path) as (port, _),
        socket.create_connection(("127.0.0.1", port), 5, source_address=("127.0.0.2", 0)) as stranger,
    ):
        assert stranger.recv(1) == b""
