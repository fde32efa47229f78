"""A disk that is full, read-only or of several parts is found out before the run."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from gossamer.runtime.preflight.disk import TRIAL, check_room, check_writing
from gossamer.runtime.preflight.needs import Needs

GIB = 2**30
NEEDS = Needs(model_bytes=0, prepared_bytes=3 * GIB, run_bytes=GIB, memory_bytes=0, device_bytes=0)
Usage = namedtuple("Usage", "total used free")  # as shutil has it


def with_free(monkeypatch, free):
    monkeypatch.setattr("shutil.disk_usage", lambda _path: Usage(100 * GIB, 0, free))


@pytest.mark.parametrize(
    ("free", "state", "code"), [(9 * GIB, "ok", ""), (6 * GIB, "warning", "GOS-602"), (3 * GIB, "fault", "GOS-602")]
)
def test_room_is_compared_with_what_a_run_needs(tmp_path, monkeypatch, free, state, code):
    with_free(monkeypatch, free)
    [finding] = check_room(tmp_path, NEEDS)
    assert (finding.check, finding.state, finding.code) == ("disk", state, code)
    assert "4.00 GiB for prepared and runs" in finding.found


def test_parts_on_other_disks_are_each_looked_at(tmp_path, monkeypatch):
    with_free(monkeypatch, 2 * GIB)
    (tmp_path / "prepared").mkdir()
    real = Path.stat

    def stat(path, **options):
        said = real(path, **options)
        device = 77 if path.name == "prepared" else said.st_dev
        return namedtuple("Stat", "st_dev st_mode")(device, said.st_mode)

    monkeypatch.setattr(Path, "stat", stat)
    assert {each.subject: each.state for each in check_room(tmp_path, NEEDS)} == {"prepared": "fault", "runs": "ok"}


def test_unknown_needs_are_said_with_what_is_free(tmp_path):
    [finding] = check_room(tmp_path, None)
    assert finding.state == "ok"
    assert "GiB free" in finding.found


def test_what_is_written_to_try_is_removed_again(tmp_path):
    (tmp_path / "runs/abc").mkdir(parents=True)
    (tmp_path / "prepared/key").mkdir(parents=True)
    [finding] = check_writing(tmp_path)
    assert (finding.state, "5 folder" in finding.found) == ("ok", True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_read_only_cache_is_a_fault(tmp_path):
    """/sys takes no file from anybody, root included."""
    if not Path("/sys/kernel").is_dir():
        pytest.skip("needs a folder that is read-only for root, such as /sys on Linux")
    (tmp_path / "prepared").symlink_to("/sys/kernel", target_is_directory=True)
    findings = check_writing(tmp_path)
    first = findings[0]
    assert {(each.check, each.state, each.code) for each in findings} == {("writing", "fault", "GOS-601")}
    assert (first.subject, "make it writable" in first.remedy) == ("prepared", True)
    assert not (tmp_path / TRIAL).exists()


def test_a_disk_without_room_for_a_byte_is_a_fault_of_its_own(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    [finding] = check_writing(tmp_path)
    assert (finding.state, finding.code) == ("fault", "GOS-602")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_is_a_fault(tmp_path):
    shutil.rmtree(tmp_path)
    assert [each.code for each in check_room(tmp_path, NEEDS)] == ["GOS-601"]
    assert [each.code for each in check_writing(tmp_path)] == ["GOS-601"]
