"""Networks fall apart and heal, sites go and come back."""


def test_both_sides_train_on_and_heal_within_two_rounds(promise):
    counts = promise("partition").counts
    assert all(counts[kind] for kind in ("2|2", "3|1", "one-way", "flapping"))


def test_a_site_that_was_away_for_days_catches_up(promise):
    assert promise("rejoin").counts["days"] > 1
