"""Whoever is no member, or says what no member says, is refused with a reason that the audit log has."""


def test_more_than_twenty_kinds_of_strangers_are_refused_each_with_its_reason(promise):
    assert promise("identity").counts["kinds"] >= 20
