"""How far sites are from each other, and the mean they should agree on, computed in one place and in 64 bits."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt

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
        rows = [mass.rows.get(name, (mass.body,)) for mass in masses]
        masses_NR1 = torch.tensor(rows, dtype=torch.float64).unsqueeze(-1)  # site, row (one for the body), entry
        values_NRE = torch.stack([each[name].to("cpu", torch.float64).reshape(len(rows[0]), -1) for each in params])
        total_R1 = masses_NR1.sum(0)
        mean_RE = torch.where(total_R1 > 0, (masses_NR1 * values_NRE).sum(0) / total_R1, values_NRE[0])
        mean[name] = mean_RE.reshape(first.shape).to(first)
    return mean


def consensus_distance(params: Sequence[Params]) -> float:
    """Root mean squared distance of the sites from their unweighted mean, relative to the mean's norm.

    ``sqrt(1/n sum_i |x_i - mean|^2) / |mean|``; 0 when all are equal, infinite when they differ about a mean of 0.

    Source:
        Kong et al., "Consensus control for decentralized deep learning", arXiv 2102.04828, equation 4, made relative.
    """
    spread, norm = 0.0, 0.0
    for name in params[0]:
        mean = _mean([each[name] for each in params])
        spread += sum(float((each[name].double() - mean).square().sum()) for each in params) / len(params)
        norm += float(mean.square().sum())
    if spread == 0:
        return 0.0
    return sqrt(spread / norm) if norm > 0 else inf


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    total = torch.zeros_like(tensors[0], dtype=torch.float64)
    for tensor in tensors:
        total += tensor
    return total / len(tensors)
