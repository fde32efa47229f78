"""SA-Net: an encoder-decoder whose decoder attends over all scales of the encoder.

Source: Y. Yuan, "Automatic brain tumor segmentation with scale attention network", BrainLes 2020, LNCS 12658
(figures 1-3); the network of the head-and-neck work that this project compares with.

Encoder and decoder are made of residual blocks with squeeze and excitation. In front of each decoder level stands a
scale attention block: the maps of every encoder scale are brought to this level's width and size and summed; the
sum's global average gives, by two fully connected layers, a weight for each scale and channel, softmax over scales;
the weighted sum of the maps joins the decoder's own.

Departures: no deep supervision; strides are the plan's, so axes may differ; resizing is linear interpolation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own name for it

SQUEEZE = 4
"""How much narrower the middle of an attention's two layers is than its ends."""


class SANet(nn.Module):
    """Images [B, channels_in, z, y, x] in, features [B, features, z, y, x] out."""

    def __init__(
        self,
        channels_in: int,
        features: int,
        channels: Sequence[int],
        strides: Sequence[tuple[int, int, int]],
    ) -> None:
        """Build for ``len(channels)`` levels; ``strides`` lead from each to the next."""
        super().__init__()
        steps = [(1, 1, 1), *strides]
        widths = [channels_in, *channels]
        self.encoder = nn.ModuleList(
            ResidualBlock(before, after, step) for before, after, step in zip(widths, channels, steps, strict=False)
        )
        shallow = range(len(channels) - 1)
        self.attention = nn.ModuleList(ScaleAttention(channels, channels[level]) for level in shallow)
        self.decoder = nn.ModuleList(
            ResidualBlock(channels[level + 1] + channels[level], channels[level]) for level in shallow
        )
        self.last = nn.Conv3d(channels[0], features, kernel_size=1)

    def forward(self, images_BCZYX: Tensor) -> Tensor:
        """Features at full resolution, before any activation."""
        scales = []
        x = images_BCZYX
        for block in self.encoder:
            x = block(x)
            scales.append(x)
        for level in reversed(range(len(self.decoder))):
            attended = self.attention[level](scales, scales[level].shape[2:])
            x = self.decoder[level](torch.cat([_resized(x, attended.shape[2:]), attended], dim=1))
        features: Tensor = self.last(x)
        return features


class ResidualBlock(nn.Module):
    """Two convolutions with squeeze and excitation beside a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: tuple[int, int, int] = (1, 1, 1)) -> None:
        """Lead from ``channels_in`` to ``channels`` maps, ``stride`` times smaller."""
        super().__init__()
        self.first = nn.Conv3d(channels_in, channels, kernel_size=3, stride=stride, padding=1)
        self.second = nn.Conv3d(channels, channels, kernel_size=3, padding=1)
        self.norm_first = nn.InstanceNorm3d(channels, affine=True)
        self.norm_second = nn.InstanceNorm3d(channels, affine=True)
        self.squeeze = nn.Linear(channels, max(1, channels // SQUEEZE))
        self.excite = nn.Linear(max(1, channels // SQUEEZE), channels)
        self.shortcut = nn.Conv3d(channels_in, channels, kernel_size=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """The block's maps."""
        y = F.leaky_relu(self.norm_first(self.first(x)), 0.01)
        y = self.norm_second(self.second(y))
        gate_BC = torch.sigmoid(self.excite(F.leaky_relu(self.squeeze(y.mean(dim=(2, 3, 4))), 0.01)))
        return F.leaky_relu(y * gate_BC[:, :, None, None, None] + self.shortcut(x), 0.01)


class ScaleAttention(nn.Module):
    """Choose, channel by channel, from which scales of the encoder to take."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        """Bring maps of all ``channels`` to ``width`` and weigh them."""
        super().__init__()
        self.project = nn.ModuleList(nn.Conv3d(c, width, kernel_size=1) for c in channels)
        self.squeeze = nn.Linear(width, max(1, width // SQUEEZE))
        self.weigh = nn.Linear(max(1, width // SQUEEZE), width * len(channels))

    def forward(self, scales: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """The weighted sum of all scales at ``size`` (z, y, x)."""
        maps_SBCZYX = torch.stack(
            [_resized(project(scale), size) for project, scale in zip(self.project, scales, strict=True)]
        )
        pooled_BC = maps_SBCZYX.sum(dim=0).mean(dim=(2, 3, 4))
        weights = self.weigh(F.leaky_relu(self.squeeze(pooled_BC), 0.01))
        weights_BSC = weights.unflatten(1, (len(scales), -1)).softmax(dim=1)
        attended: Tensor = (maps_SBCZYX * weights_BSC.transpose(0, 1)[..., None, None, None]).sum(dim=0)
        return attended


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    if x.shape[2:] == torch.Size(size):
        return x
    return F.interpolate(x, size=list(size), mode="trilinear", align_corners=False)
