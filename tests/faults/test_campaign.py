"""Seeded campaign: whatever goes wrong on the way, every site ends with the bits of a run in which nothing did.

Each seed draws its own loss (up to 40 % a line), repeats, jitter, slow uplinks, three outages, and two power cuts a
site. A failure repeats with its seed: ``pytest "tests/faults/test_campaign.py::<name>[seed-7]"``.
"""

import pytest

SEEDS = range(24)
"""Three, four and five sites with each of the eight pairs of algorithm and topology, once."""


def bits(models):
    return {
        site: {name: tensor.numpy().tobytes() for name, tensor in model.items()}
        for site, model in sorted(models.items())
    }


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}")
def test_faulty_run_ends_with_the_clean_runs_bits(campaign, seed):
    clean_rounds, rounds = [], []
    clean = campaign(seed).clean().run(clean_rounds.append)
    simulation = campaign(seed).faulty()
    result = simulation.run(rounds.append)
    assert bits(result.params) == bits(clean.params)
    assert [(each.round_index, bits(each.params), each.loss) for each in rounds] == [
        (each.round_index, bits(each.params), each.loss) for each in clean_rounds
    ]
    # Nothing is left behind: no share without a receipt, none that waits to be absorbed.
    live = [site.node.snapshot() for site in simulation._sites.values() if site.node]
    assert all((each.inbox, each.outstanding) == ({}, ()) for each in live if each.phase == "finished")
    assert not any(result.refusals.values())
    # And the faults did happen.
    assert sum(result.bytes_sent.values()) > sum(clean.bytes_sent.values())
    assert result.virtual_s > clean.virtual_s
    assert sum(site.life for site in simulation._sites.values()) > len(simulation._sites)


def test_seeds_cover_all_pairs_with_three_four_and_five_sites(campaign):
    drawn = {(campaign(seed).pair, campaign(seed).count) for seed in SEEDS}
    assert len(drawn) == 24
