"""Images that a PACS sends: on the disk as they come, and given up where nothing gets on."""

import errno
import tracemalloc
from itertools import repeat

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from tests.dicom.pacs.scripted_dimse import scripted_scp
from tests.dicom.phantom_series import SERIES, STUDY, image_uid, write_series

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.pacs import receiver, spool
from gossamer.dicom.pacs.base import SeriesAtPacs
from gossamer.dicom.pacs.dimse import DimsePacs
from gossamer.dicom.pacs.incoming import Incoming
from gossamer.dicom.pacs.receive import _end_of
from gossamer.dicom.pacs.receiver import STALLED_S, Receiver
from gossamer.dicom.pacs.spool import IN_MEMORY_BYTES, Spooled
from gossamer.dicom.series.find import find_series
from gossamer.dicom.series.volume import read_volume
from gossamer.errors import DiskFullError, NotFetchedError, PacsAwayError

FOUND = SeriesAtPacs(STUDY, SERIES, "CT", 2)


@pytest.fixture
def slices(tmp_path):
    return [dcmread(path) for path in write_series(tmp_path / "up", shape=(2, 4, 4))]


@pytest.fixture
def incoming(tmp_path):
    with Incoming(FOUND, tmp_path / "down", [image_uid(0), image_uid(1)]) as taking:
        yield taking


def pending():
    answer = Dataset()
    answer.Status = 0xFF00  # sub-operations are continuing (PS3.4 table C.4-2)
    return answer, None


def test_pacs_that_says_for_ever_that_it_is_at_work_is_given_up(incoming):
    said = []

    def clock():
        return 20.0 * len(said)

    taking = Receiver(incoming, lambda n, of: None, clock)
    with pytest.raises(PacsAwayError, match="sent none in 10 minutes"):
        _end_of((said.append(answer) or answer for answer in repeat(pending())), taking)
    assert len(said) == STALLED_S / 20 + 1


def test_image_that_takes_long_is_waited_for_while_more_of_it_comes(incoming):
    now = [0.0]
    taking = Receiver(incoming, lambda n, of: None, lambda: now[0])
    on_bytes = taking._on_bytes
    for size in range(2**17, 2**22, 2**17):
        now[0] += STALLED_S - 1
        on_bytes(size)
        taking.check()
    now[0] += STALLED_S + 1
    on_bytes(300)  # as of one more answer that says that it is at work
    with pytest.raises(PacsAwayError):
        taking.check()


def test_same_image_again_and_again_ends_the_transfer(tmp_path, slices, monkeypatch):
    monkeypatch.setattr(receiver, "MOST_REFUSED", 3)
    with (
        scripted_scp([image_uid(0), image_uid(1)], slices[:1] * 50) as settings,
        pytest.raises(NotFetchedError, match="wanted 2 images of the PACS; found more than 3 others"),
    ):
        DimsePacs(settings, tmp_path).fetch(FOUND, tmp_path / "down")
    assert [p.name for p in tmp_path.iterdir()] == ["up"]


def test_image_lies_on_the_disk_as_it_comes_in_a_file_without_a_name(tmp_path):
    content = np.random.default_rng(1).bytes(4 * IN_MEMORY_BYTES)
    tracemalloc.start()
    try:
        data_set = Spooled(tmp_path)
        for begin in range(0, len(content), 2**16):
            data_set.write(content[begin : begin + 2**16])
        assert list(tmp_path.iterdir()) == []
        assert data_set.getvalue() == b""  # pynetdicom decodes none of it
        came = bytearray(len(content))
        at = 0
        for piece in data_set.pieces():
            came[at : at + len(piece)] = piece
            at += len(piece)
        assert came == content
        assert tracemalloc.get_traced_memory()[1] < len(content) + 2.5 * IN_MEMORY_BYTES  # what this test holds, too
    finally:
        tracemalloc.stop()
    assert data_set.closed


def test_large_images_arrive_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "IN_MEMORY_BYTES", 1000)
    voxels = np.random.default_rng(2).integers(-1000, 2000, (2, 300, 500)).astype(np.int16)
    images = [dcmread(path) for path in write_series(tmp_path / "up", voxels)]
    with scripted_scp([image_uid(0), image_uid(1)], images) as settings:
        assert DimsePacs(settings, tmp_path).fetch(FOUND, tmp_path / "down") == 2
    [series] = find_series(read_headers(tmp_path / "down").headers).series
    np.testing.assert_array_equal(read_volume(series).voxels, voxels)


def test_disk_that_is_full_while_an_image_comes_is_said(tmp_path, slices, monkeypatch):
    class Full(spool.SpooledTemporaryFile):
        def write(self, _content):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool, "SpooledTemporaryFile", Full)
    with scripted_scp([image_uid(0), image_uid(1)], slices) as settings, pytest.raises(DiskFullError):
        DimsePacs(settings, tmp_path).fetch(FOUND, tmp_path / "down")
    assert [p.name for p in tmp_path.iterdir()] == ["up"]
