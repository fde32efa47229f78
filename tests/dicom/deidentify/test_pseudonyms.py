import pytest

from gossamer.dicom.deidentify.pseudonyms import Pseudonyms
from gossamer.errors import DatasetError


def test_a_patient_has_the_same_pseudonym_at_each_import_of_a_site(tmp_path):
    key = tmp_path / "pseudonyms.key"
    assert Pseudonyms.kept_in(key).of("123") == Pseudonyms.kept_in(key).of("123")
    assert key.stat().st_mode & 0o777 == 0o600


def test_another_key_or_patient_gives_another_pseudonym():
    one, other = Pseudonyms(bytes(32)), Pseudonyms(bytes(31) + b"1")
    assert len({one.of("123"), one.of("124"), other.of("123")}) == 3


def test_a_pseudonym_is_safe_as_a_folder_and_holds_nothing_of_the_patient():
    found = Pseudonyms(bytes(32)).of("../../PATIENT^NAME/123")
    assert found.isalnum()
    assert found == found.lower()
    assert "123" not in found


@pytest.mark.parametrize("content", ["", "abc", "zz" * 32])
def test_a_damaged_key_is_refused_and_not_made_anew(tmp_path, content):
    key = tmp_path / "pseudonyms.key"
    key.write_text(content)
    with pytest.raises(DatasetError, match="key"):
        Pseudonyms.kept_in(key)
    assert key.read_text() == content
