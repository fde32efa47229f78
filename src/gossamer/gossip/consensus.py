"""How far sites are from each other, and the mean they should agree on, computed in one place and in 64 bits."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor

from gossamer.gossip.algorithm import Mass, Params


def weighted_mean(params: Sequence[Params], masses: Sequence[Mass]) -> Params:
    """The mean of all sites' parameters by mass, straight from its definition: what algorithms are held against.

    Args:
        params: one for each site.
        masses: one for each site. A row whose total is 0 comes from the first site.

    Returns:
        New tensors of the same kind; the sums are 64-bit.
    """
    mean = {}
    for name, first in params[0].items():
        masses_of_rows = [mass.rows.get(name, (mass.body,)) for mass in masses]
        weights = torch.tensor(masses_of_rows, dtype=torch.float64)
        total = weights.sum(0)
        stack = torch.stack([each[name].to("cpu", torch.float64) for each in params])
        weights = weights.reshape(*weights.shape, *[1] * (stack.ndim - weights.ndim))
        total = total.reshape(-1, *[1] * (first.ndim - 1)) if first.ndim else total[0]
        if not first.ndim:
            weights = weights[:, 0]
        mean[name] = torch.where(total > 0, (weights * stack).sum(0) / total, stack[0]).to(first)
    return mean


def consensus_distance(params: Sequence[Params]) -> float:
    """Root mean squared distance of the sites from their unweighted mean, relative to the mean's norm.

    sqrt(1/n sum_i |x_i - mean|^2) / |mean|; 0 when all are equal.

    Source:
        Kong et al., "Consensus control for decentralized deep learning", arXiv 2102.04828, equation 4, made relative.
    """
    spread, norm = 0.0, 0.0
    for name in params[0]:
        mean = _mean([each[name] for each in params])
        spread += sum(float((each[name].double() - mean).square().sum()) for each in params) / len(params)
        norm += float(mean.square().sum())
    return sqrt(spread / norm) if spread > 0 else 0.0


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    total = torch.zeros_like(tensors[0], dtype=torch.float64)
    for tensor in tensors:
        total += tensor
    return total / len(tensors)
