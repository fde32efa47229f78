"""Four processes on real patients of four hospitals end with the bits of the simulation of the same study."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from faults.ports import own_address

from gossamer.node.kinds import make_node
from gossamer.runtime.card import read_card
from gossamer.runtime.federation_file import add_site, read_federation
from gossamer.runtime.simulation import Simulation
from gossamer.runtime.site_folder import CARD, SiteFolder, SiteSettings, init_site
from gossamer.study.config import parse_study
from gossamer.study.federation import agreement_of, federation_of
from gossamer.study.jobs import make_job
from gossamer.study.workspace import open_datasets, open_workspace
from gossamer.watch import Unwatched

OPENKBP = Path(__file__).parents[3] / "shared" / "data" / "openkbp"
pytestmark = pytest.mark.skipif(not OPENKBP.is_dir(), reason="needs ../shared/data (real patients), which is absent")

COMMAND = "from gossamer.cli.main import main; main()"

PATIENTS = {"train": 1, "val": 1}
"""Of each hospital."""

SETTINGS = """
title = "Four hospitals"
structures = ["Brainstem", "SpinalCord", "Parotid_L", "Parotid_R", "Bone_Mandible"]
"""
PLAN = """
[plan]
channels = [4, 8]
patch_size = [16, 16, 16]
overlap = 0.0

[recipe]
batch_size = 1
threads = 1
"""
RUN = 'rounds = 2\nlocal_steps = 3\npace = "lockstep"\nseed = 1\n'
STUDY = """datasets = ["data/A", "data/B", "data/C", "data/D"]
steps = 6
seeds = [1]
"""
ARM = """
[arms.gossip]
kind = "federated"
topology = "mesh"
guard = "clipping"
schedules = [{ local_steps = 3 }]
"""


@pytest.fixture
def home(tmp_path):
    """A folder with a few patients of each hospital, in ``data``."""
    taken, rows = {}, []
    with (OPENKBP / "index.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            place = row["site"], row["split"]
            taken[place] = taken.get(place, 0) + 1
            if taken[place] <= PATIENTS.get(row["split"], 0):
                rows.append(row | {"image": OPENKBP / row["image"], "labelmap": OPENKBP / row["labelmap"]})
    index = tmp_path / "index.csv"
    with index.open("w", newline="") as file:
        writer = csv.DictWriter(file, reader.fieldnames)
        writer.writeheader()
        writer.writerows(rows)
    subprocess.run(
        [
            sys.executable,
            "-c",
            COMMAND,
            "import",
            "table",
            index,
            "--labels",
            OPENKBP / "labels.json",
            "--out",
            tmp_path / "data",
        ],
        check=True,
    )
    return tmp_path


def simulated(home):
    study = parse_study(SETTINGS + STUDY + PLAN + ARM, "study")
    workspace = open_workspace(study, open_datasets(study, home), home / "study", Unwatched())
    job = make_job(study, workspace.sites, "gossip", study.arms["gossip"].schedules[0], 1)
    made = federation_of(job, workspace, {})
    agreement = agreement_of(job, made.algorithm, made.topology, made.masses)
    nodes = [make_node(site, agreement, mass, made.params) for site, mass in made.masses.items()]
    return Simulation(nodes, made.trainers, local_steps=job.local_steps, seed=1).run().params


def test_four_processes_on_real_patients_end_with_the_bits_of_the_simulation(home, site_processes):
    file = home / "FED.toml"
    file.write_text(SETTINGS + RUN + PLAN)
    for at, name in enumerate("ABCD", start=1):
        address = own_address(f"127.0.0.{at}")
        settings = SiteSettings(
            name=name, data=str(home / "data" / name), listen=address, address=address,
            status=own_address(f"127.0.0.{at}"),
        )  # fmt: skip
        init_site(home / name, settings)
        add_site(file, read_card(home / name / CARD))
    for name in "ABCD":
        SiteFolder(home / name).approve(read_federation(file))
    sites = site_processes(file)
    for name in "ABCD":
        sites.start(name)
    wanted = simulated(home)
    tables = sites.end()
    assert all(table["sites"] == tables[0]["sites"] for table in tables)
    for name in "ABCD":
        assert sites.model(name) == {key: tensor.numpy().tobytes() for key, tensor in wanted[name].items()}
