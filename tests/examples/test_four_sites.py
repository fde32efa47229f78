"""Four sites as processes of their own end with one model and one table."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from faults.ports import own_port
from typer.testing import CliRunner

from gossamer.cli.main import app
from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.phantom import Patient, cohort

EXAMPLE = Path(__file__).parents[2] / "examples" / "four_sites.py"
PATIENTS, ROUNDS, LOCAL_STEPS = 2, 1, 1
PLAN = """
[plan]
channels = [4, 8]
patch_size = [16, 16, 16]
"""
"""For the federation file: a network that trains in a second."""


@pytest.fixture
def script(tmp_path):
    """The example on ports of its own, the same on each address, so that it can run beside others."""
    ports = f"PORT, STATUS_PORT = {own_port('0.0.0.0')}, {own_port('0.0.0.0')}"
    text, changed = re.subn(r"PORT, STATUS_PORT = .*", ports, EXAMPLE.read_text())
    assert changed == 1
    path = tmp_path / "four_sites.py"
    path.write_text(text.replace("SECONDS_BETWEEN_LOOKS = 15", "SECONDS_BETWEEN_LOOKS = 20"))
    return path


def few_voxels(_region, hospital, seed):
    """A patient that is drawn, prepared and scored in no time."""
    shape = (16, 24, 24)
    names = ("Liver", "Kidney_L", "Kidney_R", "Spleen", "SpinalCord")
    hu = np.random.default_rng(seed).integers(-50, 50, shape).astype(np.int16)
    masks = {name: np.zeros(shape, dtype=bool) for name in names}
    for at, mask in enumerate(masks.values()):
        mask[4:12, 4:10, 4 * at : 4 * at + 4] = True
        hu[mask] += 100
    image = Image(hu, Frame.canonical(shape, hospital.scanner.spacing_mm, (0.0, 0.0, 0.0)))
    return Patient(image, masks, names, ())


def set_up(script, out, monkeypatch):
    """What people do once, by the example's own commands, in this process."""
    spec = importlib.util.spec_from_file_location("four_sites", script)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    done = []

    def gossamer(*words):
        done.append(words[0])
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        if words[:2] == ("federation", "new"):
            with words[2].open("a") as draft:
                draft.write(PLAN)

    monkeypatch.setattr(example, "gossamer", gossamer)
    monkeypatch.setattr(cohort, "draw_patient", few_voxels)
    example.set_up(out, out / "FED.toml", PATIENTS, ROUNDS, LOCAL_STEPS)
    assert done == ["phantom", "federation", *["site", "federation"] * 4, *["federation"] * 4]


@pytest.mark.slow
def test_four_processes_end_with_the_same_model_and_the_same_table(script, tmp_path, monkeypatch):
    set_up(script, tmp_path / "federation", monkeypatch)
    command = [sys.executable, script, "--out", "federation"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    logs = "\n".join(log.read_text() for log in tmp_path.glob("federation/site-*/log.txt"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    assert "the same model, to the bit, and the same table" in done.stdout
    table = json.loads((tmp_path / "federation" / "site-A" / "table.json").read_text())
    assert [site["result"]["cases"] for site in table["sites"]] == [1, 1, 1, 1]
    assert "Traceback" not in logs
