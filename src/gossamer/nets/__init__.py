"""Networks by plan: MONAI's UNet, DynUNet and SegResNet, and scale attention (SA-Net)."""

from gossamer.nets.build import NETWORKS, SegmentationNetwork, build_network
from gossamer.nets.parameters import load_parameters, output_rows, parameters_of

__all__ = [
    "NETWORKS",
    "SegmentationNetwork",
    "build_network",
    "load_parameters",
    "output_rows",
    "parameters_of",
]
