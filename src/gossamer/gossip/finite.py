"""Whether tensors hold numbers: looked at fast, and once each."""

from __future__ import annotations

import torch
from torch import Tensor

from gossamer.gossip.memo import TensorMemo

_FINITE = TensorMemo()
"""Tensors that were looked at; in a simulation several sites receive the same."""


def is_finite(tensor: Tensor) -> bool:
    """NaN and inf survive a sum, which takes no memory; only a sum that overflows needs the longer look."""
    if _FINITE.recall([tensor]) is not None:
        return True
    total = tensor.sum(dtype=torch.float64 if tensor.dtype == torch.float64 else torch.float32)
    finite = bool(torch.isfinite(total)) or bool(torch.isfinite(tensor).all())
    if finite:
        _FINITE.note([tensor], tensor)
    return finite
