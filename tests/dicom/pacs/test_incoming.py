"""A series on its way to the disk: what is no image of it, or made to cost time or memory, is not taken."""

import tracemalloc

import pytest
from tests.dicom.hostile_files import begins, deflate_bomb, element, file_of, many_items
from tests.dicom.phantom_series import SERIES, STUDY, image_uid, write_series

from gossamer.dicom.pacs import incoming
from gossamer.dicom.pacs.base import SeriesAtPacs
from gossamer.dicom.pacs.incoming import Incoming
from gossamer.errors import NotFetchedError


def test_an_image_of_more_items_than_any_has_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(incoming, "MAX_ITEMS", 99)
    paths = write_series(tmp_path / "up", shape=(2, 4, 4))
    announced = [image_uid(k) for k in range(2)]
    with Incoming(SeriesAtPacs(STUDY, SERIES, "CT", 2), tmp_path / "down", announced) as taking:
        taking.take(image_uid(0), [paths[0].read_bytes()])
        with pytest.raises(NotFetchedError, match="found no whole DICOM file") as refusal:
            taking.take(image_uid(1), [many_items(100)])
        assert "at most 99 items in its sequences" in str(refusal.value.__cause__)
        assert taking.missing == {image_uid(1)}


def long_id():
    """A Patient ID of 20 MB."""
    return file_of(begins() + element(0x10, 0x20, b"UN", bytes(20_000_000)))


def endless_value():
    """A value without a length, of a private element, which has to be read to its end."""
    return file_of(begins() + element(9, 0x10, b"OB", bytes(20_000_000), 0xFFFFFFFF))


@pytest.mark.parametrize("content", [long_id, endless_value, lambda: deflate_bomb(mebibytes=20)])
def test_an_image_with_more_before_its_pixels_than_any_has_is_not_held_in_memory(tmp_path, monkeypatch, content):
    monkeypatch.setattr(incoming, "MAX_HEADER", 2**21)
    pieces = [content()]
    with Incoming(SeriesAtPacs(STUDY, SERIES, "CT", 1), tmp_path / "down", [image_uid(0)]) as taking:
        tracemalloc.start()
        try:
            with pytest.raises(NotFetchedError, match="found no whole DICOM file"):
                taking.take(image_uid(0), pieces)
            assert tracemalloc.get_traced_memory()[1] < 2.5 * incoming.MAX_HEADER
        finally:
            tracemalloc.stop()
