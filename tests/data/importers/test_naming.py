"""A hospital's own names come first; what stays unknown is listed at once, with what to do."""

import pytest

from gossamer.data.derived import operands
from gossamer.data.importers.naming import read_names, read_names_file, standard_names
from gossamer.errors import ConfigurationError, DatasetError, UnknownKeyError, UnknownStructureError


@pytest.fixture
def names_file(tmp_path):
    (tmp_path / "Doe^John").mkdir()
    return tmp_path / "Doe^John" / "names.toml"


def test_own_names_win_over_the_table(names_file):
    names_file.write_text('[names]\n"Speiche A" = "Parotid_L"\n"eye left" = "Lens_L"\n')
    own = read_names(names_file)
    assert standard_names(["Speiche A", "eye left", "Niere rechts"], own) == {
        "Speiche A": "Parotid_L",
        "eye left": "Lens_L",
        "Niere rechts": "Kidney_R",
    }


def test_all_unknown_names_are_listed_with_the_nearest_and_what_to_do():
    with pytest.raises(UnknownStructureError) as caught:
        standard_names(["Liver", "Kidny_L", "PTV70"], {})
    lines = str(caught.value).splitlines()
    assert lines[0] == "wanted structures with standard names; found without:"
    assert "found 'Kidny_L'; nearest: Kidney_L" in lines[1]
    assert "found 'PTV70'" in lines[2]
    assert lines[3] == "name them in a file for --names, or leave them out with --skip-unknown"


def test_unknown_names_are_left_out_when_asked_for():
    assert standard_names(["Liver", "PTV70"], {}, skip_unknown=True) == {"Liver": "Liver"}


def test_two_names_of_one_structure_are_refused():
    with pytest.raises(
        DatasetError, match=r"found 'liver' and 'Leber', which both mean Liver; say in a file for --names"
    ):
        standard_names(["liver", "Leber"], {})


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"names = 1", ConfigurationError, "names file: names: "),
        (b"[nmaes]", UnknownKeyError, "unknown key 'nmaes'; did you mean 'names'"),
        (b"[names", ConfigurationError, "names file: wanted TOML; found text that is none"),
        (b"\xff\xfe", ConfigurationError, "names file: wanted TOML in UTF-8; found: "),
        (b'[names]\nx = "Livr"', UnknownStructureError, "names file: .*found 'Livr'; nearest: Liver"),
        (b'[names]\nx = "liver"', UnknownStructureError, "names file: wanted standard names; found 'liver'; use Liver"),
    ],
)
def test_a_file_of_names_that_is_wrong_says_where(names_file, content, error, message):
    names_file.write_bytes(content)
    with pytest.raises(error, match=message):
        read_names(names_file)


def test_a_missing_file_of_names_is_refused_without_its_path(names_file):
    with pytest.raises(
        ConfigurationError, match=r"names file: .* found: No such file or directory; check --names"
    ) as caught:
        read_names(names_file)
    assert "Doe" not in str(caught.value)


def test_derived_structures_stand_beside_the_names(names_file):
    names_file.write_text('[names]\nOHRSP = "Parotid_L"\n[derived]\nLungs = "Lung_L + \'Lunge re\'"\n')
    file = read_names_file(names_file)
    assert file.names == {"OHRSP": "Parotid_L"}
    assert [(one.name, one.own) for one in operands(file.formulas["Lungs"])] == [("Lung_L", False), ("Lunge re", True)]
    with pytest.raises(ConfigurationError, match="found 1 derived structures, which are made of DICOM"):
        read_names(names_file)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ('Lungs = "Lung_L + "', ConfigurationError, "derived Lungs: wanted a structure's name, .* at character 10"),
        ('SpinalCord_PRV05 = "SpinalCord + 5 mm"', UnknownStructureError, "names file, derived: .*_PRV05"),
        (
            'Lungs = "Lunge_li + Lung_R"',
            UnknownStructureError,
            r"derived Lungs \(put own names in quotes\): .*Lunge_li",
        ),
        (
            'Lungs = "Lungs - Heart"',
            ConfigurationError,
            "wanted structures that are drawn, or derived before it; found",
        ),
        ('Heart = "Lungs"\nLungs = "Lung_L + Lung_R"', ConfigurationError, "derived before it; found Lungs"),
    ],
)
def test_a_formula_that_is_wrong_says_where(names_file, content, error, message):
    names_file.write_text(f"[derived]\n{content}\n")
    with pytest.raises(error, match=message):
        read_names_file(names_file)
