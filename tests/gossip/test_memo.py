"""What is recalled is what computing anew would give."""

import gc

import torch

from gossamer.gossip.algorithm import Mass
from gossamer.gossip.memo import TensorMemo
from gossamer.gossip.merge import merge


def test_same_tensors_give_the_same_result_and_others_none():
    memo = TensorMemo()
    a, b, mean = torch.ones(3), torch.zeros(3), torch.full((3,), 0.5)
    memo.note([a, b], mean, 0.5)
    assert memo.recall([a, b], 0.5) is mean
    assert memo.recall([b, a], 0.5) is None
    assert memo.recall([a, b], 0.25) is None
    assert memo.recall([a.clone(), b], 0.5) is None


def test_a_tensor_that_was_changed_in_place_is_not_recalled():
    memo = TensorMemo()
    a, mean = torch.ones(3), torch.full((3,), 0.5)
    memo.note([a], mean)
    a.add_(1)
    assert memo.recall([a]) is None
    memo.note([a], mean)
    mean.add_(1)
    assert memo.recall([a]) is None


def test_nothing_is_kept_alive():
    memo = TensorMemo()
    a, mean = torch.ones(3), torch.full((3,), 0.5)
    memo.note([a], mean)
    del mean
    gc.collect()
    assert memo.recall([a]) is None
    del a
    gc.collect()
    assert len(memo) == 0


def test_tensors_without_versions_are_computed_anew():
    memo = TensorMemo()
    with torch.inference_mode():
        a = torch.ones(3)
        memo.note([a], a)
        assert memo.recall([a]) is None


def test_two_sites_that_merge_the_same_tensors_share_the_mean_and_a_copy_gives_its_bits():
    generator = torch.Generator().manual_seed(0)
    params = [{"w": torch.randn(50, generator=generator)} for _ in range(3)]
    masses = [Mass(float(m)) for m in (14, 3, 9)]
    first = merge(params, masses, 0)["w"]
    assert merge(params, masses, 2)["w"] is first
    copies = [{"w": each["w"].clone()} for each in params]
    anew = merge(copies, masses, 1)["w"]
    assert anew is not first
    assert torch.equal(anew, first)
