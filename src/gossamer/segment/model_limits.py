"""Limits that a plan from a model file is held against, before it takes memory or names files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import torch

from gossamer.data.plan import Plan
from gossamer.data.planning import MAX_OVERLAP
from gossamer.errors import ConfigurationError, ModelFileError
from gossamer.nets import build_network

MAX_LEVELS = 12
MAX_STRUCTURES = 255
MAX_PATCH_VOXELS = 2**27
SPACING_LIMITS_MM = (0.1, 50.0)
"""A spacing below or above these would be a mistake, and one far below would fill the memory with voxels."""

_STRUCTURE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_^~+-]{0,63}")
"""Letters as TG-263 has them. Structures become file names, so nothing that leads out of a folder may pass."""


def checked_plan(raw: dict[str, Any]) -> Plan:
    """A plan within the limits.

    Args:
        raw: the plan as JSON's own types.

    Raises:
        ModelFileError: it is not a plan, or not within the limits.
    """
    try:
        plan = Plan.from_json(json.dumps(raw))
    except (ConfigurationError, OverflowError) as error:
        raise ModelFileError(f"the model file's plan: {error}") from error
    low, high = SPACING_LIMITS_MM
    numbers = (*plan.spacing_mm, plan.hu_low, plan.hu_high, plan.hu_mean, plan.hu_sd, plan.overlap)
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise _unfit("a number that is not finite")
    if plan.hu_sd <= 0:
        raise _unfit("a standard deviation that is not positive")
    if not all(low <= spacing <= high for spacing in plan.spacing_mm):
        raise _unfit(f"a spacing beyond {low} to {high} mm")
    if min(plan.patch_size) < 1 or math.prod(plan.patch_size) > MAX_PATCH_VOXELS:
        raise _unfit(f"a patch beyond 1 to {MAX_PATCH_VOXELS} voxels")
    if len(plan.network.channels) > MAX_LEVELS:
        raise _unfit(f"a network of more than {MAX_LEVELS} levels")
    names = plan.structures
    if not all(isinstance(name, str) and _STRUCTURE_NAME.fullmatch(name) for name in names):
        raise _unfit("a structure whose name is not made of letters, digits and _ ^ ~ + -")
    if not 0 < len(names) == len(set(names)) <= MAX_STRUCTURES:
        raise _unfit(f"{len(names)} structures, or one of them twice; at most {MAX_STRUCTURES}")
    if any(name not in names for name in plan.one_piece) or len(set(plan.one_piece)) < len(plan.one_piece):
        raise _unfit("structures of one piece that are not among its structures, or one of them twice")
    if not 0 <= plan.overlap <= MAX_OVERLAP:
        raise _unfit(f"windows that overlap by less than 0 or more than {MAX_OVERLAP} of their length")
    return plan


def require_shapes(tensors: Mapping[str, Any], plan: Plan) -> None:
    """Build the plan's network and run one window, without memory, and compare names, kinds and shapes.

    Args:
        tensors: what a safetensors header says of each tensor.
        plan: within the limits.

    Raises:
        ModelFileError: the network cannot be built, or the tensors are not its own.
    """
    try:
        with torch.device("meta"), torch.inference_mode():
            network = build_network(plan)
            out = network(torch.zeros(1, plan.input_channels, *plan.patch_size))
        own = network.state_dict()
    except (ConfigurationError, ArithmeticError, ValueError, TypeError, RuntimeError) as error:
        raise _unfit("a network that cannot be built or cannot read a patch") from error
    if out.shape[2:] != plan.patch_size:
        raise _unfit("a network whose output is not of the patch's size")
    wanted = {name: ("F32", list(tensor.shape)) for name, tensor in own.items()}
    found = {name: (tensor.get("dtype"), tensor.get("shape")) for name, tensor in tensors.items()}
    differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if differing:
        raise ModelFileError(
            f"wanted the tensors of the plan's network; found {len(differing)} that are lacking, foreign or of another "
            f"shape ({', '.join(differing[:3])}); the file was put together wrongly: ask where it came from"
        )


def _unfit(found: str) -> ModelFileError:
    return ModelFileError(f"wanted a plan within the limits; found in the model file {found}; do not use this file")
