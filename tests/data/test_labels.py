"""Names of structures: every known way of writing them, and no side that is guessed."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.data.labels import SIDE_WORDS, LabelSpace, letters_apart, nearest_names, standard_name
from gossamer.data.tg263 import STRUCTURES
from gossamer.errors import UnknownStructureError

SPACE = LabelSpace(("Brainstem", "Parotid_R", "Parotid_L", "Eye_L", "Kidneys"))


def ways_to_write(row):
    """Names of the row with its side before, behind and inside, in all cases and punctuations."""
    for name in (row.root, *row.synonyms):
        sides = [] if row.side is None else [*SIDE_WORDS[row.side].split(), row.side]
        with_side = [f"{name} {side}" for side in sides] + [f"{side} {name}" for side in sides] or [name]
        for written in with_side:
            yield from (written, written.upper(), written.lower(), written.replace(" ", "_"), f"  {written}. ")


@pytest.mark.parametrize("row", STRUCTURES.values(), ids=lambda row: row.name)
def test_every_synonym_however_it_is_written_finds_its_own_structure(row):
    for written in ways_to_write(row):
        assert standard_name(written) == row.name, written


@pytest.mark.parametrize(
    ("written", "standard"),
    [
        ("Lt Parotid", "Parotid_L"),
        ("LParotid", "Parotid_L"),
        ("ParotidLeft", "Parotid_L"),
        ("parotid (right)", "Parotid_R"),
        ("Ohrspeicheldrüse links", "Parotid_L"),
        ("Ohrspeicheldru\u0308se links", "Parotid_L"),  # the same, with the accent as a character of its own
        ("SPINAL-CORD", "SpinalCord"),
        ("l'œsophage", "Esophagus"),
        ("moelle épinière", "SpinalCord"),
        ("nerf optique gauche", "OpticNrv_L"),
        ("kidney_right", "Kidney_R"),  # from here on as TotalSegmentator has them
        ("lung_upper_lobe_left", "Lung_LUL"),
        ("lung_middle_lobe_right", "Lung_RML"),
        ("vertebrae_L5", "VB_L5"),
        ("vertebrae_T9", "VB_T09"),
        ("rib_left_1", "Rib01_L"),
        ("clavicula_right", "Clavicle_R"),
        ("iliac_vena_left", "V_Iliac_Cmn_L"),
    ],
)
def test_names_as_hospitals_and_public_sets_write_them(written, standard):
    assert standard_name(written) == standard


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("Partoid_L", "nearest: Parotid_L"),
        ("SpinalCrd", "nearest: SpinalCord"),
        ("Parotid", "nearest: Parotid_L, Parotid_R"),  # which side?
        ("kidney left right", "nearest: Kidney_L, Kidney_R, Kidneys"),
        ("Liver_L", "nearest: Liver"),  # it has no side
        ("parotis-tumor L", "nearest: Parotid_L"),
    ],
)
def test_a_name_misspelt_or_with_an_unclear_side_is_refused_with_the_nearest(written, nearest):
    with pytest.raises(UnknownStructureError) as caught:
        standard_name(written)
    assert f"wanted the name of a structure; found {written!r}; {nearest}" in str(caught.value)
    assert str(caught.value).endswith("'gossamer names list' shows all names")


@pytest.mark.parametrize("written", ["PTV70", "GTV", "BODY", "Lung~_L", "", "left", "qwzx", "?"])
def test_what_is_no_structure_of_ours_is_refused(written):
    with pytest.raises(UnknownStructureError, match=re.escape(f"found {written!r}; ")):
        standard_name(written)


@given(st.text(max_size=20))
def test_any_text_is_a_structure_or_refused(text):
    try:
        name = standard_name(text)
    except UnknownStructureError:
        return
    assert name in STRUCTURES


@given(
    st.sampled_from([row for row in STRUCTURES.values() if row.side]),
    st.data(),
)
def test_a_misspelt_name_never_gets_or_is_offered_the_other_side(row, data):
    letters = list(row.root)
    letters.pop(data.draw(st.integers(0, len(letters) - 1)))
    misspelt = f"{''.join(letters)}_{row.side}"
    other = {name for name, known in STRUCTURES.items() if known.side not in (None, row.side)}
    assert not other & set(nearest_names(misspelt))
    with suppress(UnknownStructureError):
        assert standard_name(misspelt) not in other


def test_a_structures_place_is_its_output():
    assert [SPACE.index(name) for name in SPACE.structures] == [0, 1, 2, 3, 4]
    assert SPACE.index("Parotid_L") == 2


def test_a_structure_outside_the_label_space_is_refused_with_the_nearest_or_all():
    with pytest.raises(UnknownStructureError, match=r"found 'Partoid_L'; nearest: Parotid_L$"):
        SPACE.index("Partoid_L")
    with pytest.raises(UnknownStructureError, match="found 'Liver'; it has Brainstem, Parotid_R, Parotid_L, Eye_L"):
        SPACE.index("Liver")


def test_pairs_are_the_places_that_a_mirror_swaps():
    assert SPACE.pairs == ((2, 1),)  # the eye's partner is not trained
    assert LabelSpace(("Lung_L", "Heart", "Lung_R", "Eye_R", "Eye_L")).pairs == ((0, 2), (4, 3))
    assert LabelSpace(("Heart",)).pairs == ()


def test_a_structure_listed_twice_is_refused():
    with pytest.raises(UnknownStructureError, match="found Liver, LIVER; take the copies out"):
        LabelSpace(("Liver", "LIVER"))


@pytest.mark.parametrize(
    ("name", "apart"),
    [("Liver", 0), ("Livr", 1), ("Lievr", 1), ("Livver", 1), ("Lover", 1), ("Leber rechts", 0), ("Liverbed", 3)],
)
def test_letters_apart_are_the_fewest_changes_to_one_of_the_names(name, apart):
    assert letters_apart(name, "Liver") == apart


def test_two_numbers_are_not_read_as_one():
    with pytest.raises(UnknownStructureError):
        standard_name("rib 1 left 1")
    assert standard_name("rib 11 left") == "Rib11_L"
