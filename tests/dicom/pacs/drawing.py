"""A contouring without a network: a box in the middle of the CT, written as the watch's own would be."""

from datetime import datetime

import numpy as np

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.outgoing.made_by import MadeBy
from gossamer.dicom.outgoing.reference import reference_of
from gossamer.dicom.outgoing.write_structure_set import write_structure_set
from gossamer.dicom.series.find import find_series

MODEL_HASH = "5e" * 32
NOW = datetime(2026, 3, 4, 15, 6, 7)


def draw_box(folder):
    """The structure set of the only series of a folder."""
    [series] = find_series(read_headers(folder).headers).series
    mask = np.zeros(series.stack.shape, bool)
    mask[1:-1, 1:-1, 1:-1] = True
    path = folder.with_name("drawn.dcm")
    made_by = MadeBy("Gossamer", "0.1.0", MODEL_HASH)
    write_structure_set(path, {"SpinalCord": mask}, reference_of(series), label="Gossamer", made_by=made_by, now=NOW)
    return path
