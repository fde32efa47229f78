"""What one bad site of four can do."""


def test_no_forged_share_drives_honest_sites_below_training_alone(promise):
    found = promise("one-bad-site")
    assert found.counts["asynchronous"] < 0.4
