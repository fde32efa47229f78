"""A site's folder keeps its key to itself, and an approval is of these bytes and no others."""

import errno
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gossamer.documents import parse_toml
from gossamer.errors import ConfigurationError, DiskFullError, IdentityError, StorageError, UsageError
from gossamer.runtime.audit_chain import LOG
from gossamer.runtime.card import read_card
from gossamer.runtime.federation_file import add_site, new_federation, read_federation
from gossamer.runtime.site_folder import APPROVED, CARD, SETTINGS, TLS, SiteFolder, SiteSettings, init_site


@pytest.fixture
def site(tmp_path):
    settings = SiteSettings(name="unito", data="/data/ct", listen="[::]:7443", address="gossamer.example:7443")
    return init_site(tmp_path / "unito", settings)


@pytest.fixture
def file(tmp_path, site):
    path = tmp_path / "fed.toml"
    new_federation(path, "First", ("Brainstem",), rounds=7, local_steps=5)
    add_site(path, read_card(site.path / CARD))
    return path


def test_a_site_is_found_again_as_it_was_made(site):
    again = SiteFolder(site.path)
    assert again.settings == site.settings
    assert again.identity.site_id == site.identity.site_id
    assert again.tls == site.tls


def test_only_the_owner_reads_keys_and_looks_into_the_folder(site):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in site.path.iterdir()}
    secret = {name for name, mode in modes.items() if mode & 0o077 == 0}
    holds_key = {path.name for path in site.path.iterdir() if "PRIVATE KEY" in path.read_text()}
    assert holds_key == {"identity.key", TLS}
    assert secret == holds_key | {SETTINGS, LOG}  # a mailbox's password, and what the site did
    assert stat.S_IMODE(site.path.stat().st_mode) == 0o700


def test_the_card_is_enough_for_the_roster_and_holds_no_secret(site):
    card = read_card(site.path / CARD)
    assert (card.name, card.address, card.site_id) == ("unito", "gossamer.example:7443", site.identity.site_id)


def test_a_folder_holds_one_site(site):
    with pytest.raises(UsageError, match="found a site"):
        init_site(site.path, site.settings)


@pytest.mark.parametrize("name", ["identity.key", "identity.pem", CARD, TLS, LOG, SETTINGS])
def test_a_disk_that_fills_up_leaves_no_half_of_a_site_and_the_same_command_again_makes_it(
    tmp_path, site, monkeypatch, name
):
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "of somebody else").touch()
    real = os.open

    def fail(path, *arguments, **more):
        if str(path) in (str(folder / name), str(folder / f".{name}.part")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, *arguments, **more)

    with monkeypatch.context() as full:
        full.setattr(os, "open", fail)
        with pytest.raises(DiskFullError):
            init_site(folder, site.settings)
    assert [path.name for path in folder.iterdir()] == ["of somebody else"]
    assert init_site(folder, site.settings).tls


def test_an_approval_that_cannot_be_read_is_told(site, file):
    (site.path / APPROVED).mkdir()
    with pytest.raises(StorageError, match=r"wanted to read approved\.toml"):
        site.require_approved(read_federation(file))
    (site.path / APPROVED).rmdir()
    (site.path / APPROVED).write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"approved\.toml"):
        site.require_approved(read_federation(file))


def test_a_renewed_certificate_is_seen_at_once_by_who_has_the_folder_open(site):
    before = site.tls
    SiteFolder(site.path).renew(datetime.now(UTC) + timedelta(days=50))
    assert site.tls.ends - before.ends > timedelta(days=49)
    assert site.tls.key_pem != before.key_pem


@pytest.mark.parametrize(
    ("days", "words"),
    [(0, None), (59, None), (61, "expires in 28 days"), (89, "in 0 days"), (100, "expired 10 days ago")],
)
def test_the_end_of_the_certificate_is_announced_a_month_ahead(site, days, words):
    said = site.expiry(datetime.now(UTC) + timedelta(days=days))
    assert said is None if words is None else (words in said and "gossamer site renew" in said)


@pytest.mark.parametrize("content", [None, "", "nonsense"])
def test_a_lost_certificate_is_made_anew_by_renewing(site, content):
    (site.path / TLS).unlink() if content is None else (site.path / TLS).write_text(content)
    with pytest.raises(IdentityError, match="gossamer site renew"):
        _ = site.tls
    site.renew()
    assert site.tls


def test_what_was_approved_is_these_bytes_and_no_others(site, file):
    federation = read_federation(file)
    with pytest.raises(ConfigurationError, match="found none"):
        site.require_approved(federation)
    assert site.approve(federation).name == "unito"
    site.require_approved(federation)
    file.write_text(file.read_text() + "\n")
    with pytest.raises(ConfigurationError, match=f"found that of {federation.sha256[:12]}"):
        site.require_approved(read_federation(file))


def test_a_site_approves_only_where_it_stands_under_its_own_name(site, file, tmp_path):
    file.write_text(file.read_text().replace('name = "unito"', 'name = "turin"'))
    with pytest.raises(ConfigurationError, match="'unito'; found 'turin'"):
        site.approve(read_federation(file))
    other = init_site(tmp_path / "other", SiteSettings(name="other", data="."))
    with pytest.raises(ConfigurationError, match="add-site"):
        other.approve(read_federation(file))
    assert site.approved() is other.approved() is None


def test_no_site_no_folder(tmp_path):
    with pytest.raises(UsageError, match="gossamer site init"):
        SiteFolder(tmp_path)


def test_the_example_on_the_reference_page_is_a_file_that_can_be_read():
    page = (Path(__file__).parents[2] / "docs/reference/site-file.md").read_text(encoding="utf-8")
    text = page.split("```toml\n")[1].split("```")[0]
    settings = parse_toml(text, SiteSettings, "site.toml")
    assert (settings.name, settings.smallest_count) == ("north", 10)
    assert settings.mailbox.address.startswith("sftp://")
