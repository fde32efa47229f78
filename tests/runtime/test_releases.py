"""Sites of two releases finish a run together, and a newer one goes on where an older one stopped.

``tests/frozen/protocol-1.zip`` is the package as it was when its protocol was frozen, made from a commit by
``git archive --format=zip -9 -o tests/frozen/protocol-1.zip COMMIT:src``. It is never changed: a release that cannot
work with it needs a protocol of its own, and a refusal at the handshake that names both.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gossamer.runtime.federation_file import add_site, read_card, read_federation
from gossamer.runtime.site_folder import CARD, SiteFolder, SiteSettings, init_site
from gossamer.segment.model_file import read_model

FIRST = Path(__file__).parents[1] / "frozen" / "protocol-1.zip"
SOURCES = Path(__file__).parents[2] / "src"
COMMAND = "from gossamer.cli.main import main; main()"
LONGEST_S = 150

FEDERATION = """
title = "Four toy hospitals, two releases"
structures = ["Kidney_L", "Kidney_R", "Prostate"]
rounds = {rounds}
local_steps = 3
pace = "{pace}"
seed = 1

"""
DATA = {"A": "A", "B": "B", "C": "C", "D": "B"}
"""Whose patients each site has."""


def unused(host):
    with socket.socket() as taken:
        taken.bind((host, 0))
        return f"{host}:{taken.getsockname()[1]}"


@pytest.fixture
def four_sites(toy_home, tmp_path):
    """Folders and a federation file that all have approved."""

    def build(pace, rounds):
        file = tmp_path / "FED.toml"
        study = (toy_home / "study.toml").read_text()
        plan_and_recipe = study[study.index("[plan]") : study.index("[arms.")]
        file.write_text(FEDERATION.format(pace=pace, rounds=rounds) + plan_and_recipe)
        for at, (name, data) in enumerate(DATA.items(), start=1):
            address = unused(f"127.0.0.{at}")
            settings = SiteSettings(
                name=name, data=str(toy_home / "data" / data), listen=address, address=address,
                status=unused(f"127.0.0.{at}"), threads=1,
            )  # fmt: skip
            init_site(tmp_path / name, settings)
            add_site(file, read_card(tmp_path / name / CARD))
        for name in DATA:
            SiteFolder(tmp_path / name).approve(read_federation(file))
        return file

    return build


class Sites:
    """Processes of ``gossamer site run``, each of one of the two releases."""

    def __init__(self, file):
        self.file, self.running = file, {}

    def start(self, name, release):
        folder = self.file.parent / name
        command = [sys.executable, "-c", COMMAND, "site", "run", str(self.file), "--folder", str(folder), "--json"]
        environment = {**os.environ, "PYTHONPATH": str(release), "OMP_NUM_THREADS": "1"}
        with (folder / "table.json").open("w") as table, (folder / "log.txt").open("a") as log:
            self.running[name] = subprocess.Popen(command, stdout=table, stderr=log, env=environment)

    def kill_once_it_has_a_journal(self, name):
        folder = self.file.parent / name
        until_s = time.monotonic() + LONGEST_S
        while not list(folder.glob("runs/*/state-*.safetensors")):
            assert time.monotonic() < until_s, (folder / "log.txt").read_text()
            time.sleep(0.05)
        self.running[name].kill()
        self.running[name].wait()

    def end(self, allowed):
        until_s = time.monotonic() + LONGEST_S
        for name, process in self.running.items():
            status = process.wait(max(1.0, until_s - time.monotonic()))
            assert status in allowed, f"site {name}:\n{(self.file.parent / name / 'log.txt').read_text()}"
        return [json.loads((self.file.parent / name / "table.json").read_text()) for name in self.running]

    def model(self, name):
        (path,) = (self.file.parent / name).glob("runs/*/model.safetensors")
        return {key: tensor.numpy().tobytes() for key, tensor in read_model(path).params.items()}

    def close(self):
        for process in self.running.values():
            process.kill()
            process.wait()


@pytest.mark.parametrize(("pace", "rounds"), [("asynchronous", 6), ("lockstep", 4)])
def test_two_sites_of_the_first_protocol_and_two_of_today_end_with_one_model_and_one_table(four_sites, pace, rounds):
    sites = Sites(four_sites(pace, rounds))
    try:
        for name, release in {"A": SOURCES, "B": FIRST, "C": FIRST, "D": SOURCES}.items():
            sites.start(name, release)
        sites.kill_once_it_has_a_journal("C")  # an update in the middle of a run
        sites.start("C", SOURCES)
        tables = sites.end((0, 7) if pace == "asynchronous" else (0,))  # 7: one that starts again misses short rounds
        assert all(table["sites"] == tables[0]["sites"] for table in tables)
        assert [site["result"]["cases"] for site in tables[0]["sites"]] == [2, 2, 1, 2]
        assert all(sites.model(name) == sites.model("A") for name in "BCD")
    finally:
        sites.close()
