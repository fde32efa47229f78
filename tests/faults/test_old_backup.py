"""The campaign of ``faults/old_backup.py`` in its small size."""


def test_a_site_set_back_to_a_backup_catches_up_or_says_so_and_rolls_nobody_back(promise):
    promise("old-backup")
