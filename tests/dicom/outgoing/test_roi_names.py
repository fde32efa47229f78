from gossamer.dicom.outgoing.appearance import ORGANS, colour_of, side_of, type_of
from gossamer.dicom.outgoing.roi_names import planning_names


def test_a_name_of_sixteen_characters_stays_and_a_longer_one_keeps_its_side():
    names = ["Musc_Constrict_S", "Glnd_Submandibular_L", "Glnd_Submandibular_R", "SpinalCord"]
    assert planning_names(names) == {
        "Musc_Constrict_S": "Musc_Constrict_S",
        "Glnd_Submandib_L": "Glnd_Submandibular_L",
        "Glnd_Submandib_R": "Glnd_Submandibular_R",
        "SpinalCord": "SpinalCord",
    }


def test_names_that_would_be_equal_are_numbered_before_their_side():
    names = ["Glnd_Submandib_L", "Glnd_Submandibular_L", "Glnd_Submandibularis_L", "eye", "EYE"]
    short = list(planning_names(names))
    assert short == ["Glnd_Submandib_L", "Glnd_Submandi2_L", "Glnd_Submandi3_L", "eye", "EYE2"]
    assert max(map(len, short)) == 16


def test_a_structure_has_one_colour_and_the_right_one_of_a_pair_is_darker():
    assert colour_of("Parotid_L") == ORGANS["Parotid"][0]
    assert colour_of("Parotid_R") == (43, 151, 65)  # 0.72 of 60, 210, 90
    assert colour_of("Unheard_Of_L") == colour_of("Unheard_Of") != colour_of("Unheard_Of_R")
    assert all(0 <= part <= 255 for name in ORGANS for part in colour_of(f"{name}_R"))


def test_organs_have_their_codes_of_snomed_ct_and_others_are_organs():
    assert {name: type_of(name).value for name in ("Liver", "Kidney_R", "Femur_Head_L", "Unheard_Of")} == {
        "Liver": "10200004",
        "Kidney_R": "64033007",
        "Femur_Head_L": "2812003",
        "Unheard_Of": "91772007",
    }
    assert all(type_of(name).scheme_designator == "SCT" for name in ORGANS)
    assert side_of("Kidney_R").value == "24028007"
    assert side_of("Liver") is None
