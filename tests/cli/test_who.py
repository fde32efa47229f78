import json
from datetime import datetime

import numpy as np
import pytest
from tests.dicom.phantom_series import write_series
from tests.dicom.phantom_structures import Drawn, box, write_structures

from gossamer.dicom.files.headers import read_headers
from gossamer.dicom.outgoing.made_by import MadeBy
from gossamer.dicom.outgoing.reference import reference_of
from gossamer.dicom.outgoing.write_segmentation import write_segmentation
from gossamer.dicom.outgoing.write_structure_set import write_structure_set
from gossamer.dicom.series.find import find_series

MADE_BY = MadeBy("Gossamer", "0.1.0", "ab" * 32, "gossip: A, B")


@pytest.fixture
def reference(tmp_path):
    write_series(tmp_path / "ct")
    [series] = find_series(read_headers(tmp_path / "ct").headers).series
    return reference_of(series)


@pytest.mark.parametrize("write", [write_structure_set, write_segmentation])
def test_software_version_model_and_federation_are_named(tmp_path, reference, run_main, write):
    masks = {"Heart": np.ones((5, 6, 8), bool)}
    more = {"label": "Auto", "made_by": MADE_BY, "now": datetime(2026, 3, 4), "colours": {"Heart": (9, 9, 9)}}
    write(tmp_path / "file.dcm", masks, reference, **more)
    status, said, _ = run_main("who", tmp_path / "file.dcm")
    assert status == 0
    assert said.splitlines() == [
        "software\tGossamer",
        "version\t0.1.0",
        f"model\t{'ab' * 32}",
        "federation\tgossip: A, B",
    ]
    _, said, _ = run_main("who", tmp_path / "file.dcm", "--json")
    assert json.loads(said) == {
        "gossamer": True,
        "software": "Gossamer",
        "version": "0.1.0",
        "model_hash": "ab" * 32,
        "federation": "gossip: A, B",
    }


def test_what_others_drew_has_status_1_and_what_is_no_dicom_status_3(tmp_path, run_main):
    write_structures(tmp_path / "rs.dcm", [Drawn(1, "Heart", [box((3, 5), (4, 8))])])
    status, said, _ = run_main("who", tmp_path / "rs.dcm")
    assert (status, said) == (1, "not written by Gossamer\n")
    status, said, _ = run_main("who", tmp_path / "rs.dcm", "--json")
    assert (status, json.loads(said)) == (1, {"gossamer": False})
    (tmp_path / "text").write_text("not a DICOM file")
    status, said, error = run_main("who", tmp_path / "text")
    assert (status, said) == (3, "")
    assert error.startswith("GOS-301: wanted a")
