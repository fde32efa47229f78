"""``pacs.toml``: what fits, what does not, and that no secret is ever shown or left open."""

import builtins

import pytest

from gossamer.dicom.pacs.base import Query, is_uid, require_packages
from gossamer.dicom.pacs.settings import read_secret, read_settings
from gossamer.errors import ConfigurationError, UnknownKeyError, UsageError

WEB = '[web]\nurl = "https://pacs.example/dicom-web"\n'
DIMSE = '[dimse]\nhost = "pacs.example"\nport = 104\nae_title = "ARCHIVE"\n'


def read(tmp_path, text):
    (tmp_path / "pacs.toml").write_text(text)
    return read_settings(tmp_path / "pacs.toml")


def test_either_protocol_is_described_in_a_few_lines(tmp_path):
    assert read(tmp_path, WEB).web.url == "https://pacs.example/dicom-web"
    dimse = read(tmp_path, DIMSE + "own_port = 11104\nplain_dimse = true\n[watch]\ndays = 1\n").dimse
    assert (dimse.ae_title, dimse.own_ae_title, dimse.own_port) == ("ARCHIVE", "GOSSAMER", 11104)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", "by \\[web\\] or by \\[dimse\\]"),
        (WEB + DIMSE, "by \\[web\\] or by \\[dimse\\]"),
        ("[web]\nurl = 'pacs.example'\n", "found another text"),
        ("[web]\nurl = 'ftp://pacs.example/x'\n", "found another text"),
        ("[web]\nurl = 'http://pacs.example/x'\n", "readable on the way"),
        ("[web]\nurl = 'https://me:s3cret@pacs.example/x'\n", "a user or password in it"),
        (WEB + "user = 'me'\n", "go together"),
        (WEB + "user = 'me'\npassword_file = 'p'\ntoken_file = 't'\n", "without a token_file"),
        (WEB + "user = 'me'\npassword = 's3cret'\n", "did you mean 'password_file'"),
        (WEB + '  token="s3cret"\n', "did you mean 'token_file'"),
        (DIMSE.replace("ARCHIVE", "A" * 17), "ae_title"),
        (DIMSE.replace("104", "0"), "port"),
        (DIMSE + "own_port = 11104\n", "own_port goes with ca_file, certificate_file and key_file.*plain_dimse"),
        (DIMSE + "own_port = 11104\nca_file = 'c'\n", "own_port goes with"),
        (DIMSE + "certificate_file = 'c'\n", "certificate_file and key_file go together"),
        (DIMSE + "plain_dimse = true\nca_file = 'c'\n", "plain_dimse goes without"),
    ],
)
def test_what_does_not_fit_is_named_without_a_secret(tmp_path, text, meant):
    with pytest.raises(ConfigurationError, match=meant) as raised:
        read(tmp_path, text)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "is_plain"),
    [
        (WEB, False),
        ("[web]\nurl = 'http://localhost/x'\n", True),
        (DIMSE, False),
        (DIMSE + "plain_dimse = true\n", True),
    ],
)
def test_line_is_plain_text_only_where_the_file_says_so(tmp_path, text, is_plain):
    assert read(tmp_path, text).is_plain is is_plain


def test_misspelt_key_names_the_nearest(tmp_path):
    with pytest.raises(UnknownKeyError, match="did you mean 'own_ae_title'"):
        read(tmp_path, DIMSE + "own_aetitle = 'US'\n")
    with pytest.raises(UsageError, match="found none that can be read"):
        read_settings(tmp_path / "other" / "pacs.toml")


@pytest.mark.parametrize("host", ["127.0.0.1:8042", "localhost", "[::1]:8042"])
def test_http_is_for_this_machine_or_said_aloud(tmp_path, host):
    assert read(tmp_path, f"[web]\nurl = 'http://{host}/dicom-web'\n").web.user is None
    assert read(tmp_path, "[web]\nurl = 'http://pacs.example/x'\nplain_http = true\n").web.plain_http


def test_secret_is_its_owners_alone_and_never_shown(tmp_path):
    path = tmp_path / "s3cret"
    with pytest.raises(ConfigurationError, match="none that can be read") as absent:
        read_secret(path)
    path.write_text(" s3cret\n")
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="mode 0640") as open_to_others:
        read_secret(path)
    assert "s3cret" not in f"{absent.value} {open_to_others.value}"
    path.chmod(0o600)
    assert read_secret(path) == "s3cret"


def test_missing_packages_name_the_extra(monkeypatch):
    def without(name, *rest, real=builtins.__import__, **more):
        if name.startswith(("pynetdicom", "dicomweb_client")):
            raise ImportError(name)
        return real(name, *rest, **more)

    def import_module(name):
        return without(name)

    monkeypatch.setattr("gossamer.dicom.pacs.base.import_module", import_module)
    with pytest.raises(ConfigurationError, match=r"pip install 'gossamer\[pacs\]'"):
        require_packages()


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        *(("1.2.840.10008", True), ("0.0", True), ("1.02", False), ("1", False), ("1.2\n", False), ("١.٢", False)),
        *(("1." + "2" * 62, True), ("1." + "2" * 63, False)),
    ],
)
def test_uid_is_told_by_the_standards_rule(text, is_one):
    assert is_uid(text) is is_one


@pytest.mark.parametrize(
    "query", [{"study_uid": "1.2/3"}, {"series_uid": "*"}, {"patient_id": "A*"}, {"patient_id": "A\\B"}]
)
def test_query_takes_no_wildcards(query):
    with pytest.raises(UsageError):
        Query(**query)
