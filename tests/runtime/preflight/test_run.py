"""The whole check: a sound pair passes; planted faults are found; nothing hangs, and nothing is left or told."""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict

import pytest

from gossamer.data.case_folder import mask_file
from gossamer.runtime.preflight import check_site, exit_status
from gossamer.runtime.preflight import run as module
from gossamer.runtime.preflight.run import Budget
from gossamer.watch import Unwatched

QUICK = Budget(opening_s=60.0, reading_s=60.0, checking_s=60.0)


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def checked(site, file, budget=QUICK):
    return check_site(site.path, file, Unwatched(), budget=budget)


def test_a_sound_pair_of_sites_passes_and_nothing_is_left_behind(pair, service, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    before = files_of(pair.a.path)
    with service(pair.b) as b:
        findings = checked(pair.a, pair.file)
        assert b.streams() == {"a": 0}
    assert {each.check for each in findings if each.state == "fault"} == set()
    assert exit_status(findings) == 0
    assert files_of(pair.a.path) == before
    assert [each.check for each in findings] == [
        "settings", "key", "private files", "certificate", "federation", "roster", "approval", "writing", "disk",
        "memory", "GPU", "shared memory", "data", "splits", "structures", "images", "masks", "duplicates", "sides",
        "port", "peer",
    ]  # fmt: skip


def test_without_a_federation_file_only_this_site_is_looked_at(pair):
    checks = {each.check for each in checked(pair.a, None)}
    assert {"data", "disk", "port"} <= checks
    assert not {"peer", "roster", "approval"} & checks


def test_no_site_at_all_is_one_finding_beside_the_machine_s(tmp_path):
    findings = checked(type("Site", (), {"path": tmp_path}), None)
    assert [each.check for each in findings if each.state == "fault"] == ["settings"]
    assert exit_status(findings) == 2


def test_a_key_that_cannot_be_used_keeps_nothing_but_peers_from_being_looked_at(pair):
    (pair.a.path / "identity.key").chmod(0o644)
    findings = checked(pair.a, pair.file)
    assert {each.check for each in findings} >= {"federation", "data", "disk"}
    assert exit_status(findings) == 4


def test_several_faults_are_found_at_once_and_the_worst_class_counts(pair):
    """Data, agreement, and a peer that is away."""
    pair.file.write_text(pair.file.read_text() + "\n")
    (pair.a.path / "data/HN-0/ct.nii.gz").write_bytes(b"")
    findings = checked(pair.a, pair.file)
    codes = {each.check: each.code for each in findings if each.state == "fault"}
    assert codes == {"approval": "GOS-400", "images": "GOS-301", "peer": "GOS-511"}
    assert exit_status(findings) == 5


def test_rules_without_a_plan_are_a_fault(pair):
    pair.file.write_text(pair.file.read_text().replace("patch_size = [8, 8, 8]", "patch_size = [9, 8, 8]"))
    assert ("plan", "GOS-403") in {(each.check, each.code) for each in checked(pair.a, pair.file)}


@pytest.mark.parametrize("hangs", ["check_keys", "check_data", "check_peer"])
def test_what_hangs_is_said_to_be_late(pair, monkeypatch, hanging, hangs):
    if hangs == "check_keys":
        hanging.answer = (None, [])
    monkeypatch.setattr(module, hangs, hanging)
    monkeypatch.setattr(module, "ask", hanging.ask)
    findings = checked(pair.a, pair.file)
    late = [each for each in findings if each.code == "GOS-600"]
    assert [each.check for each in late] == [{"check_keys": "settings", "check_data": "data"}.get(hangs, "peer b")]
    assert exit_status(findings) == 6


def test_a_check_that_fails_by_itself_does_not_keep_the_others(pair, monkeypatch):
    monkeypatch.setattr("threading.excepthook", lambda _said: None)
    monkeypatch.setattr(module, "check_writing", lambda _folder: 1 // 0)
    found = {each.check: each.code for each in checked(pair.a, None)}
    assert found["writing"] == "GOS-100"
    assert found["data"] == ""


PHI = "PHI-Mueller-Anna-19480307"


def test_no_path_and_nothing_of_a_patient_is_told(pair, tmp_path, monkeypatch, capfd):
    """Names planted in paths and in headers; faults all over, so that many messages are made."""
    secret = tmp_path / PHI
    (pair.a.path / "data").rename(secret)
    settings = pair.a.path / "site.toml"
    settings.write_text(settings.read_text().replace('data = "data"', f'data = "{secret / "."}"'))
    case = secret / "HN-0"
    image = (case / "ct.nii.gz").read_bytes()
    (case / "ct.nii.gz").write_bytes(image[:-20] + PHI.encode())
    mask = secret / "HN-1" / mask_file("Parotid_L")
    mask.unlink()
    mask.mkdir()
    (secret / "HN-2" / mask_file("Parotid_R")).write_bytes(PHI.encode() * 30)
    findings = checked(pair.a, pair.file)
    assert len([each for each in findings if each.state == "fault"]) >= 3
    said = json.dumps([asdict(each) for each in findings]) + "".join(capfd.readouterr())
    assert PHI not in said
    assert str(tmp_path) not in said


CHECK_WITH_LITTLE_TIME = """
import sys
from pathlib import Path
from gossamer.runtime.preflight import check_site
from gossamer.runtime.preflight.run import Budget
from gossamer.watch import Unwatched
for each in check_site(Path(sys.argv[1]), None, Unwatched(), budget=Budget(60.0, 2.0, 120.0)):
    print(each.check, each.state, each.found)
"""


def test_a_disk_that_never_answers_keeps_the_process_neither_from_its_word_nor_from_its_end(pair):
    """Opening a pipe that nobody writes to lasts for ever, as a file of a network disk that is away."""
    image = pair.a.path / "data/HN-1/ct.nii.gz"
    image.unlink()
    os.mkfifo(image)
    command = [sys.executable, "-c", CHECK_WITH_LITTLE_TIME, str(pair.a.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^images warning [0-3] of 4 cases were read in the time there is$", done.stdout, re.MULTILINE)


def test_the_budget_is_within_five_minutes():
    whole = Budget()
    assert whole.opening_s + whole.checking_s < 300
    assert whole.reading_s < whole.checking_s
