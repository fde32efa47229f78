"""How sites come to one plan, and what keeps them from beginning."""

import json
from dataclasses import replace

import pytest

from gossamer.data.fingerprint import Fingerprint
from gossamer.errors import NoticeError, PlanError
from gossamer.runtime.federation_file import Federation, FederationSettings
from gossamer.runtime.joining import (
    agreed_plan,
    agreement_hash,
    fingerprints_of,
    join_notice,
    plan_notice,
    require_same_plan,
)


def fingerprint(cases, level):
    """Of cases of 2 x 1 x 1 mm whose structures lie around a level of HU."""
    spacing = ({40: cases}, {20: cases}, {20: cases})
    extent = ({200: cases}, {150: cases}, {150: cases})
    return Fingerprint(cases, {"Liver": cases}, {level - 50: 500, level: 1000, level + 50: 500}, spacing, extent)


SITES = {"A": fingerprint(3, 50), "B": fingerprint(7, 80)}


@pytest.fixture
def federation():
    settings = FederationSettings(title="Two", structures=("Liver",), rounds=1, local_steps=1)
    return Federation(settings, "f" * 64)


def test_all_sites_find_the_same_plan_from_what_they_told(federation):
    told = {site: join_notice(own) for site, own in SITES.items()}
    there = agreed_plan(federation, fingerprints_of(told))
    assert there == agreed_plan(federation, SITES)
    require_same_plan(there, {site: plan_notice(there) for site in SITES})


def test_a_site_with_another_plan_is_named_with_its_release(federation):
    plan = agreed_plan(federation, SITES)
    with pytest.raises(PlanError, match=r"at site B \(release "):
        require_same_plan(plan, {"A": plan_notice(plan), "B": plan_notice(replace(plan, hu_mean=1.0))})


def test_another_plan_is_another_agreement(federation):
    plan = agreed_plan(federation, SITES)
    assert agreement_hash(federation, plan) != agreement_hash(federation, replace(plan, hu_mean=1.0))
    assert agreement_hash(federation, plan) != agreement_hash(replace(federation, sha256="0" * 64), plan)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"{}",
        b'{"release": "1", "fingerprint": {}}',
        json.dumps({"release": "1" * 41, "fingerprint": {}}).encode(),
        join_notice(SITES["A"]).replace(b'"cases":3', b'"cases":-3'),
    ],
    ids=["empty", "not text", "nothing in it", "no fingerprint", "a long release", "a negative count"],
)
def test_a_site_that_tells_something_else_is_named(content):
    with pytest.raises(NoticeError, match="site B"):
        fingerprints_of({"A": join_notice(SITES["A"]), "B": content})
