"""``gossamer relay``: what it wants, and how little it loads."""

import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from gossamer.cli.main import app
from gossamer.errors import ConfigurationError, ListenError, UsageError

RUN = ["relay", "run", "--listen", "127.0.0.1:0", "--admit"]


@pytest.fixture
def admitted(tmp_path):
    path = tmp_path / "admitted.toml"
    line = CliRunner().invoke(app, ["relay", "new-secret", "head-and-neck"]).stdout
    assert re.fullmatch(r'head-and-neck = "[\w-]{43}"\n', line)
    path.write_text(line)
    path.chmod(0o600)
    return path


def error_of(*words):
    return CliRunner().invoke(app, [str(word) for word in words]).exception


def test_it_does_not_run_without_knowing_whom_to_let_in(tmp_path, admitted):
    assert CliRunner().invoke(app, RUN[:-1]).exit_code == 2
    assert isinstance(error_of(*RUN, tmp_path / "none"), UsageError)
    admitted.write_text("")
    assert isinstance(error_of(*RUN, admitted), ConfigurationError)


def test_an_address_that_cannot_be_had_is_said(admitted):
    assert isinstance(error_of("relay", "run", "--listen", "nowhere", "--admit", admitted), UsageError)
    listens_elsewhere = error_of("relay", "run", "--listen", "192.0.2.1:7490", "--admit", admitted)
    assert isinstance(listens_elsewhere, ListenError)  # an address of documentation (RFC 5737)
    assert "192.0.2.1:7490" in str(listens_elsewhere)


def test_a_relay_needs_neither_pytorch_nor_grpc():
    code = """
import sys
import gossamer.cli.relay, gossamer.transport.relay_service, gossamer.transport.relay_admission
print(*(name for name in ("torch", "grpc", "numpy", "cryptography") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240)
    assert done.stdout == "\n"
