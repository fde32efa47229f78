"""The table of names keeps the rules of TG-263."""

import re

import pytest

from gossamer.data.tg263 import STRUCTURES


def test_names_have_at_most_16_characters_and_are_unique_ignoring_case():
    assert max(map(len, STRUCTURES)) <= 16
    assert len({name.casefold() for name in STRUCTURES}) == len(STRUCTURES)
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9_~]*", name) for name in STRUCTURES)


def test_a_side_stands_last_and_has_its_partner():
    paired = [row for row in STRUCTURES.values() if row.side]
    assert len(paired) > 60
    for row in paired:
        assert row.name == f"{row.root}_{row.side}"
        assert STRUCTURES[row.partner].partner == row.name
        assert STRUCTURES[row.partner].synonyms == row.synonyms
    assert {(row.side, STRUCTURES[row.partner].side) for row in paired} == {("L", "R"), ("R", "L")}


def test_what_has_no_side_has_no_partner():
    assert STRUCTURES["SpinalCord"].partner is None
    assert STRUCTURES["SpinalCord"].root == "SpinalCord"


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("Parotid_L", "head and neck"), ("Heart", "thorax"), ("Rib07_R", "thorax"), ("Liver", "abdomen"),
        ("Bladder", "pelvis"), ("VB_T03", "spine"), ("VB_L5", "spine"),
    ],
)  # fmt: skip
def test_structures_are_listed_by_region(name, region):
    assert STRUCTURES[name].region == region


def test_every_vertebra_and_rib_is_there_once():
    vertebrae = [name for name in STRUCTURES if name.startswith("VB_")]
    assert len(vertebrae) == 7 + 12 + 5 + 1
    assert sum(name.startswith("Rib") and name[3].isdigit() for name in STRUCTURES) == 24


def test_no_name_of_one_structure_is_written_twice_in_its_row():
    for row in STRUCTURES.values():
        assert len(set(row.synonyms)) == len(row.synonyms), row.name
        assert all(synonym == synonym.strip() != "" for synonym in row.synonyms), row.name
