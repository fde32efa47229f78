"""Memory of the machine, as far as this process may have it: what is free, and what its container allows."""

from __future__ import annotations

import shutil
from pathlib import Path

from gossamer.errors import MemoryShortError, SharedMemoryError
from gossamer.runtime.preflight.finding import Finding, fault, ok, warning
from gossamer.runtime.preflight.needs import Needs

ROOT = Path("/")

GIB = 2**30
MIB = 2**20

COMFORT = 1.25
"""Other programs take memory, too, and needs are estimates."""

SMALL_SHARED_BYTES = 2**28
"""Docker gives a container 64 MiB unless it is told otherwise; a few batches of patches fill that."""


def available_bytes(root: Path = ROOT) -> int | None:
    """What this process can still take: the least of free memory and the limits of its control groups.

    Args:
        root: where ``/proc`` and ``/sys`` lie.

    Returns:
        None where the system does not say.
    """
    said = [_free(root), *_limits(root)]
    return min((size for size in said if size is not None), default=None)


def check_memory(available: int | None, needs: Needs | None) -> list[Finding]:
    """Compare what there is with what a run needs.

    Args:
        available: before this process read any data; None where the system does not say.
        needs: of a run; None where they could not be told.
    """
    if available is None:
        return [ok("memory", "this system does not say how much there is")]
    found = f"{available / GIB:.1f} GiB available"
    if needs is None:
        return [ok("memory", f"{found}; what a run needs is not known without data and plan")]
    found += f"; a run needs up to {needs.memory_bytes / GIB:.1f} GiB"
    remedy = "give the machine or container more, or agree on smaller patches (plan.patch_voxels)"
    if available < needs.memory_bytes:
        return [fault("memory", MemoryShortError, found, remedy)]
    if available < COMFORT * needs.memory_bytes:
        return [warning("memory", MemoryShortError, found, remedy)]
    return [ok("memory", found)]


def check_shared_memory(root: Path = ROOT) -> list[Finding]:
    """``/dev/shm``, where there is one. Gossamer's own data workers send patches through pipes and do without it."""
    try:
        total = shutil.disk_usage(root / "dev/shm").total
    except OSError:
        return []
    if total < SMALL_SHARED_BYTES:
        found = (
            f"{total / MIB:.0f} MiB; Gossamer's own data workers do without it, but PyTorch's loaders, in a trainer of "
            "your own, die of it without a word"
        )
        remedy = "start the container with --shm-size=1g (Kubernetes: an emptyDir of medium Memory at /dev/shm)"
        return [warning("shared memory", SharedMemoryError, found, remedy)]
    return [ok("shared memory", f"{total / GIB:.1f} GiB")]


def _free(root: Path) -> int | None:
    """Linux's own estimate of what can be taken without swapping."""
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _limits(root: Path) -> list[int]:
    """Limits of the control groups that this process is in, version 2 or 1, and of those around them."""
    limits = []
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, inside = line.split(":", 2)
        if controllers in ("", "memory"):
            top = root / "sys/fs/cgroup" / controllers
            name = "memory.limit_in_bytes" if controllers else "memory.max"
            own = top / inside.strip("/")
            groups = [group for group in (own, *own.parents) if group.is_relative_to(top)]
            said = [text for group in groups for text in _lines(group / name)]
            limits += [int(text) for text in said if text.isdecimal()]  # else "max"
    return limits


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
