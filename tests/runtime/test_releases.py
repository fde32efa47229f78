"""Sites of two releases finish a run together, and a newer one goes on where an older one stopped.

``tests/frozen/protocol-1.zip`` is the package as it was when its protocol was frozen, made from a commit by
``git archive --format=zip -9 -o tests/frozen/protocol-1.zip COMMIT:src``. It is never changed: a release that cannot
work with it needs a protocol of its own, and a refusal at the handshake that names both.
"""

from pathlib import Path

import pytest
from faults.ports import own_address

from gossamer.runtime.card import read_card
from gossamer.runtime.federation_file import add_site, read_federation
from gossamer.runtime.site_folder import CARD, SiteFolder, SiteSettings, init_site

FIRST = Path(__file__).parents[1] / "frozen" / "protocol-1.zip"
SOURCES = Path(__file__).parents[2] / "src"

FEDERATION = """
title = "Toy hospitals, two releases"
structures = ["Kidney_L", "Kidney_R", "Prostate"]
rounds = {rounds}
local_steps = 3
pace = "{pace}"
seed = 1

"""
DATA = {"A": "A", "B": "B", "C": "C", "D": "B"}
"""Whose patients each site has."""


@pytest.fixture
def four_sites(toy_home, tmp_path):
    """Folders and a federation file that all have approved."""

    def build(pace, rounds, names="ABCD"):
        file = tmp_path / "FED.toml"
        study = (toy_home / "study.toml").read_text()
        plan_and_recipe = study[study.index("[plan]") : study.index("[arms.")]
        file.write_text(FEDERATION.format(pace=pace, rounds=rounds) + plan_and_recipe)
        for at, name in enumerate(names, start=1):
            address = own_address(f"127.0.0.{at}")
            settings = SiteSettings(
                name=name, data=str(toy_home / "data" / DATA[name]), listen=address, address=address,
                status=own_address(f"127.0.0.{at}"), threads=1,
            )  # fmt: skip
            init_site(tmp_path / name, settings)
            add_site(file, read_card(tmp_path / name / CARD))
        for name in names:
            SiteFolder(tmp_path / name).approve(read_federation(file))
        return file

    return build


def test_two_sites_of_the_first_protocol_and_two_of_today_end_with_one_model_and_one_table(four_sites, site_processes):
    """In lockstep, where one model and its bits are promised whatever happens."""
    sites = site_processes(four_sites("lockstep", 4))
    for name, release in {"A": SOURCES, "B": FIRST, "C": FIRST, "D": SOURCES}.items():
        sites.start(name, release)
    sites.kill_once_it_has_a_journal("C")  # an update in the middle of a run
    sites.start("C", SOURCES)
    tables = sites.end()
    assert all(table["sites"] == tables[0]["sites"] for table in tables)
    assert [site["result"]["cases"] for site in tables[0]["sites"]] == [2, 2, 1, 2]
    assert all(sites.model(name) == sites.model("A") for name in "BCD")


def test_one_site_of_the_first_protocol_and_one_of_today_swap_halves(four_sites, site_processes):
    """At the asynchronous pace, with the shares and news of that; what two hear of each other is one model."""
    sites = site_processes(four_sites("asynchronous", 6, "AB"))
    sites.start("A", SOURCES)
    sites.start("B", FIRST)
    tables = sites.end((0, 7))  # 7: on a busy machine one may start a few short rounds late
    assert [table["sites"][1]["result"]["cases"] for table in tables] == [2, 2]
    assert all(table["sites"][0]["result"]["shares"]["B"] for table in tables)
