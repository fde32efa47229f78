"""What a site does not let into its model, however well-formed."""

from __future__ import annotations

import torch
from torch import Tensor

from gossamer.errors import ShareRefusedError
from gossamer.gossip.memo import TensorMemo
from gossamer.wire.messages import ShareMessage

_FINITE = TensorMemo()
"""Tensors that were looked at; in a simulation several sites receive the same."""


def refuse_unless_finite(message: ShareMessage) -> None:
    """One NaN in one share would spread to all sites within a sweep.

    Raises:
        ShareRefusedError: a parameter is not a finite number.
    """
    for name, tensor in message.share.params.items():
        if not _is_finite(tensor):
            raise ShareRefusedError(
                f"wanted finite parameters; found nan or inf in '{name}', in the share of site "
                f"{message.envelope.sender!a:.60}; its training has diverged: lower the learning rate there"
            )


def _is_finite(tensor: Tensor) -> bool:
    """NaN and inf survive a sum, which takes no memory; only a sum that overflows needs the longer look."""
    if _FINITE.recall([tensor]) is not None:
        return True
    total = tensor.sum(dtype=torch.float64 if tensor.dtype == torch.float64 else torch.float32)
    finite = bool(torch.isfinite(total)) or bool(torch.isfinite(tensor).all())
    if finite:
        _FINITE.note([tensor], tensor)
    return finite
