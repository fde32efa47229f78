"""A peer that hangs keeps nobody, and a clock that jumps changes nothing."""


def test_beside_a_stopped_or_half_open_peer_a_round_takes_at_most_a_tenth_longer(promise):
    counts = promise("hung").counts
    assert max(counts["stopped"], counts["half-open"]) <= 1.1


def test_a_wall_clock_that_jumps_changes_no_bit(promise):
    promise("clock")
