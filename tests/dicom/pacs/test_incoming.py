"""A series on its way to the disk: what is no image of it, or made to cost time, is not taken."""

import pytest
from tests.dicom.hostile_files import many_items
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
