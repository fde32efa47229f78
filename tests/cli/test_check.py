"""``gossamer check`` as hospital IT types it: a table, JSON, an exit status."""

import json
import re

import numpy as np
import pytest

from gossamer.data.dataset import DatasetWriter
from gossamer.data.frame import Frame
from gossamer.data.image import Image


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def work(tmp_path, monkeypatch, run_main):
    """A site with data that only dials out, as does the only other one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    shape = (4, 6, 8)
    writer = DatasetWriter(tmp_path / "data", "unito")
    for number, split in enumerate(("train", "val")):
        voxels = np.random.default_rng(number).integers(-1000, 1000, shape).astype(np.int16)
        mask = np.zeros(shape, dtype=bool)
        mask[1:3, 2:4, 3:5] = True
        writer.add(f"HN-{number}", split, Image(voxels, Frame.canonical(shape, (3.0, 2.0, 2.0))), {"Brainstem": mask})
    writer.finish()
    for name in ("unito", "leuven"):
        assert run_main("site", "init", "--name", name, "--data", "data", "--folder", name)[0] == 0
    assert run_main("federation", "new", "fed.toml", "--structures", "Brainstem")[0] == 0
    for name in ("unito", "leuven"):
        assert run_main("federation", "add-site", "fed.toml", f"{name}/card.toml")[0] == 0
    return tmp_path


def test_this_site_alone_is_well_and_the_table_says_so(work, run_main):
    status, out, err = run_main("check", "--folder", "unito")
    assert status == 0, out
    for word in ("check", "found → what to do", "site unito, dials out only", "1 train, 1 val"):
        assert word in out
    assert "fault" not in out
    assert "0 faults" in err


def test_json_holds_every_finding_and_the_status(work, run_main):
    status, out, _ = run_main("check", "fed.toml", "--folder", "unito", "--json")
    result = json.loads(out)
    assert status == result["exit_status"] == 6
    faults = {each["check"]: each for each in result["findings"] if each["state"] == "fault"}
    assert {check: each["code"] for check, each in faults.items()} == {"approval": "GOS-400", "peer": "GOS-608"}
    assert faults["peer"]["subject"] == "leuven"
    assert set(faults["peer"]) == {"check", "subject", "state", "found", "remedy", "code"}


def test_faults_are_told_with_remedy_and_code(work, run_main):
    status, out, err = run_main("check", "fed.toml", "--folder", "unito")
    assert status == 6
    words = re.sub(r"\s+", " ", out)
    assert "GOS-400" in words
    assert "peer leuven" in words
    assert "2 faults" in err


def test_what_a_stranger_wrote_is_no_markup(work, run_main):
    settings = work / "unito/site.toml"
    settings.write_text(settings.read_text() + 'address = "[red].example:1"\n')
    _, out, _ = run_main("check", "--folder", "unito")
    assert "[red].example:1" in out


def test_no_site_ends_with_the_status_of_usage(tmp_path, monkeypatch, run_main):
    monkeypatch.chdir(tmp_path)
    status, out, _ = run_main("check")
    assert status == 2
    assert "gossamer site init" in re.sub(r"\s+", " ", out)
