"""The campaign of ``faults/flips.py`` in its small size."""


def test_a_flipped_bit_is_found_or_has_no_effect(promise):
    promise("flips")
