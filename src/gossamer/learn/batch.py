"""Patches as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gossamer.learn.patches import Patch


@dataclass(frozen=True)
class Batch:
    """What an optimiser step sees, all float32.

    Attributes:
        images: [B, channels, z, y, x].
        targets: [B, C, z, y, x], 0 or 1.
        annotated: [B, C], 0 or 1.
    """

    images: Tensor
    targets: Tensor
    annotated: Tensor


def batch_of(patches: Sequence[Patch], device: torch.device) -> Batch:
    """Stack patches and spread their label bits over channels, on ``device``."""
    labels_BZYX = np.stack([patch.labels for patch in patches])
    one = labels_BZYX.dtype.type(1)
    bits = np.arange(len(patches[0].annotated), dtype=labels_BZYX.dtype)
    targets_BCZYX = (labels_BZYX[:, None] >> bits[:, None, None, None] & one).astype(np.uint8)
    return Batch(
        torch.from_numpy(np.stack([patch.image for patch in patches])).to(device),
        torch.from_numpy(targets_BCZYX).to(device).float(),
        torch.from_numpy(np.stack([patch.annotated for patch in patches])).to(device).float(),
    )
