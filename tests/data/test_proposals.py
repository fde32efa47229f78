import json
import random
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.data.importers.naming import read_names
from gossamer.data.labels import SIDE_WORDS
from gossamer.data.proposals import names_document, propose
from gossamer.data.tg263 import STRUCTURES
from gossamer.errors import ConfigurationError

DICOM_RT = Path(__file__).parents[3] / "shared" / "data" / "dicom_rt" / "expected.json"


@pytest.mark.parametrize(
    ("name", "standard", "how"),
    [
        ("Parotid_L", "Parotid_L", "standard"),
        (" Parotid_L ", "Parotid_L", "standard"),
        ("Lt Parotid", "Parotid_L", "synonym"),
        ("parotis re", "Parotid_R", "synonym"),
        ("Sehnerv li", "OpticNrv_L", "synonym"),
        ("MANDIBULA", "Bone_Mandible", "synonym"),
        ("LUNG_RIGHT_1", "Lung_R", "similar"),
        ("bladdr", "Bladder", "similar"),
        ("Leber_neu_2", "Liver", "similar"),
        ("VB_T10_1", "VB_T10", "similar"),
        ("thracic wall right", "Chestwall_R", "similar"),  # not Chestwall, which is as like
        ("External Genitalia", "Genitals", "synonym"),
        ("Llens", "Lens_L", "similar"),  # a side may be written together with its organ
        ("parotided", "Parotid_R", "similar"),
        ("opt chiasm", "OpticChiasm", "synonym"),
        ("Optc Nerve L", "OpticNrv_L", "similar"),
        ("combined parotid", "Parotids", "similar"),
        ("Larynx total", "Larynx", "similar"),
        ("study Cord 2", "SpinalCord", "similar"),
        ("Rippe 1 links 1", "Rib01_L", "similar"),  # not Rib11_L
        ("VB_C6-new", "VB_C6", "similar"),
    ],
)
def test_known_and_similar_names_are_proposed(name, standard, how):
    found = propose(name)
    assert (found.standard, found.how) == (standard, how)


@pytest.mark.parametrize(
    "name",
    [
        "PTV 60",
        "CTV54",
        "GTVn",
        "IGTV_p",
        "Parotid_L-PTV",
        "Lungs-GTV",
        "liver - ctv",
        "zParotid_L",
        "_Parotid_L",
        "z_Cord",
        "Lung~_L",
        "PTV^Physician1",
        "SpinalCord_PRV05",
        "Cord+5mm",
        "Ring 2cm",
        "dose 50%",
        "Larynx avoid",
        "BODY",
        "External",
        "CouchSurface",
        "L LensPRV",
        "PRVcord",
        "Lt Lens Opt",
        "OPT R cochlea",
        "globeOPT left",
        "Optic nerve L OPT",
    ],
)
def test_targets_parts_margins_and_helpers_are_never_proposed(name):
    assert propose(name).standard is None


@pytest.mark.parametrize("name", ["parotid", "Parotid lnks", "FemoralHead_Lef", "lung upper lobe rght"])
def test_a_side_is_not_guessed(name):
    found = propose(name)
    assert found.standard is None
    assert found.nearest


@pytest.mark.parametrize(
    "name",
    ["Prostate bed", "prostate & SV", "left parotid ant", "Esophagus_S", "Parotid_L_NOS", "A_ExternalIliac_L", "Lhip"],
)
def test_a_word_more_is_no_misspelling(name):
    """Part of an organ, two organs, or another one."""
    found = propose(name)
    assert (found.standard, found.how) == (None, "unknown")


def test_an_optic_nerve_is_not_taken_for_something_to_optimise_with():
    assert propose("Opt Nerve L").how != "not an organ"


def test_zygoma_is_not_taken_for_a_helper():
    assert propose("zygomatic bone").how != "not an organ"


@pytest.mark.parametrize("name", ["VB_T13", "rippe 14 links"])
def test_no_other_number_than_the_names_is_proposed(name):
    assert propose(name).standard in (None, "Ribs")


def written(rng):
    """A name as somebody might write it, and the structure it is of; made of our table's words, so no corpus."""
    row = rng.choice(list(STRUCTURES.values()))
    name, how = rng.choice([row.root, *row.synonyms]), rng.choice(("as it is", "misspelt", "drawn again"))
    inside = [place for place in range(1, len(name) - 1) if name[place - 1 : place + 2].isalpha()]
    if how == "misspelt" and len(name) > 5 and inside:
        place = rng.choice(inside)
        one, two = name[place], name[place + 1]
        name = name[:place] + rng.choice([two, one + one + two, two + one]) + name[place + 2 :]
    if row.side:
        side = rng.choice([*SIDE_WORDS[row.side].split(), row.side])
        name = rng.choice([f"{name} {side}", f"{side} {name}"])
    if how == "drawn again":
        name += rng.choice(["_1", " 2", " neu", " new", "_old"])
    change = rng.choice([str.upper, str.lower, str.title, str])
    return change(name).replace(" ", rng.choice(" _-.")), row


def side_of(standard):
    return standard[5] if standard.startswith("Lung_") else STRUCTURES[standard].side


def test_nine_of_ten_first_proposals_are_right_of_names_written_in_many_ways_and_none_is_of_the_other_side():
    rng, found = random.Random(41), Counter()
    for _ in range(200):
        name, row = written(rng)
        standard = propose(name).standard
        found["right" if standard == row.name else "none" if standard is None else "wrong"] += 1
        assert standard is None or {side_of(standard), side_of(row.name)} != {"L", "R"}, name
    assert found["right"] >= 180
    assert found["wrong"] == 0


REAL = {
    "Heart": "Heart",
    "Lt Lung": "Lung_L",
    "Carina_c40": "Carina",  # a phase of breathing
    "Breast": None,  # which?
    **dict.fromkeys(["BODY", "GTV_Mass_CT", "Tumor_c40", "LN_c40", "Vertebra_c40", "ROI-1", "ROI-2", "ROI-3", "ROI-4"]),
    **dict.fromkeys(["Areola", "Borders", "Nodes", "Scar", "Tumor Bed", "Tumor Bed Block"]),
}
"""ROI names of planning systems (../shared/data/dicom_rt), and what they mean; None: no organ, or no side."""


@pytest.mark.skipif(not DICOM_RT.is_file(), reason="needs ../shared/data (real patients), which is absent")
def test_of_real_structure_sets_no_name_is_taken_for_what_it_is_not():
    files = [file for archive in json.loads(DICOM_RT.read_text()).values() for file in archive["rtstruct"].values()]
    names = {name for file in files for name in file}
    assert names == REAL.keys()
    assert {name: propose(name).standard for name in names} == REAL


@pytest.mark.parametrize(
    ("name", "standard"),
    [("RightParotid", "Parotid_R"), ("LeftParotid", "Parotid_L"), ("Mandible", "Bone_Mandible"), ("PTV56", None),
     ("SpinalCord", "SpinalCord"), ("Brainstem", "Brainstem"), ("Larynx", "Larynx"), ("Esophagus", "Esophagus")],
)  # fmt: skip
def test_names_of_openkbp_are_known(name, standard):
    assert propose(name).standard == standard


def test_the_document_lists_each_name_with_counts_and_is_refused_until_it_is_confirmed(tmp_path):
    path = tmp_path / "names.toml"
    text = names_document({"Lt Parotid": 38, "PTV 60": 40, "bladdr": 1, "Cord": 40, 'a "b" \\ c\n': 2}, 40)
    assert '"Lt Parotid" = "Parotid_L"  # in 38 of 40' in text
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="confirmed"):
        read_names(path)
    path.write_text(text.replace("confirmed = false", "confirmed = true"))
    names = read_names(path)
    assert names["Cord"] == "SpinalCord"
    assert names["PTV 60"] == ""
    assert names['a "b" \\ c\n'] == ""


@given(st.dictionaries(st.text(min_size=1), st.integers(1, 9), max_size=5))
def test_whatever_names_there_are_the_document_is_toml_with_all_of_them(counts):
    assert set(tomllib.loads(names_document(counts, 9))["names"]) == set(counts)
