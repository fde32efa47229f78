"""The federation file: read, with this site in it, approved to the byte."""

from datetime import UTC, datetime, timedelta

import pytest

from gossamer.runtime.federation_file import new_federation, read_federation
from gossamer.runtime.preflight.agreement import check_federation, check_membership

NOW = datetime.now(UTC)


def membership(site, file, days=0):
    return check_membership(site, read_federation(file), NOW + timedelta(days=days))


def test_an_approved_file_with_this_site_in_it_is_well(pair):
    federation, [finding] = check_federation(pair.file)
    assert federation == pair.federation
    assert (finding.state, "2 sites" in finding.found) == ("ok", True)
    assert [(each.check, each.state) for each in membership(pair.a, pair.file)] == [
        ("roster", "ok"),
        ("approval", "ok"),
    ]


def test_a_file_that_is_missing_or_wrong_is_a_fault(pair, tmp_path):
    assert check_federation(tmp_path / "none.toml")[1][0].code == "GOS-200"
    pair.file.write_text(pair.file.read_text().replace("rounds =", "round ="))
    assert check_federation(pair.file)[1][0].code == "GOS-401"


def test_a_file_that_was_changed_after_its_approval_is_a_fault(pair):
    pair.file.write_text(pair.file.read_text() + "\n")
    [_, approval] = membership(pair.a, pair.file)
    assert (approval.check, approval.state, approval.code) == ("approval", "fault", "GOS-400")
    assert "gossamer federation approve" in approval.remedy


def test_a_roster_without_this_site_is_a_fault(pair, tmp_path):
    new_federation(tmp_path / "other.toml", "Other", ("Brainstem",), rounds=1, local_steps=1)
    [finding] = membership(pair.a, tmp_path / "other.toml")
    assert (finding.check, finding.state) == ("roster", "fault")
    assert "add-site" in finding.remedy


def test_another_name_in_the_roster_is_a_fault_and_another_address_a_warning(pair):
    text = pair.file.read_text()
    pair.file.write_text(text.replace('name = "a"', 'name = "z"'))
    assert membership(pair.a, pair.file)[0].state == "fault"
    pair.file.write_text(text.replace(pair.a.settings.address, "elsewhere.example:1"))
    moved = membership(pair.a, pair.file)[0]
    assert (moved.state, moved.code) == ("warning", "GOS-400")
    assert "elsewhere.example:1" in moved.found


@pytest.mark.parametrize(("days", "state"), [(3640, "warning"), (3660, "fault")])
def test_another_s_identity_near_its_end_is_said_with_its_name(pair, days, state):
    *_, aging = membership(pair.a, pair.file, days)
    assert (aging.state, aging.subject, aging.code) == (state, "b", "GOS-405")
