"""Device, precision and threads of this process, by Lightning Fabric."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from lightning_fabric import Fabric

from gossamer.learn.recipe import Recipe

Precision = Literal["32-true", "bf16-mixed"]

POOL_STARTS = 2**20
"""Numbers enough that PyTorch shares their sum among its threads."""


def compute_for(recipe: Recipe, accelerator: Literal["auto", "cpu", "cuda"] = "auto") -> Fabric:
    """What to train on. Sets PyTorch's threads for the whole process: call it once, early.

    Args:
        recipe: threads, precision and number of devices.
        accelerator: ``auto`` takes a CUDA device if there is one.
    """
    chosen = _present() if accelerator == "auto" else accelerator
    torch.set_num_threads(recipe.threads)
    with flushed_denormals():
        torch.ones(POOL_STARTS).sum()  # starts PyTorch's threads, which keep this setting for good
    torch.backends.cudnn.benchmark = False  # the fastest kernel may differ from run to run, and its rounding with it
    torch.backends.cudnn.deterministic = True
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision on stderr
    precision = _precision(recipe, chosen)
    if chosen == "cpu" or recipe.devices == 1:
        return Fabric(accelerator=chosen, devices=1, precision=precision)
    # A batch is split over the devices and comes together before the loss, which so stays that of the whole batch.
    return Fabric(accelerator=chosen, devices=recipe.devices, strategy="dp", precision=precision)


def chosen_precision(recipe: Recipe) -> Precision:
    """What ``auto`` stands for on this machine."""
    return _precision(recipe, _present())


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Take the smallest numbers for 0, in this thread and for the while.

    Voxels that are sure have gradients so small that processors fall to microcode for them. Elsewhere the setting
    breaks what others compute: SciPy's KDTree overflows the stack on points at 0, whose next neighbour among the
    numbers is one of those.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def fastest_precision(accelerator: Literal["cpu", "cuda"]) -> Precision:
    """``bf16-mixed`` where the hardware computes with bf16; elsewhere it would be emulated, several times slower."""
    if accelerator == "cuda":
        has_bf16 = torch.cuda.get_device_capability()[0] >= 8
    else:
        has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if has_bf16 else "32-true"


def working_type(fabric: Fabric) -> torch.dtype:
    """The kind of number that prediction with this precision computes in."""
    kind = fabric.device.type
    with fabric.autocast():
        return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32


def _present() -> Literal["cpu", "cuda"]:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _precision(recipe: Recipe, accelerator: Literal["cpu", "cuda"]) -> Precision:
    return fastest_precision(accelerator) if recipe.precision == "auto" else recipe.precision
