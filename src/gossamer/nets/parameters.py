"""A network's parameters as plain tensors by name: what sites exchange.

A tensor that a network holds under two names (DynUNet does) is one parameter, under its first name. There are no
buffers: networks here keep no running statistics.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gossamer.errors import PlanError
from gossamer.nets.build import SegmentationNetwork


def parameters_of(network: nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters of a network, by name, on the CPU."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in network.named_parameters()}


def load_parameters(network: nn.Module, params: Mapping[str, Tensor]) -> None:
    """Copy parameters into a network.

    Raises:
        PlanError: names, shapes or kinds of number are not the network's own.
    """
    own = dict(network.named_parameters())
    if own.keys() != params.keys():
        lacking, foreign = sorted(own.keys() - params.keys()), sorted(params.keys() - own.keys())
        raise PlanError(
            f"wanted the parameters of the plan's network; found {len(lacking)} lacking ({', '.join(lacking[:3])}) "
            f"and {len(foreign)} foreign ({', '.join(foreign[:3])}); use the plan these parameters were trained with"
        )
    for name, tensor in own.items():
        if tensor.shape != params[name].shape or tensor.dtype != params[name].dtype:
            raise PlanError(
                f"wanted {name} as {tensor.dtype} {list(tensor.shape)}; found {params[name].dtype} "
                f"{list(params[name].shape)}; use the plan these parameters were trained with"
            )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(params[name])


def output_rows(network: SegmentationNetwork) -> tuple[str, ...]:
    """Names of the tensors whose first axis is the structures, in the plan's order."""
    return tuple(f"head.{name}" for name, _ in network.head.named_parameters())
