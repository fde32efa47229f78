"""Many sites in one process: memory grows with their models and with nothing else."""

import gc

import torch

MODEL = 5_000
"""Numbers of a model's body: 20 kB, next to which everything else of a site is small."""


def live_bytes():
    """Of all tensors that exist, each memory once: ``tracemalloc`` does not see torch."""
    storages = {
        each.untyped_storage().data_ptr(): each.untyped_storage().nbytes()
        for each in gc.get_objects()
        if type(each) is torch.Tensor
    }
    return sum(storages.values())


def most_bytes(simulation, plain, count):
    """Peak over a run of two rounds, looked at all along, above what there was before."""
    gc.collect()
    before, most, steps = live_bytes(), 0, 0
    federation = simulation("sweep", "hypercube", count, rounds=2, trainer=plain, size=MODEL)
    while federation.step():
        steps += 1
        if steps % (8 * count) == 0:
            most = max(most, live_bytes() - before)
    assert len(federation.result().params) == count
    return most


def test_256_sites_take_four_times_the_memory_of_64_and_a_few_models_each(simulation, plain):
    few, many = (most_bytes(simulation, plain, count) for count in (64, 256))
    assert many < 4.2 * few
    # A site's own model, what it was before an exchange while receipts are due, and a share or two under way.
    assert many < 256 * 4 * MODEL * 4
