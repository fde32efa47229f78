from math import inf, sqrt

import pytest
import torch

from gossamer.gossip import Mass, consensus_distance, weighted_mean


def test_distance_by_hand():
    # Mean (3, 4), norm 5; the sites lie 1 and 1 away from it.
    sites = [{"x": torch.tensor([2.0]), "y": torch.tensor([4.0])}, {"x": torch.tensor([4.0]), "y": torch.tensor([4.0])}]
    assert consensus_distance(sites) == pytest.approx(1 / 5)


def test_distance_is_root_mean_square_over_sites():
    sites = [{"x": torch.tensor([value])} for value in (1.0, 1.0, 4.0)]
    assert consensus_distance(sites) == pytest.approx(sqrt((1 + 1 + 4) / 3) / 2)


def test_sites_that_agree_are_at_distance_zero():
    site = {"x": torch.tensor([0.1, 0.2, 0.3])}
    assert consensus_distance([site] * 2) == 0
    assert consensus_distance([{"x": torch.zeros(3)}] * 4) == 0


def test_distance_about_a_mean_of_zero_is_infinite():
    assert consensus_distance([{"x": torch.tensor([1.0])}, {"x": torch.tensor([-1.0])}]) == inf


def test_weighted_mean_by_hand():
    masses = [Mass(1.0, {"head": (1.0, 0.0, 0.0)}), Mass(3.0, {"head": (1.0, 2.0, 0.0)})]
    params = [
        {"body": torch.tensor([[2.0, 0.0]]), "scale": torch.tensor(4.0), "head": torch.tensor([1.0, 1.0, 1.0])},
        {"body": torch.tensor([[6.0, 8.0]]), "scale": torch.tensor(8.0), "head": torch.tensor([3.0, 3.0, 3.0])},
    ]
    mean = weighted_mean(params, masses)
    assert mean["body"].tolist() == [[5.0, 6.0]]
    assert mean["scale"].item() == 7.0
    assert mean["head"].tolist() == [2.0, 3.0, 1.0]
    assert mean["body"].dtype == torch.float32
