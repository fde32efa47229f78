"""``--device``: what the network runs on."""

from __future__ import annotations


def chosen_device(name: str) -> str:
    """The device that a user means: cpu, cuda, or auto, which is cuda where there is one."""
    import torch

    from gossamer.errors import UsageError

    present = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda") or (name == "cuda" and not present):
        raise UsageError(
            f"wanted a device to run on; found --device {name}, and {'a' if present else 'no'} CUDA device in this "
            "machine; give cpu, cuda or auto"
        )
    return "cuda" if present and name != "cpu" else "cpu"
