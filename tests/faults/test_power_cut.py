"""The campaign of ``faults/power_cut.py`` in its small size."""


def test_a_power_cut_loses_nothing_that_was_kept_and_without_fsync_it_does(promise):
    promise("power-cut")
