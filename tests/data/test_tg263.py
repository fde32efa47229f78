"""The table of names keeps the rules of TG-263."""

import re

import pytest

from gossamer.data.tg263 import _ONE_PIECE, STRUCTURES


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


@pytest.mark.parametrize(
    "name",
    [
        "Parotid_L", "Brainstem", "SpinalCord", "Bone_Mandible", "Esophagus", "Larynx", "Liver", "Spleen", "Kidney_R",
        "Heart", "Lung_L",
    ],
)  # fmt: skip
def test_one_connected_organ_is_one_piece(name):
    assert STRUCTURES[name].one_piece


@pytest.mark.parametrize(
    "name",
    ["Parotids", "Lungs", "Kidneys", "Ribs", "Rib07_L", "Bag_Bowel", "Bowel_Small", "VB_L5", "A_Aorta", "OpticNrv_L",
     "SeminalVes", "Glnd_Thyroid"],
)  # fmt: skip
def test_what_is_many_folds_bends_back_or_breaks_is_not_one_piece(name):
    assert not STRUCTURES[name].one_piece


def test_each_name_among_the_pieces_is_a_row_and_stands_there_once():
    names = _ONE_PIECE.split()
    assert len(set(names)) == len(names)
    rows = {row.root + "_*" if row.side else row.name for row in STRUCTURES.values()} | set(STRUCTURES)
    assert set(names) <= rows
    assert all(STRUCTURES[row.partner].one_piece == row.one_piece for row in STRUCTURES.values() if row.side)
