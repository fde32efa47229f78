"""The campaign of ``faults/every_call.py`` in its small size."""


def test_a_site_killed_at_any_step_of_an_exchange_loses_nothing(promise):
    promise("every-call")
