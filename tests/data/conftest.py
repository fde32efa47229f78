"""Tiny patients of this folder's tests."""

import numpy as np
import pytest

from gossamer.data.frame import Frame
from gossamer.data.image import Image, write_nifti

SHAPE = (4, 5, 6)
FRAME = Frame.canonical(SHAPE, (3.0, 1.0, 1.0), (-6.0, 10.0, 20.0))


def block(value, place):
    """A label map with one block of ``value``."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[place] = value
    return labels


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """Flushing takes most of the time of these tests, and no test cuts the power."""
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


@pytest.fixture
def image():
    """A CT of 4 x 5 x 6 voxels."""
    return Image(np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16), FRAME)


@pytest.fixture
def masks():
    """Two organs in it."""
    return {"Liver": block(1, np.s_[1:3, 1:3, :3]) == 1, "Kidney_L": block(1, np.s_[1:3, 3:, 3:]) == 1}


@pytest.fixture
def write_patient(image):
    """Writes a CT and a label map with Liver = 1, Kidney_L = 2 to a folder of NIfTI files."""

    def write(ct, labelmap, *, labels=None, frame=FRAME):
        for path in (ct, labelmap):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_nifti(ct, image.voxels, image.frame)
        drawn = block(1, np.s_[1:3, 1:3, :3]) + block(2, np.s_[1:3, 3:, 3:]) if labels is None else labels
        write_nifti(labelmap, drawn, frame)

    return write
