"""``gossamer audit``, as whoever audits a site types it."""

import json

import pytest

from gossamer.runtime.audit import AuditLog
from gossamer.runtime.audit_chain import LOG
from gossamer.runtime.audit_entries import Joined, Refused
from gossamer.transport.identity import new_identity, write_identity


@pytest.fixture
def empty(tmp_path):
    """A site's folder with its identity, and no log yet."""
    write_identity(new_identity("unito"), tmp_path)
    return tmp_path


@pytest.fixture
def site(tmp_path):
    """One with a log of four records."""
    identity = new_identity("unito")
    write_identity(identity, tmp_path)
    log = AuditLog(tmp_path, identity)
    for peer in ("maastro", "[red]mskcc"):
        log.note(Joined(peer=peer, federation="ab" * 32))
    log.sign()
    log.note(Refused(peer="maastro", code="GOS-502", reason="\x1b[31mnan", times=1))
    return tmp_path


@pytest.fixture
def gossamer_audit(run_main, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    return lambda *words: run_main("audit", *words)


def test_a_sound_log_is_said_to_be_and_shows_its_head(site, gossamer_audit):
    status, out, err = gossamer_audit("verify", "--folder", site)
    assert status == 0
    assert out.startswith("4:")
    assert "Sound: 4 records, the first 2 of them under this site's signature" in err
    assert gossamer_audit("verify", "--folder", site, "--head", out.strip())[0] == 0


def test_a_damaged_line_is_named_and_ends_with_the_status_of_storage(site, gossamer_audit):
    lines = (site / LOG).read_bytes().splitlines(keepends=True)
    (site / LOG).write_bytes(lines[0] + lines[2] + lines[3])
    status, out, err = gossamer_audit("verify", "--folder", site)
    assert (status, out) == (6, "")
    assert "GOS-601" in err
    assert "in line 2 of audit.jsonl" in err


def test_an_end_that_was_cut_off_is_found_with_the_head_of_before(site, gossamer_audit):
    _, head, _ = gossamer_audit("verify", "--folder", site)
    (site / LOG).write_bytes(b"".join((site / LOG).read_bytes().splitlines(keepends=True)[:-1]))
    assert gossamer_audit("verify", "--folder", site)[0] == 0
    status, _, err = gossamer_audit("verify", "--folder", site, "--head", head)
    assert status == 6
    assert "cut off" in err


def test_records_are_shown_with_the_words_of_peers_as_they_are(site, gossamer_audit):
    status, out, _ = gossamer_audit("show", "--folder", site)
    assert status == 0
    assert "[red]mskcc" in out
    assert "\\x1b[31mnan" in out
    assert "\x1b[31m" not in out


def test_json_has_every_field(site, gossamer_audit):
    status, out, _ = gossamer_audit("show", "--folder", site, "--json")
    assert status == 0
    rows = json.loads(out)
    assert [row["kind"] for row in rows] == ["joined", "joined", "checkpoint", "refused"]
    assert rows[0]["fields"] == {"peer": "maastro", "federation": "ab" * 32}
    assert rows[1]["before"] == rows[0]["sha256"]


def test_of_a_damaged_log_the_records_before_are_shown(site, gossamer_audit):
    content = (site / LOG).read_bytes()
    (site / LOG).write_bytes(content.replace(b"[31m", b"[32m"))
    status, out, err = gossamer_audit("show", "--folder", site, "--json")
    assert status == 6
    assert len(json.loads(out)) == 3
    assert "in line 4" in err


@pytest.mark.parametrize("command", ["verify", "show"])
def test_no_log_is_said_in_words(command, empty, gossamer_audit):
    status, out, err = gossamer_audit(command, "--folder", empty)
    assert (status, out) == (2, "")
    assert "it begins with the site's service" in err


def test_what_is_no_head_is_a_wrong_call(site, gossamer_audit):
    assert gossamer_audit("verify", "--folder", site, "--head", "4")[0] == 2
