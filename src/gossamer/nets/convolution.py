"""Two convolutions at full resolution, laid out so that a CPU computes them fast.

Both have the parameters of `torch.nn.Conv3d`, under the same names, and its results but for rounding. oneDNN, which
computes convolutions on a CPU, is slow where the number of input channels does not fill its blocks of 16, as with a
handful of maps at full resolution. With channels last in memory it is faster: in bfloat16 as they are, in float32 once
zeros fill the block. On a GPU both are `torch.nn.Conv3d` as it stands.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own name for it

BLOCK = 16
"""Channels that oneDNN takes at once."""


class FewChannelsConv3d(nn.Conv3d):
    """A 3x3x3 convolution of a few maps, [B, channels_in, z, y, x] to [B, channels_out, z, y, x]."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        """Initial parameters are those of `torch.nn.Conv3d`."""
        super().__init__(channels_in, channels_out, kernel_size=3, padding=1)

    def forward(self, maps_BCZYX: Tensor) -> Tensor:
        """The convolution of the maps."""
        if maps_BCZYX.device.type != "cpu":
            return super().forward(maps_BCZYX)
        weight = self.weight
        if not torch.is_autocast_enabled("cpu"):
            maps_BCZYX, weight = _filled(maps_BCZYX), _filled(weight)
        last = torch.channels_last_3d
        maps_BCZYX, weight = maps_BCZYX.contiguous(memory_format=last), weight.contiguous(memory_format=last)
        return F.conv3d(maps_BCZYX, weight, self.bias, padding=1)


class PointwiseConv3d(nn.Conv3d):
    """A 1x1x1 convolution, [B, channels_in, z, y, x] to [B, channels_out, z, y, x]: one matrix times each voxel."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        """Initial parameters are those of `torch.nn.Conv3d`."""
        super().__init__(channels_in, channels_out, kernel_size=1)

    def forward(self, maps_BCZYX: Tensor) -> Tensor:
        """The convolution of the maps."""
        if self.bias is None or maps_BCZYX.device.type != "cpu":
            return super().forward(maps_BCZYX)
        batch, _, *grid = maps_BCZYX.shape
        matrices = self.weight.flatten(1).expand(batch, -1, -1)
        mixed = torch.baddbmm(self.bias[:, None], matrices, maps_BCZYX.flatten(2))
        return mixed.reshape(batch, -1, *grid)


def _filled(tensor: Tensor) -> Tensor:
    """With zeros up to whole blocks along the channels (axis 1)."""
    return F.pad(tensor, (0, 0, 0, 0, 0, 0, 0, -tensor.shape[1] % BLOCK))
