"""Whom a relay lets in stands in a file that others cannot read."""

import os

import pytest

from gossamer.errors import ConfigurationError, UsageError
from gossamer.transport.relay_address import host_and_port
from gossamer.transport.relay_admission import admission_line, read_admitted


@pytest.fixture
def admitted(tmp_path):
    """Reads a file of these lines."""

    def read(text, mode=0o600):
        path = tmp_path / "admitted.toml"
        path.write_text(text)
        path.chmod(mode)
        return read_admitted(path)

    return read


def test_secrets_are_made_and_read_each_its_own(admitted):
    lines = [admission_line("north"), admission_line("south")]
    read = admitted("\n".join(lines))
    assert list(read) == ["north", "south"]
    assert len(set(read.values())) == 2
    assert all(f'{label} = "{secret.decode()}"' in lines for label, secret in read.items())


@pytest.mark.parametrize("label", ["two words", "a\nb", '"', "", "x" * 41])
def test_a_label_that_does_not_fit_in_a_line_is_refused(label):
    with pytest.raises(UsageError):
        admission_line(label)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "wanted at least one secret"),
        ('north = "short"', "at least 32 characters"),
        ("north = 5", "valid string"),
        ("north", "wanted TOML"),
    ],
)
def test_a_file_that_lets_everyone_in_or_nobody_is_refused(admitted, text, words):
    with pytest.raises(ConfigurationError, match=words):
        admitted(text)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_file_that_others_can_read_is_refused(admitted):
    with pytest.raises(ConfigurationError, match="found mode 0640"):
        admitted(admission_line("north"), 0o640)


def test_without_a_file_nothing_begins(tmp_path):
    with pytest.raises(UsageError, match="new-secret"):
        read_admitted(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("address", "parts"), [("relay.example:7490", ("relay.example", 7490)), ("[::1]:0", ("::1", 0))]
)
def test_an_address_has_two_parts(address, parts):
    assert host_and_port(address) == parts


@pytest.mark.parametrize("address", ["relay.example", ":7490", "relay.example:", "relay.example:70000", "a:-1"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match="host:port"):
        host_and_port(address)
