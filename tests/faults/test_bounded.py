"""The campaign of ``faults/bounded.py`` in its small size."""


def test_memory_files_and_disk_stay_as_they_are(promise):
    promise("bounded")
