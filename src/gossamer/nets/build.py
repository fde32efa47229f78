"""From a plan to a network: a body that makes features, and a head with one row per structure.

The head is a true 1x1x1 convolution, whatever the body, so that structures are independent rows of one weight and one
bias: the label-aware merge gives each row a mass of its own. Every body normalises by instance: running statistics
would leak, and do not average.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.networks.nets.dynunet import DynUNet
from monai.networks.nets.segresnet import SegResNet
from monai.networks.nets.unet import UNet
from torch import Tensor, nn

from gossamer.data.plan import NetworkPlan, Plan
from gossamer.errors import PlanError
from gossamer.nets.convolution import FewChannelsConv3d, PointwiseConv3d
from gossamer.nets.sanet import SANet

PRIOR_LOG_ODDS = -4.0
"""Where the head's bias starts: about the share of voxels a structure fills. From even odds, the first hundred steps
would be spent on learning that most voxels are nothing (Lin et al., arXiv 1708.02002, section 4.1)."""

SWING = 4.0
"""How far normalised maps are spread before the head: a head must reach logits of +-8, and an optimiser that moves each
weight by at most its learning rate a step would need thousands of steps from maps of spread 1."""

ACTIVATION = ("leakyrelu", {"inplace": True, "negative_slope": 0.01})

AFFINE_INSTANCE = ("instance", {"affine": True})


class SegmentationNetwork(nn.Module):
    """Images [B, channels, z, y, x] in, one logit per structure [B, structures, z, y, x] out."""

    def __init__(self, body: nn.Module, features: int, structures: int) -> None:
        """Put a head on a body that makes ``features`` maps at full resolution."""
        super().__init__()
        self.body = body
        self.activation = nn.LeakyReLU(0.01)
        self.head = PointwiseConv3d(features, structures)
        nn.init.constant_(self.head.bias, PRIOR_LOG_ODDS)  # type: ignore[arg-type]  # the bias is there: bias=True

    def forward(self, images_BCZYX: Tensor) -> Tensor:
        """Logits [B, structures, z, y, x]."""
        logits: Tensor = self.head(self.activation(self.body(images_BCZYX)))
        return logits


def build_network(plan: Plan, seed: int = 0) -> SegmentationNetwork:
    """The plan's network with its initial parameters.

    Args:
        plan: network, its size, structures and input channels.
        seed: gives the initial parameters; the global random state is neither read nor changed.

    Raises:
        PlanError: the network is unknown or cannot have this size.
    """
    try:
        body_of = NETWORKS[plan.network.name]
    except KeyError as error:
        raise PlanError(
            f"wanted one of the networks {', '.join(NETWORKS)}; found '{plan.network.name}'; correct the plan's network"
        ) from error
    _require_levels(plan.network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        features = _features(plan.network)
        return SegmentationNetwork(body_of(plan.network, plan.input_channels, features), features, len(plan.structures))


def _features(network: NetworkPlan) -> int:
    """Maps at full resolution: a third of the first level's, since these cost most of all."""
    return max(8, network.channels[0] // 3)


class _AtFullResolution(nn.Module):
    """MONAI's UNet, and one convolution more that sees its maps beside the image itself.

    That UNet computes from half resolution down and only enlarges the last step, so that surfaces follow the coarser
    grid; on voxels of 4 mm this convolution is worth up to .01 DSC (docs, the OpenKBP study).
    """

    def __init__(self, body: nn.Module, channels_in: int, features: int) -> None:
        super().__init__()
        self.body = body
        self.activation = nn.LeakyReLU(0.01)
        self.mix = FewChannelsConv3d(features + channels_in, features)
        self.norm = nn.InstanceNorm3d(features)

    def forward(self, images_BCZYX: Tensor) -> Tensor:
        maps_BCZYX = torch.cat((self.activation(self.body(images_BCZYX)), images_BCZYX), dim=1)
        normed: Tensor = self.norm(self.mix(maps_BCZYX))
        return SWING * normed


def _unet(network: NetworkPlan, channels_in: int, features: int) -> nn.Module:
    body: nn.Module = UNet(
        3,
        in_channels=channels_in,
        out_channels=features,
        channels=network.channels,
        strides=network.strides,  # type: ignore[arg-type]  # a stride per axis works, and is what its layers document
        act=("leakyrelu", {"negative_slope": 0.01}),
        norm="instance",
    )
    return _AtFullResolution(body, channels_in, features)


def _dynunet(network: NetworkPlan, channels_in: int, features: int) -> nn.Module:
    kernels = [3] * len(network.channels)
    body: nn.Module = DynUNet(
        3,
        in_channels=channels_in,
        out_channels=features,
        kernel_size=kernels,
        strides=[1, *network.strides],
        upsample_kernel_size=network.strides,
        filters=network.channels,
        norm_name=AFFINE_INSTANCE,
        act_name=ACTIVATION,
    )
    return body


def _segresnet(network: NetworkPlan, channels_in: int, features: int) -> nn.Module:
    """MONAI's SegResNet doubles its maps and halves all axes at each level; the plan's first width sets the scale."""
    levels = len(network.channels)
    if any(stride != (2, 2, 2) for stride in network.strides):
        raise PlanError(
            f"wanted strides of 2 along all axes, as segresnet has them; found {network.strides}; "
            "take unet, dynunet or sanet, or a spacing that is more alike along the axes"
        )
    body: nn.Module = SegResNet(
        3,
        init_filters=network.channels[0],
        in_channels=channels_in,
        out_channels=features,
        norm=AFFINE_INSTANCE,
        blocks_down=(1, *[2] * (levels - 1)),
        blocks_up=(1,) * (levels - 1),
        upsample_mode="deconv",
    )
    return body


def _sanet(network: NetworkPlan, channels_in: int, features: int) -> nn.Module:
    return SANet(channels_in, features, network.channels, network.strides)


def _require_levels(network: NetworkPlan) -> None:
    if len(network.channels) < 2 or len(network.strides) != len(network.channels) - 1:
        raise PlanError(
            f"wanted at least two levels and a stride between each; found {len(network.channels)} widths and "
            f"{len(network.strides)} strides; correct the plan's network"
        )


NETWORKS: dict[str, Callable[[NetworkPlan, int, int], nn.Module]] = {
    "unet": _unet,
    "dynunet": _dynunet,
    "segresnet": _segresnet,
    "sanet": _sanet,
}
"""By name: (network plan, input channels, features) -> body. Add a network by adding a line."""
