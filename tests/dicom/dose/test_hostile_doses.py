"""A dose that is made to cost memory, or cannot be read: it is read apart, and costs its own case alone."""

import tracemalloc

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian
from tests.dicom.hostile_files import nested
from tests.dicom.phantom_dose import write_dose
from tests.dicom.phantom_series import write_series

from gossamer.data import foreign_files
from gossamer.dicom.dose.choose import read_plan_dose
from gossamer.errors import UnreadableImageError


def test_dose_that_takes_more_memory_than_its_file_deserves_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign_files, "FEWEST_BYTES", 2**25)
    stored = np.ones((8, 1024, 1024), np.uint16)  # 16 MiB, of which deflate makes a thousandth
    offsets = [4.0 * k for k in range(8)]
    path = write_dose(tmp_path / "d.dcm", stored, offsets=offsets, syntax=DeflatedExplicitVRLittleEndian)
    assert path.stat().st_size < 2**15
    del stored
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableImageError, match="takes more"):
            read_plan_dose(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("files_are_read_here")
def test_file_beside_the_dose_that_cannot_be_read_is_said(tmp_path):
    write_series(tmp_path / "ct")
    write_dose(tmp_path / "plan.dcm")
    (tmp_path / "odd.dcm").write_bytes(nested(300))
    assert read_plan_dose(tmp_path)[1] == ("1 file beside the dose cannot be read, and left out",)
