"""How fast an answer has to come, on a virtual clock: by DICOM's own lines and by HTTP's."""

from itertools import count
from queue import Queue
from types import SimpleNamespace

import pytest
from pydicom import dcmread
from tests.dicom.pacs.peers import dripping_http, pick_sockets_up
from tests.dicom.pacs.scripted_dimse import scripted_scp, stopping_line
from tests.dicom.phantom_series import SERIES, STUDY, image_uid, write_series

from gossamer.dicom.pacs import bounds, dimse, paced_http
from gossamer.dicom.pacs.base import Query, SeriesAtPacs
from gossamer.dicom.pacs.bounds import _Line
from gossamer.dicom.pacs.dimse import DimsePacs
from gossamer.dicom.pacs.incoming import Incoming
from gossamer.dicom.pacs.line import Line
from gossamer.dicom.pacs.opened import open_pacs
from gossamer.dicom.pacs.pace import FEWEST_BYTES_S, Pace, TooSlowError
from gossamer.dicom.pacs.receive import fetch_by_get
from gossamer.dicom.pacs.settings import PacsSettings, WebSettings
from gossamer.errors import PacsAwayError

FOUND = SeriesAtPacs(STUDY, SERIES, "CT", 1)


def ticking(seconds):
    """A clock that goes on by so much each time that somebody looks."""
    return SimpleNamespace(monotonic=count(0.0, seconds).__next__)


def test_answer_may_be_as_slow_as_it_has_to_be_and_no_slower():
    pace = Pace(60.0)
    pace.note(59.0, 1)  # the first byte may take as long as silence may
    for _ in range(1000):
        pace.note(30.0, 30 * FEWEST_BYTES_S)
    pace.note(30.0, 30 * FEWEST_BYTES_S - 1)
    with pytest.raises(TooSlowError):
        pace.note(30.0, 30 * FEWEST_BYTES_S)


def test_answer_that_stops_is_not_waited_for_longer_than_its_window():
    pace = Pace(60.0)
    pace.note(5.0, 1)
    pace.note(45.0, 1)
    assert pace.left_s == 15.0
    pace.note(14.0, 10**6)
    assert pace.left_s == 60.0
    pace.restart()
    assert (pace.begun, pace.left_s) == (False, 60.0)


def test_whatever_comes_is_counted():
    pace = Pace(60.0, 3)
    for waited_s in (50.0, 20.0, 20.0, 50.0):
        pace.note(waited_s, 1)
    with pytest.raises(TooSlowError):
        pace.note(20.0, 1)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nContent-Length: 1000000\r\n"


@pytest.mark.parametrize("begins", [b"", HEAD, HEAD + b"\r\n["], ids=["from its first byte", "in its head", "after it"])
def test_web_server_that_drips_is_given_up(tmp_path, monkeypatch, begins):
    monkeypatch.setattr(paced_http, "time", ticking(5.0))
    with (
        dripping_http(begins) as port,
        open_pacs(PacsSettings(web=WebSettings(url=f"http://127.0.0.1:{port}")), tmp_path) as pacs,
        pytest.raises(PacsAwayError, match="wanted an answer of the PACS at 4 KiB/s or faster; found one that drips"),
    ):
        pacs.find_series(Query(modality="CT"))


def test_image_that_drips_by_dimse_is_given_up_and_leaves_nothing(tmp_path, monkeypatch):
    [path] = write_series(tmp_path / "up", shape=(1, 64, 64))
    monkeypatch.setattr(bounds, "time", ticking(1.0))
    with (
        scripted_scp([image_uid(0)], [dcmread(path)]) as pacs,
        stopping_line(pacs, answers=400, drips=True) as settings,
        Incoming(FOUND, tmp_path / "down", [image_uid(0)]) as incoming,
        pytest.raises(PacsAwayError, match="fell silent, dripped or hung up"),
    ):
        fetch_by_get(Line(settings, None), FOUND, incoming, lambda n, of: None)
    assert [p.name for p in tmp_path.iterdir()] == ["up"]
    pick_sockets_up()


def test_search_whose_matches_drip_is_given_up(tmp_path, monkeypatch):
    with scripted_scp([image_uid(k) for k in range(20)]) as settings:
        monkeypatch.setattr(dimse, "time", ticking(1.0))
        assert DimsePacs(settings, tmp_path).count_images(FOUND) == 20
        monkeypatch.setattr(dimse, "time", ticking(10.0))
        with pytest.raises(PacsAwayError, match="wanted at least 30 matches of C-FIND in 60 s"):
            DimsePacs(settings, tmp_path).count_images(FOUND)


class Reader:
    """A socket whose other end takes so many bytes at a time."""

    def __init__(self, takes):
        self.takes, self.taken = takes, 0

    def settimeout(self, _seconds):
        pass

    def send(self, content):
        self.taken += len(content[: self.takes])
        return len(content[: self.takes])


@pytest.mark.parametrize(("takes", "events"), [(1, ["Evt17"]), (2**15, [])])
def test_peer_that_takes_a_byte_now_and_then_is_given_up(monkeypatch, takes, events):
    """Evt17: the connection is no more (PS3.8 9.2)."""
    monkeypatch.setattr(bounds, "time", ticking(2.0))
    monkeypatch.setattr(bounds.evt, "trigger", lambda *_: None)
    reader, queue = Reader(takes), Queue()
    line = SimpleNamespace(socket=reader, assoc=None, event_queue=queue)
    _Line(line, 60.0, 10**6, lambda _size: None, lambda: None)
    line.send(bytes(2**17))
    assert list(queue.queue) == events
    assert reader.taken == (31 if events else 2**17)  # the first wait does not count
