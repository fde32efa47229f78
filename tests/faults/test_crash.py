"""The campaign of ``faults/crash.py`` in its small size; and it does find a site that breaks its word."""

from dataclasses import replace

from faults import crash


def test_a_killed_site_loses_and_repeats_nothing(promise):
    promise("crash")


def test_a_site_that_promises_before_it_writes_is_found_out(tmp_path, monkeypatch):
    plan = crash.Plan
    monkeypatch.setattr(crash, "Plan", lambda **settings: replace(plan(**settings), writes_late=True))
    monkeypatch.setattr(crash, "LONGEST_S", 2.0)  # sites that have lost what they promised may wait for ever
    found = crash.crash(4, 0, tmp_path)
    assert not found.holds
    assert found.counts["lost"]
