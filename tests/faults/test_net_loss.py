"""Whatever goes wrong on the way, every site ends with the bits of a run in which nothing did."""

from faults.net_loss import PAIRS, Seeded


def test_lossy_repeating_disordered_lines_change_no_bit(promise):
    assert promise("loss").counts["real"] == 1


def test_seeds_cover_all_pairs_with_three_four_and_five_sites():
    assert len({(Seeded(seed).pair, Seeded(seed).count) for seed in range(24)}) == 3 * len(PAIRS)
