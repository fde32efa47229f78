"""Units of systemd as they lie in ``deploy``, and what systemd itself has to say of them."""

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"


def unit(name):
    """A unit's sections."""
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",))
    parser.optionxform = str
    parser.read_string((DEPLOY / name).read_text(encoding="utf-8"))
    return parser


def verdict_of_systemd(names, home):
    """Its exit status and what it finds wrong, for a user whose home has the command."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    command = home / "venv/bin/gossamer"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", *(str(DEPLOY / name) for name in names)],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home)},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    return done.returncode, [line for line in done.stderr.splitlines() if "gossamer" in line]
