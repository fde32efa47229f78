"""A folder on this machine, and the addresses of others."""

import os

import pytest

from gossamer.errors import ConfigurationError, UnknownKeyError
from gossamer.transport import store_address
from gossamer.transport.store_address import store_opener
from gossamer.transport.stores import LocalStore


@pytest.fixture
def shared(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


def test_a_link_in_the_folder_makes_a_site_overwrite_nothing_elsewhere(shared, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    store = LocalStore(shared)
    store.write("box/letter-0", b"first")
    (shared / "box" / "letter-0").unlink()
    for name in ("letter-0", ".letter-0.part"):
        (shared / "box" / name).symlink_to(precious)
    store.write("box/letter-0", b"second")
    assert precious.read_text() == "mine"
    assert store.read("box/letter-0", 100) == b"second"
    (shared / "other").symlink_to(tmp_path)
    with pytest.raises(OSError, match="other"):
        store.write("other/precious", b"third")
    assert precious.read_text() == "mine"


def test_anything_but_a_plain_file_reads_as_empty_and_is_not_waited_for(shared, tmp_path):
    (tmp_path / "precious").write_text("mine")
    (shared / "box").mkdir()
    (shared / "box" / "link").symlink_to(tmp_path / "precious")
    (shared / "box" / "folder").mkdir()
    os.mkfifo(shared / "box" / "pipe")
    for name in ("link", "folder", "pipe"):
        assert LocalStore(shared).read(f"box/{name}", 100) == b""


def test_no_more_is_read_than_was_asked_for(shared):
    store = LocalStore(shared)
    assert store.read("box/letter-0", 5) is None
    store.write("box/letter-0", b"0123456789")
    assert store.read("box/letter-0", 5) == b"01234"
    assert store.size_bytes("box/letter-0") == 10
    store.remove("box/letter-0")
    store.remove("box/letter-0")
    assert store.size_bytes("box/letter-0") is None


def test_an_address_with_spaces_is_read(tmp_path):
    folder = tmp_path / "shared folder"
    folder.mkdir()
    store = store_opener(folder.as_uri())()
    store.write("box/letter-0", b"x")
    assert (folder / "box" / "letter-0").read_bytes() == b"x"


@pytest.mark.parametrize("url", ["ftp://host/path", "/srv/exchange", "http://host/path", ""])
def test_an_address_of_another_kind_is_refused(url):
    with pytest.raises(ConfigurationError, match="wanted an address that begins with file://"):
        store_opener(url)


@pytest.mark.parametrize(
    ("url", "extra"), [("sftp://host/path", "sftp"), ("s3://bucket/prefix", "s3"), ("webdav://host/path", "webdav")]
)
def test_a_missing_driver_says_what_to_install(monkeypatch, url, extra):
    def fail(name):
        raise ImportError(name)

    monkeypatch.setattr(store_address, "import_module", fail)
    with pytest.raises(ConfigurationError, match=rf"pip install 'gossamer\[{extra}\]'"):
        store_opener(url)


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(UnknownKeyError, match="did you mean 'password'"):
        store_opener("sftp://host/path", {"pasword": "x"})
    with pytest.raises(UnknownKeyError):
        store_opener("file:///srv", {"password": "x"})
