"""How far two models are apart, by group of parameters: each tensor, each structure's row of the output layer.

The norm of a whole network hides what matters in it; tensors of a few numbers share a group, since their norms are
mostly chance. Bits do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum, inf, isfinite, sqrt

import torch
from torch import Tensor

from gossamer.gossip.algorithm import GossipState, Mass, Params

Norms = Mapping[str, tuple[float, ...]]
"""By group its norm: of a tensor, or of all small ones, one number; of the output layer one for each row."""

SMALL = 16
"""Tensors with fewer entries share a group."""

CHUNK = 4096
"""Squares are summed in pieces of this size, each by one thread."""

BLOCK = 64 * CHUNK
"""So much of a tensor is looked at at a time: it stays in the processor's cache."""


def group_of(name: str, tensor: Tensor, own: Mass) -> str:
    """The group of a tensor; ``own`` names those with a row for each structure."""
    if name in own.rows:
        return f"{len(tensor)} output rows"
    return name if tensor.numel() >= SMALL else "small tensors"


def group_sizes(mine: GossipState) -> dict[str, int]:
    """By group, how many entries stand behind each of its norms."""
    sizes: dict[str, int] = {}
    for name, tensor in mine.params.items():
        group = group_of(name, tensor, mine.own)
        sizes[group] = sizes.get(group, 0) + tensor.numel() // (len(tensor) if name in mine.own.rows else 1)
    return sizes


def norms_between(ours: Params, theirs: Params, own: Mass) -> Norms:
    """``|x_j - x_i|`` by group; inf where it is no finite number."""
    squares: dict[str, list[list[float]]] = {}
    with torch.no_grad():
        for name, tensor in ours.items():
            rows = len(tensor) if name in own.rows else 1
            found = _squares(tensor.reshape(rows, -1), theirs[name].reshape(rows, -1))
            squares.setdefault(group_of(name, tensor, own), []).append(found)
    return {group: tuple(sqrt(sum(row)) for row in zip(*tensors, strict=True)) for group, tensors in squares.items()}


def _squares(ours_RE: Tensor, theirs_RE: Tensor) -> list[float]:
    """The squared distance of each row; inf where it is no finite number."""
    norms = [
        _chunk_norms(theirs - ours)
        for ours, theirs in zip(torch.split(ours_RE, BLOCK, dim=1), torch.split(theirs_RE, BLOCK, dim=1), strict=True)
    ]
    rows = torch.cat(norms, dim=1).tolist()
    return [fsum(norm * norm for norm in row) if all(map(isfinite, row)) else inf for row in rows]


def _chunk_norms(difference_RE: Tensor) -> Tensor:
    exact_RE = difference_RE if difference_RE.dtype == torch.float64 else difference_RE.float()
    whole = exact_RE.shape[1] // CHUNK * CHUNK
    chunks_RC = torch.linalg.vector_norm(exact_RE[:, :whole].reshape(len(exact_RE), -1, CHUNK), dim=2)
    rest_R1 = torch.linalg.vector_norm(exact_RE[:, whole:], dim=1, keepdim=True)
    return torch.cat([chunks_RC, rest_R1], dim=1)


def length(norms: Norms) -> float:
    """Of all groups together."""
    return sqrt(sum(norm * norm for row in norms.values() for norm in row))
