from gossamer.evaluate.tolerance import DEFAULT, DEFAULT_MM, TWO_READERS, tolerance_of


def test_published_tolerance_comes_with_its_source():
    assert tolerance_of("Bone_Mandible").mm == 1.0
    assert tolerance_of("Bone_Mandible").source == TWO_READERS


def test_both_sides_of_a_paired_organ_have_one_tolerance():
    for left in ("Parotid_L", "Glnd_Submand_L", "Kidney_L", "Glnd_Adrenal_L"):
        assert tolerance_of(left) == tolerance_of(left[:-1] + "R")


def test_organ_without_a_published_tolerance_gets_the_default_and_says_so():
    assert tolerance_of("Larynx").mm == DEFAULT_MM
    assert tolerance_of("Larynx").source == DEFAULT
