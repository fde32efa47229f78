"""The command as a whole: quick help, a status and a code for each kind of error, Ctrl-C."""

import re
import resource
import subprocess
import sys

import pytest

from gossamer import __version__
from gossamer.errors import GossamerError

HEAVY = ("torch", "monai", "numpy", "scipy", "nibabel", "skimage", "lightning_fabric", "safetensors", "jinja2")
"""All that a command may need but typer, and pydantic, which some releases of typer import."""


def python(code, *arguments, **options):
    """A Python process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=240, **options
    )


@pytest.mark.parametrize("words", [("--help",), ("study", "run", "--help"), ("--version",)])
def test_help_imports_nothing_heavy_and_answers_at_once(words):
    code = f"""
import sys
from gossamer.cli.main import main
try:
    main()
except SystemExit as end:
    print("status", end.code, file=sys.stderr)
print("heavy", *(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)
"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = python(code, *words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stderr.splitlines() == ["status 0", "heavy"], done.stderr
    assert done.stdout
    assert after.ru_utime - before.ru_utime < 2.0  # PyTorch alone takes longer


def test_keys_and_status_of_a_site_need_no_pytorch(tmp_path):
    code = """
import sys
from gossamer.cli.main import app
app(sys.argv[1:], standalone_mode=False)
import gossamer.cli.site_table, gossamer.runtime.status_endpoint  # what the status is shown with
print("torch" in sys.modules)
"""
    done = python(code, "site", "init", "--name", "north", "--data", str(tmp_path), "--folder", str(tmp_path / "site"))
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_a_federation_file_is_written_shown_and_approved_without_pytorch(tmp_path):
    code = """
import sys
from gossamer.cli.main import app
home = sys.argv[1]
for words in (
    ["site", "init", "--name", "north", "--data", home, "--folder", f"{home}/site"],
    ["federation", "new", f"{home}/fed.toml"],
    ["federation", "add-site", f"{home}/fed.toml", f"{home}/site/card.toml"],
    ["federation", "show", f"{home}/fed.toml"],
    ["federation", "approve", f"{home}/fed.toml", "--folder", f"{home}/site"],
):
    app(words, standalone_mode=False)
print(*(name for name in ("torch", "monai", "nibabel", "pydicom", "grpc") if name in sys.modules), "end")
"""
    done = python(code, str(tmp_path))
    assert done.stdout.splitlines()[-1] == "end", done.stderr


def test_help_lists_every_command():
    done = python("from gossamer.cli.main import main; main()", "--help", env={"NO_COLOR": "1", "COLUMNS": "100"})
    commands = "demo study import predict evaluate phantom names site federation relay check audit"
    for command in commands.split():
        assert re.search(rf"\b{command}\b", done.stdout), command
    assert "\x1b[3" not in done.stdout


def test_version_is_the_package_s():
    assert python("from gossamer.cli.main import main; main()", "--version").stdout == f"gossamer {__version__}\n"


AS_A_SHELL_STARTS_IT = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
IN_THE_BACKGROUND = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""What Python itself does at its start, as the signal was when the process began. Said in the child: to say it between
fork and exec would run Python, and gRPC's handlers, in a fork of a process that has threads."""

WITH_A_COMMAND = """
import os, signal, time
from gossamer import errors
from gossamer.cli.main import app, main

@app.command()
def interrupted():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)

@app.command()
def swallowing():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    except Exception:
        print("swallowed")

@app.command()
def failing(name: str):
    raise getattr(errors, name)("wanted this; found that; do so")

main()
"""


@pytest.mark.parametrize("command", ["interrupted", "swallowing"])
def test_ctrl_c_ends_with_its_own_status_and_says_how_to_go_on(command):
    done = python(AS_A_SHELL_STARTS_IT + WITH_A_COMMAND, command)
    assert done.returncode == 130
    assert done.stderr == "Stopped. The same command again goes on from here.\n"
    assert done.stdout == ""


def test_ctrl_c_that_the_shell_ignores_stays_ignored():
    done = python(IN_THE_BACKGROUND + WITH_A_COMMAND, "interrupted")
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [("UsageError", 2, "GOS-200"), ("DatasetError", 3, "GOS-307"), ("ScheduleError", 4, "GOS-404"),
     ("WireError", 5, "GOS-501"), ("DiskFullError", 6, "GOS-602")],
)  # fmt: skip
def test_error_on_purpose_ends_with_its_code_and_status(error, status, code):
    done = python(WITH_A_COMMAND, "failing", error)
    assert done.returncode == status
    assert done.stderr == f"{code}: wanted this; found that; do so\n"
    assert issubclass(getattr(sys.modules[GossamerError.__module__], error), GossamerError)


def test_misspelt_command_ends_with_the_status_of_usage():
    done = python("from gossamer.cli.main import main; main()", "stduy")
    assert done.returncode == 2
    assert "stduy" in done.stderr
