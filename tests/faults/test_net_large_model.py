"""A model outlives the connections that carry it."""


def test_a_large_model_arrives_over_a_slow_line_that_is_cut_twice_a_second(promise):
    """24 MB at 8 MB/s, cut every 4 MB; ``make faults`` does a gigabyte."""
    assert promise("large-model").counts["cuts"] >= 5
