"""The weighted mean of parameters: one pass over each tensor, one new model in memory.

Contributions are folded in one after another as acc <- acc + (m / M)(x - acc), M the mass so far. Sites that fold the
same contributions in the same order get the same bits, and equal inputs give exactly themselves: consensus is a
fixed point, without a drift from rounding. Weights are 64-bit numbers, tensors stay as they are (32-bit).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gossamer.gossip.algorithm import Mass, Params
from gossamer.gossip.memo import TensorMemo

_MEANS = TensorMemo()
"""Sites of one process often ask for the same mean."""


def merge(params: Sequence[Params], masses: Sequence[Mass], mine: int) -> Params:
    """The mean of parameters, each weighted by its mass: rows by their own mass, all else by the body's.

    Args:
        params: parameters of the same names and shapes; not changed, but tensors to which nothing is added are
            handed on without a copy.
        masses: one for each, over the same rows.
        mine: the place whose tensors (or rows) stay where the total mass is 0.
    """
    body = _shares([mass.body for mass in masses], mine)
    merged: dict[str, Tensor] = {}
    with torch.no_grad():
        for name in params[mine]:
            tensors = [each[name] for each in params]
            if name in masses[mine].rows:
                rows = zip(*(mass.rows[name] for mass in masses), strict=True)
                merged[name] = _fold_rows(tensors, [_shares(row, mine) for row in rows])
            else:
                merged[name] = _fold(tensors, body)
    return merged


def scaled_step(start: Params, end: Params, body: float, rows: dict[str, tuple[float, ...]]) -> Params:
    """Make ``start + scale (end - start)``, with the scale of the body or of the row.

    Args:
        start: parameters before a local phase.
        end: parameters after it.
        body: scale of all tensors that ``rows`` does not name.
        rows: by tensor a scale for each entry of its first axis.
    """
    stepped: dict[str, Tensor] = {}
    with torch.no_grad():
        for name, tensor in start.items():
            if name in rows:
                stepped[name] = torch.lerp(tensor, end[name], _along_rows(rows[name], tensor))
            else:
                stepped[name] = end[name] if body == 1 else torch.lerp(tensor, end[name], body)
    return stepped


def _shares(masses: Sequence[float], mine: int) -> list[float]:
    """By contribution its part of the mass so far: how far to go towards it when it is folded in."""
    so_far = 0.0
    shares = []
    for mass in masses:
        so_far += mass
        shares.append(mass / so_far if mass > 0 else 0.0)
    if so_far == 0:
        shares[mine] = 1.0
    return shares


def _fold(tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    given = [(tensor, share) for tensor, share in zip(tensors, shares, strict=True) if share > 0]
    (first, _), *others = given
    if not others:
        return first
    inputs, parts = [tensor for tensor, _ in given], tuple(share for _, share in given)
    known = _MEANS.recall(inputs, parts)
    if known is not None:
        return known
    mean = torch.lerp(first, *others[0])
    for tensor, share in others[1:]:
        mean.lerp_(tensor, share)
    _MEANS.note(inputs, mean, parts)
    return mean


def _fold_rows(tensors: Sequence[Tensor], shares_by_row: Sequence[Sequence[float]]) -> Tensor:
    """As ``_fold``, with shares of each row's own."""
    mean, own_copy = tensors[0], False
    for tensor, shares in list(zip(tensors, zip(*shares_by_row, strict=True), strict=True))[1:]:
        if any(shares):
            weight = _along_rows(shares, tensor)
            mean = mean.lerp_(tensor, weight) if own_copy else torch.lerp(mean, tensor, weight)
            own_copy = True
    return mean


def _along_rows(numbers: Sequence[float], tensor: Tensor) -> Tensor:
    """One number for each entry of the first axis, in a shape that broadcasts over the others."""
    return torch.tensor(numbers, dtype=tensor.dtype, device=tensor.device).reshape(-1, *[1] * (tensor.ndim - 1))
