"""Keys and certificates: each way in which they can be wrong has its finding, and its remedy."""

from datetime import UTC, datetime, timedelta

import pytest

from gossamer.runtime.preflight.certificates import check_keys, check_settings
from gossamer.runtime.site_folder import SETTINGS, TLS
from gossamer.transport.identity import KEY, new_identity, new_tls_certificate

NOW = datetime.now(UTC)


def keys(site, days=0):
    _, findings = check_keys(site.path, NOW + timedelta(days=days))
    return {(each.check, each.state): each for each in findings}


def test_a_sound_site_has_nothing_but_ok(pair):
    settings, findings = check_settings(pair.a.path)
    assert settings == pair.a.settings
    assert [each.state for each in findings] == ["ok"]
    assert {state for _, state in keys(pair.a)} == {"ok"}


def test_a_folder_without_a_site_is_said(tmp_path):
    settings, [finding] = check_settings(tmp_path)
    assert settings is None
    assert (finding.state, finding.code) == ("fault", "GOS-200")
    assert "gossamer site init" in finding.remedy


def test_settings_with_a_misspelt_key_are_said(pair):
    (pair.a.path / SETTINGS).write_text('name = "a"\ndata = "d"\nadress = "x:1"\n')
    _, [finding] = check_settings(pair.a.path)
    assert (finding.state, finding.code) == ("fault", "GOS-401")
    assert "'address'" in finding.found + finding.remedy


def test_a_key_that_others_can_read_is_a_fault(pair):
    (pair.a.path / KEY).chmod(0o644)
    site, [finding] = check_keys(pair.a.path, NOW)
    assert site is None
    assert (finding.state, finding.code) == ("fault", "GOS-405")
    assert "0644" in finding.found
    assert "chmod 600" in finding.remedy


def test_a_certificate_s_key_that_others_can_read_is_a_fault(pair):
    (pair.a.path / TLS).chmod(0o640)
    found = keys(pair.a)["private files", "fault"]
    assert "0640" in found.found
    assert "gossamer site renew" in found.remedy


def test_a_folder_that_others_can_look_into_is_a_warning(pair):
    pair.a.path.chmod(0o755)
    assert "chmod 700" in keys(pair.a)["private files", "warning"].remedy


@pytest.mark.parametrize(
    ("days", "state", "words"),
    [(50, "ok", "good until"), (70.5, "warning", "expires in 19 days"), (100.5, "fault", "expired 10 days ago")],
)
def test_the_end_of_the_certificate_is_announced_a_month_ahead(pair, days, state, words):
    found = keys(pair.a, days)["certificate", state]
    assert words in found.found
    assert found.remedy == ("" if state == "ok" else "gossamer site renew")


def test_a_clock_that_is_behind_is_a_fault(pair):
    assert "clock" in keys(pair.a, -3)["certificate", "fault"].remedy


def test_an_identity_near_its_end_is_said(pair):
    assert "new site" in keys(pair.a, 3640)["key", "warning"].remedy
    assert "expired" in keys(pair.a, 3660)["key", "fault"].found


def test_a_certificate_of_another_key_is_a_fault(pair):
    tls = new_tls_certificate(new_identity("a"))
    (pair.a.path / TLS).write_bytes(tls.key_pem + tls.chain_pem)
    assert "not signed by this site's key" in keys(pair.a)["certificate", "fault"].found


def test_a_certificate_with_another_s_private_key_is_a_fault(pair):
    (pair.a.path / TLS).write_bytes(pair.b.tls.key_pem + pair.a.tls.chain_pem)
    assert keys(pair.a)["certificate", "fault"].code == "GOS-405"


def test_a_lost_certificate_is_a_fault_that_renewing_mends(pair):
    (pair.a.path / TLS).unlink()
    assert "gossamer site renew" in keys(pair.a)["certificate", "fault"].remedy
    pair.a.renew()
    assert ("certificate", "ok") in keys(pair.a)
