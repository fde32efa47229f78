"""The unit of the watch on a PACS: it is closed like a site's, and starts again where that may help."""

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gossamer import errors

DEPLOY = Path(__file__).parents[2] / "deploy"


def section(name, part):
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",))
    parser.optionxform = str
    parser.read_string((DEPLOY / name).read_text(encoding="utf-8"))
    return dict(parser[part])


def test_systemd_finds_nothing_to_say_about_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    command = tmp_path / "venv/bin/gossamer"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(DEPLOY / "gossamer-pacs.service")],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, [line for line in done.stderr.splitlines() if "gossamer" in line]) == (0, [])


def test_watch_is_as_closed_as_a_site_and_restarts_where_that_may_help():
    watch, site = section("gossamer-pacs.service", "Service"), section("gossamer-site.service", "Service")
    closed = {
        name: value for name, value in site.items() if name.startswith(("No", "Lock", "Restrict", "System", "Limit"))
    }
    assert closed.items() <= watch.items()
    assert watch["UMask"] == "0077"
    assert section("gossamer-pacs.service", "Unit")["StartLimitIntervalSec"] == "0"
    not_again = {int(status) for status in watch["RestartPreventExitStatus"].split()}
    assert not_again == {kind.exit_status for kind in (errors.UsageError, errors.DataError, errors.ConfigurationError)}
    assert errors.PacsError.exit_status not in not_again
