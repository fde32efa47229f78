"""A DIMSE peer that stops in the middle, or has no end: it is given up in time, and no thread of it is left."""

import queue
import struct
import threading
import time
from types import SimpleNamespace

import pytest
from tests.dicom.pacs.peers import lets_sockets_lie, pick_sockets_up
from tests.dicom.pacs.scripted_dimse import scripted_scp, stopping_line
from tests.dicom.phantom_series import SERIES, STUDY, image_uid, write_series

from gossamer.dicom.pacs import bounds, line
from gossamer.dicom.pacs.base import SeriesAtPacs
from gossamer.dicom.pacs.dimse import DimsePacs
from gossamer.errors import PacsAwayError

FOUND = SeriesAtPacs(STUDY, SERIES, "CT", 2)
pytestmark = lets_sockets_lie


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """An answer may take 0.3 s; what is left at the end is told."""
    before = set(threading.enumerate())
    monkeypatch.setattr(line, "ANSWER_S", 0.3)
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 60  # where it hung, it would for ever
    pick_sockets_up()
    assert set(threading.enumerate()) <= before


def test_pacs_that_stops_in_the_middle_of_an_answer_is_away(tmp_path):
    with (
        scripted_scp([image_uid(0), image_uid(1)]) as pacs,
        stopping_line(pacs, answers=60) as settings,
        pytest.raises(PacsAwayError, match="silence, or that it hung up"),
    ):
        DimsePacs(settings, tmp_path).count_images(FOUND)


def test_pacs_that_stops_reading_what_we_send_is_away(tmp_path):
    files = write_series(tmp_path / "up", shape=(1, 2048, 2048))  # 8 MiB, more than the system's own buffers
    with (
        scripted_scp() as pacs,
        stopping_line(pacs, asks=5000) as settings,
        pytest.raises(PacsAwayError, match="silence, or that it hung up"),
    ):
        DimsePacs(settings, tmp_path).store(files)


@pytest.mark.parametrize("claimed_bytes", [2**32 - 1, bounds.MAX_PDU_READ_BYTES + 1])
def test_piece_of_a_length_that_nobody_asked_for_is_not_waited_for(tmp_path, monkeypatch, claimed_bytes):
    """A P-DATA-TF PDU (PS3.8 9.3.5) begins with 04, a byte that is reserved, and its length."""
    monkeypatch.setattr(line, "ANSWER_S", 30.0)
    with (
        scripted_scp([]) as pacs,
        stopping_line(pacs, answers=0, then=struct.pack(">BBL", 4, 0, claimed_bytes)) as settings,
        pytest.raises(PacsAwayError),
    ):
        DimsePacs(settings, tmp_path).count_images(FOUND)


def test_answer_without_end_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(line, "MAX_MESSAGE_BYTES", 400)
    with scripted_scp(["1." + "2" * 60] * 3) as settings:  # each answer is shorter, all together are not
        assert DimsePacs(settings, tmp_path).count_images(FOUND) == 1
    monkeypatch.setattr(line, "MAX_MESSAGE_BYTES", 150)
    with scripted_scp(["1." + "2" * 60] * 3) as settings, pytest.raises(PacsAwayError):
        DimsePacs(settings, tmp_path).count_images(FOUND)


@pytest.mark.parametrize("taken", [True, False])
def test_messages_that_nobody_takes_are_not_gathered_without_end(taken):
    waiting = queue.Queue()
    connection = SimpleNamespace(settimeout=lambda _seconds: None, recv=bytes)
    line_ = SimpleNamespace(socket=connection, assoc=SimpleNamespace(dimse=SimpleNamespace(msg_queue=waiting)))
    reader = bounds._Line(line_, 60.0, 2**21, lambda _size: None, lambda: None)

    def message():
        assert len(line_.recv(2**20)) == 2**20
        reader.end_message()
        waiting.put("message")

    for _ in range(65):
        message()
        if taken:
            waiting.get()
    if taken:
        message()
    else:
        with pytest.raises(bounds.CutOffError):
            message()
