"""The campaigns of ``faults/disk_errors.py`` in their small size."""


def test_a_disk_that_fails_at_any_call_stops_the_site_with_its_number(promise):
    found = promise("disk-errors")
    assert found.counts["clean"] == found.counts["tried"] > 0


def test_a_full_disk_stops_the_site_and_with_room_it_goes_on(promise):
    assert promise("disk-full").counts["clean"] == 1
