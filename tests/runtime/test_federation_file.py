"""One file, the same bytes at every site; what cannot be agreed on is refused before anybody approves it."""

import pytest

from gossamer.errors import ConfigurationError, IdentityError, UnknownKeyError, UnknownStructureError, UsageError
from gossamer.runtime.card import Member, card_text, read_card
from gossamer.runtime.federation_file import add_site, new_federation, read_federation
from gossamer.transport.identity import new_identity

IDENTITIES = {name: new_identity(name) for name in ("mount-sinai", "unito", "leuven")}


def member(name, address=None, certificate_of=None):
    return Member(name=name, address=address, certificate=IDENTITIES[certificate_of or name].pem)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "fed.toml"
    new_federation(path, 'The "first"', ("Brainstem", "Parotid_L"), rounds=7, local_steps=5)
    return path


def test_a_new_file_says_what_it_was_given_and_has_no_sites(file):
    settings = read_federation(file).settings
    assert (settings.title, settings.structures) == ("The 'first'", ("Brainstem", "Parotid_L"))
    assert (settings.rounds, settings.local_steps, settings.sites) == (7, 5, ())


def test_a_file_is_not_written_over(file):
    with pytest.raises(UsageError, match="choose another name"):
        new_federation(file, "x", ("Brainstem",), rounds=1, local_steps=1)


def test_sites_are_added_by_their_cards_and_comments_stay(file, tmp_path):
    before = file.read_text()
    for card in (member("mount-sinai", "gossamer.example:7443"), member("unito")):
        (tmp_path / "card.toml").write_text(card_text(card))
        federation = add_site(file, read_card(tmp_path / "card.toml"))
    assert file.read_text().startswith(before.rstrip())
    assert [(m.name, m.address) for m in federation.settings.sites] == [
        ("mount-sinai", "gossamer.example:7443"),
        ("unito", None),
    ]
    assert federation == read_federation(file)
    assert federation.member(IDENTITIES["unito"].site_id).name == "unito"


def test_a_second_site_whose_certificate_bears_the_name_of_a_first_is_refused(file):
    """TLS would look for the first one's signature under the second one's, and shut one of them out."""
    add_site(file, member("unito"))
    posing = Member(name="turin", address=None, certificate=new_identity("Unito").pem)
    with pytest.raises(ConfigurationError, match="names in their certificates"):
        add_site(file, posing)


def test_any_other_byte_is_another_federation(file):
    before = read_federation(file).sha256
    file.write_text(file.read_text() + "# a word\n")
    assert read_federation(file).sha256 != before


@pytest.mark.parametrize(
    ("card", "words"),
    [(member("mount-sinai", certificate_of="leuven"), "different names"), (member("leuven", None, "unito"), "keys")],
)
def test_a_site_is_added_once_under_one_name_and_key(file, card, words):
    add_site(file, member("mount-sinai"))
    add_site(file, member("unito"))
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match=rf"fed.toml: .*{words}"):
        add_site(file, card)
    assert file.read_bytes() == before


def test_a_site_that_is_not_in_the_roster_is_told_how_to_get_there(file):
    add_site(file, member("unito"))
    with pytest.raises(ConfigurationError, match=r"found unito there.*add-site"):
        read_federation(file).member(IDENTITIES["leuven"].site_id)


@pytest.mark.parametrize("address", ["hospital", "hospital:", ":7443", "hospital:0", "hospital:70000", "hospital:x"])
def test_an_address_without_host_or_port_is_refused(address):
    with pytest.raises(ValueError, match="host:port"):
        member("unito", address)


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ("rounds = 7", "round = 7", UnknownKeyError, "did you mean 'rounds'"),
        ("rounds = 7", "rounds = 0", ConfigurationError, "rounds"),
        ('"Parotid_L"', '"Parotit_L"', UnknownStructureError, "Parotid_L"),
        ("BEGIN CERTIFICATE", "BEGIN CERTIFICATF", IdentityError, "site unito"),
        ("title =", "title", ConfigurationError, "wanted TOML"),
    ],
)
def test_a_file_that_says_something_wrong_is_refused_with_what(file, old, new, error, words):
    add_site(file, member("unito"))
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(error, match=words):
        read_federation(file)


def test_missing_files_are_said(tmp_path):
    with pytest.raises(UsageError, match="gossamer federation new"):
        read_federation(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="card"):
        read_card(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"')
    with pytest.raises(ConfigurationError, match="UTF-8"):
        read_federation(tmp_path / "latin.toml")
