"""The GPU: one that the machine has and PyTorch cannot use would only show as a run that takes weeks."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from gossamer.errors import GpuLostError, MemoryShortError
from gossamer.runtime.preflight.finding import Finding, fault, ok, warning
from gossamer.runtime.preflight.needs import Needs

ROOT = Path("/")

GIB = 2**30

NVIDIA = "0x10de"
DISPLAY_CLASS = "0x03"
"""PCI's vendor id of NVIDIA, and its class of display and 3-D controllers."""

ENTER_CONTAINER = "give the container its GPUs (docker run --gpus all, with NVIDIA's container toolkit)"


def check_gpu(needs: Needs | None, root: Path = ROOT) -> list[Finding]:
    """Compare what the machine has with what PyTorch sees, and compute a little on it.

    Args:
        needs: of a run; None where they could not be told.
        root: where ``/dev``, ``/proc`` and ``/sys`` lie.
    """
    if torch.cuda.is_available():
        return _usable(needs)
    if driver := _signs_of_driver(root):
        if torch.version.cuda is None:
            found = f"{driver}, and a PyTorch that is built for the processor alone"
            remedy = "install the PyTorch build for CUDA (docs: train with a GPU)"
        else:
            found = f"{driver}, and none that PyTorch can use"
            remedy = f"{ENTER_CONTAINER}; else look at nvidia-smi, the driver's version and CUDA_VISIBLE_DEVICES"
        return [fault("GPU", GpuLostError, found, remedy)]
    if hardware := _signs_of_hardware(root):
        remedy = f"if it is meant for training, install its driver, or {ENTER_CONTAINER}; else leave it"
        return [warning("GPU", GpuLostError, f"{hardware}, but no driver for it here", remedy)]
    return [ok("GPU", "none; training takes the processor")]


def _usable(needs: Needs | None) -> list[Finding]:
    try:
        torch.ones(8, device="cuda").sum().item()
        free, _ = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
    except RuntimeError as error:
        found = f"PyTorch sees a GPU, and fails on it: {str(error).splitlines()[0]}"
        remedy = "look at nvidia-smi; driver and PyTorch must fit the GPU, and no other process may hold it alone"
        return [fault("GPU", GpuLostError, found, remedy)]
    found = f"{torch.cuda.device_count()} x {name}, {free / GIB:.1f} GiB free on the first"
    if needs is not None and free < needs.device_bytes:
        found += f"; a run needs up to {needs.device_bytes / GIB:.1f} GiB"
        remedy = "end what else runs on it, or agree on smaller patches (plan.patch_voxels)"
        return [fault("GPU", MemoryShortError, found, remedy)]
    return [ok("GPU", found)]


def _signs_of_driver(root: Path) -> str:
    """A driver is loaded; inside a container that was not given the GPU, ``/proc`` of the machine still tells."""
    if devices := len(list((root / "dev").glob("nvidia[0-9]*"))):
        return f"{devices} NVIDIA device file(s)"
    if cards := len(list((root / "proc/driver/nvidia/gpus").glob("*"))):
        return f"a driver with {cards} NVIDIA GPU(s)"
    return ""


def _signs_of_hardware(root: Path) -> str:
    """A card is plugged in, or its tools are installed."""
    cards = 0
    for device in (root / "sys/bus/pci/devices").glob("*"):
        is_nvidia = _first_line(device / "vendor") == NVIDIA
        cards += is_nvidia and _first_line(device / "class").startswith(DISPLAY_CLASS)
    if cards:
        return f"{cards} NVIDIA card(s)"
    return "the command nvidia-smi" if shutil.which("nvidia-smi") else ""


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
