"""``gossamer names list``: all standard names, for people and for programs."""

import json

import pytest
from typer.testing import CliRunner

from gossamer.cli.names import names_app
from gossamer.data.labels import standard_name
from gossamer.data.tg263 import STRUCTURES


def test_every_name_its_partner_and_its_synonyms_are_listed_on_stdout(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = CliRunner().invoke(names_app, ["list"])
    assert done.exit_code == 0
    assert "by the rules of AAPM TG-263" in done.stderr
    words = set(done.stdout.replace("│", " ").replace(",", " ").split())
    assert set(STRUCTURES) <= words
    assert {"Ohrspeicheldrüse", "Rückenmark", "Fegato".lower()} <= words


def test_json_holds_the_whole_table():
    rows = json.loads(CliRunner().invoke(names_app, ["list", "--json"]).stdout)
    assert [row["name"] for row in rows] == list(STRUCTURES)
    parotid = next(row for row in rows if row["name"] == "Parotid_L")
    assert (parotid["partner"], parotid["side"], parotid["region"]) == ("Parotid_R", "L", "head and neck")
    assert standard_name(f"{parotid['synonyms'][0]} left") == "Parotid_L"


@pytest.mark.parametrize(("option", "region"), [("head-neck", "head and neck"), ("pelvis", "pelvis")])
def test_a_region_is_listed_alone_with_how_many_synonyms_each_name_has(option, region):
    done = CliRunner().invoke(names_app, ["list", "--region", option])
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if line.startswith("│")
    ]
    counts = {name: int(count) for name, part, count, _ in rows if count and part == region}
    expected = {row.name: len(row.synonyms) for row in STRUCTURES.values() if row.region == region and row.side != "R"}
    assert counts == expected
    assert {part for _, part, _, _ in rows} <= {region, ""}


@pytest.mark.parametrize("arguments", [["lst"], ["list", "--no-such-option"], ["list", "--region", "leg"]])
def test_a_wrong_command_line_ends_with_status_2(arguments):
    done = CliRunner().invoke(names_app, arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage:" in done.stderr
