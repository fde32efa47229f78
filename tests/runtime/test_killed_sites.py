"""Four processes with mutual TLS between them, killed again and again: no bit of their models changes."""

import json
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gossamer.transport.identity import new_identity, write_identity

SITES = ("A", "B", "C", "D")
ROUNDS = 40
KILLS = 8


@pytest.fixture
def federation(tmp_path):
    """Folders, keys and free ports of four sites."""
    sites = {}
    for at, name in enumerate(SITES, start=1):
        folder = tmp_path / name
        folder.mkdir()
        identity = new_identity(name)
        write_identity(identity, folder)
        with socket.socket() as taken:
            taken.bind((f"127.0.0.{at}", 0))
            port = taken.getsockname()[1]
        sites[name] = {"certificate": identity.pem, "address": f"127.0.0.{at}:{port}"}
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"folder": str(tmp_path), "rounds": ROUNDS, "sites": sites}))
    return settings


class Processes:
    """The sites' processes; each writes what it says into its folder."""

    def __init__(self, settings):
        self._settings = settings
        self._running = {}

    def start(self, name):
        with (self._settings.parent / name / "said").open("ab") as said:
            self._running[name] = subprocess.Popen(
                [sys.executable, Path(__file__).with_name("one_site.py"), self._settings, name],
                stdout=said,
                stderr=said,
            )

    def kill(self, name):
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def kill_all(self):
        for name in list(self._running):
            self.kill(name)

    def ended(self):
        return {name: process.returncode for name, process in self._running.items() if process.poll() is not None}


@pytest.mark.slow
def test_sites_that_are_killed_end_with_the_bits_of_a_simulation(federation, simulation, bits):
    chance = random.Random(7)
    processes = Processes(federation)
    models = {name: federation.parent / name / "model" for name in SITES}
    try:
        for name in SITES:
            processes.start(name)
        until = time.monotonic() + 120
        kills = 0
        while not all(model.exists() for model in models.values()):
            assert time.monotonic() < until, "the sites did not finish"
            assert not processes.ended(), (federation.parent / next(iter(processes.ended())) / "said").read_text()
            if kills < KILLS and (federation.parent / "A" / "state-1.safetensors").exists():
                name = chance.choice(SITES)
                processes.kill(name)
                processes.start(name)
                kills += 1
            time.sleep(chance.uniform(0.1, 1.0))
    finally:
        processes.kill_all()
    assert kills == KILLS
    expected = bits(simulation(rounds=ROUNDS, resend_after_s=3600.0).run().params)
    for name, model in models.items():
        found = {key: bytes.fromhex(digits) for key, digits in json.loads(model.read_text()).items()}
        assert found == expected[name], name
