"""Frames and files that were tampered with."""


def test_nothing_that_was_tampered_with_crashes_hangs_or_is_accepted(promise):
    counts = promise("hostile").counts
    assert counts["crashes"] == counts["hangs"] == counts["acceptances"] == 0
