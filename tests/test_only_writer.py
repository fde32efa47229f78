"""A folder has one writer at a time, and none once that process has ended."""

import subprocess
import sys

import pytest

from gossamer.errors import FolderBusyError, StorageError
from gossamer.only_writer import only_writer

HOLD = """
import sys
from pathlib import Path
from gossamer.only_writer import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_is_refused_until_the_first_has_ended(tmp_path):
    with (
        only_writer(tmp_path),
        pytest.raises(FolderBusyError, match="found another process at work"),
        only_writer(tmp_path),
    ):
        pass
    with only_writer(tmp_path):
        pass


def test_a_writer_that_was_killed_holds_nothing(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(FolderBusyError), only_writer(tmp_path):
            pass
        other.kill()
        other.wait()
        with only_writer(tmp_path):
            pass


def test_what_goes_wrong_under_the_lock_is_not_taken_for_its_own(tmp_path):
    with pytest.raises(OSError, match="inner"), only_writer(tmp_path):
        raise OSError("inner")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="wanted to write in 'file'"), only_writer(tmp_path / "file"):
        pass
