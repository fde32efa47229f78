import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.data.importers.naming import read_names
from gossamer.data.proposals import names_document, propose
from gossamer.errors import ConfigurationError


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
    ],
)
def test_targets_parts_margins_and_helpers_are_never_proposed(name):
    assert propose(name).standard is None


@pytest.mark.parametrize("name", ["parotid", "Parotid lnks", "FemoralHead_Lef"])
def test_a_side_is_not_guessed(name):
    found = propose(name)
    assert found.standard is None
    assert found.nearest


def test_an_optic_nerve_is_not_taken_for_something_to_optimise_with():
    assert propose("Opt Nerve L").how != "not an organ"


def test_zygoma_is_not_taken_for_a_helper():
    assert propose("zygomatic bone").how != "not an organ"


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
