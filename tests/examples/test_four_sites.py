"""Four sites as processes of their own end with one model and one table."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "four_sites.py"


def free_ports(text, port, status_port):
    """The example on other ports, so that it can run beside another one."""
    return re.sub(r"PORT, STATUS_PORT = .*", f"PORT, STATUS_PORT = {port}, {status_port}", text)


@pytest.mark.slow
def test_four_processes_end_with_the_same_model_and_the_same_table(tmp_path):
    script = tmp_path / "four_sites.py"
    script.write_text(
        free_ports(EXAMPLE.read_text(), 17443, 17480).replace(
            "SECONDS_BETWEEN_LOOKS = 15", "SECONDS_BETWEEN_LOOKS = 12"
        )
    )
    command = [sys.executable, script, "--out", "federation", "--patients", "2", "--rounds", "1", "--local-steps", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    logs = "\n".join(log.read_text() for log in tmp_path.glob("federation/site-*/log.txt"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    assert "the same model, to the bit, and the same table" in done.stdout
    table = json.loads((tmp_path / "federation" / "site-A" / "table.json").read_text())
    assert [site["result"]["cases"] for site in table["sites"]] == [1, 1, 1, 1]
    assert "Traceback" not in logs
