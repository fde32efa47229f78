"""Sliding-window prediction: overlapping windows, weighted by a Gaussian, averaged as logits.

The windows' starts form a grid, so the weights' sum factorises over the axes: each axis has, for each of its windows,
*shares* that add up to 1 in every voxel. A window's logits times the product of its three shares, summed, are the
weighted mean at once; nothing is divided by afterwards.

Windows are visited from the first plane up, and a plane leaves as soon as no window to come touches it. Memory so holds
one window's depth of planes, whatever the image's length. Nothing is flipped: a flip along x swaps left and right.

Source: Isensee et al., "nnU-Net", Nature Methods 2021 (Gaussian weights, half-overlapping windows).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gossamer.data.network_input import network_input
from gossamer.data.plan import Plan
from gossamer.units import AIR_HU

SIGMA_PER_WINDOW = 1 / 8
"""Width of the Gaussian: a window's edge has seen too little around it to be trusted."""

HALF = 0.5
"""Overlap of neighbouring windows that published networks are scored with."""

CERTAIN = 30.0
"""Log-odds beyond which a probability is 0 or 1 in single precision; larger ones would overflow half precision."""


def logit_planes(
    network: nn.Module,
    plan: Plan,
    image_hu: NDArray[np.int16],
    centre_yx: tuple[float, float],
    *,
    precision: torch.dtype = torch.float32,
    overlap: float = HALF,
    on_window: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Tensor]:
    """Logits of an image on the plan's spacing, plane by plane from the first up.

    Args:
        network: the plan's network, on the device it shall run on, in evaluation mode.
        plan: window size and intensities.
        image_hu: int16 [z, y, x] on the plan's spacing.
        centre_yx: the body's centre in voxels (``gossamer.data.network_input.body_centre_yx``).
        precision: of the network's arithmetic; ``torch.bfloat16`` is faster where the processor has it.
        overlap: least part of a window that the next one repeats; less is faster and a little worse.
        on_window: told after each window how many of how many are done.

    Yields:
        float16 [structure, y, x] on the CPU, one for each plane z of the image.
    """
    depth, *in_plane = image_hu.shape
    starts = [window_starts(n, w, overlap) for n, w in zip(image_hu.shape, plan.patch_size, strict=True)]
    shares = [_shares(n, w, s) for n, w, s in zip(image_hu.shape, plan.patch_size, starts, strict=True)]
    total, done = len(starts[0]) * len(starts[1]) * len(starts[2]), 0
    slab = torch.zeros(len(plan.structures), plan.patch_size[0], *in_plane, dtype=torch.float16)
    for i, (start, following) in enumerate(pairwise([*starts[0], depth])):
        for j, k in product(range(len(starts[1])), range(len(starts[2]))):
            corner = (start, starts[1][j], starts[2][k])
            logits = _window_logits(network, plan, image_hu, centre_yx, corner=corner, precision=precision)
            inside, place = _overlap(corner, plan.patch_size, image_hu.shape)
            weight = shares[0][i][:, None, None] * shares[1][j][:, None] * shares[2][k]
            # The slab begins at this row of windows' first voxel, so along z logits and slab lie alike.
            slab[:, inside[0], place[1], place[2]].addcmul_(logits[:, *inside], weight.half()[inside])
            done += 1
            on_window(done, total)
        step = following - start
        yield from slab[:, max(0, -start) : step].unbind(1)
        slab = torch.cat([slab[:, step:], torch.zeros_like(slab[:, :step])], dim=1)


def predict_logits(
    network: nn.Module,
    plan: Plan,
    image_hu: NDArray[np.int16],
    centre_yx: tuple[float, float],
    *,
    precision: torch.dtype = torch.float32,
    overlap: float = HALF,
) -> Tensor:
    """All of :func:`logit_planes` at once: float16 [structure, z, y, x]."""
    planes = logit_planes(network, plan, image_hu, centre_yx, precision=precision, overlap=overlap)
    return torch.stack(list(planes), dim=1)


def window_starts(size: int, window: int, overlap: float = HALF) -> list[int]:
    """First voxels of windows that overlap by at least ``overlap`` of their length and cover an axis evenly.

    One window that is longer than the axis is centred on it, and so starts before it.
    """
    if size <= window:
        return [(size - window) // 2]
    count = 1 + -(-(size - window) // max(1, int(window * (1 - overlap))))
    return [round(start) for start in np.linspace(0, size - window, count)]


def _shares(size: int, window: int, starts: list[int]) -> list[Tensor]:
    """Each window's weight along one axis, float32 [window] each; over all windows they sum to 1 in every voxel."""
    away = np.arange(window) - (window - 1) / 2
    gaussian = np.exp(-0.5 * (away / (SIGMA_PER_WINDOW * window)) ** 2)
    begin, end = min(0, starts[0]), max(size, starts[-1] + window)
    total = np.zeros(end - begin)
    for start in starts:
        total[start - begin : start - begin + window] += gaussian
    shares = (gaussian / total[start - begin : start - begin + window] for start in starts)
    return [torch.from_numpy(share.astype(np.float32)) for share in shares]


def _overlap(
    corner: tuple[int, ...], window: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The part of a window that lies in the image: where in the window, and where in the image."""
    begins = [max(0, c) for c in corner]
    ends = [min(n, c + w) for c, w, n in zip(corner, window, shape, strict=True)]
    inside = tuple(slice(b - c, e - c) for b, e, c in zip(begins, ends, corner, strict=True))
    return inside, tuple(slice(b, e) for b, e in zip(begins, ends, strict=True))


def _window_logits(
    network: nn.Module,
    plan: Plan,
    image_hu: NDArray[np.int16],
    centre_yx: tuple[float, float],
    *,
    corner: tuple[int, int, int],
    precision: torch.dtype,
) -> Tensor:
    """Logits float16 [structure, z, y, x] of one window, on the CPU."""
    inside, place = _overlap(corner, plan.patch_size, image_hu.shape)
    hu: NDArray[Any] = np.full(plan.patch_size, AIR_HU, dtype=np.int16)
    hu[inside] = image_hu[place]
    device = next(network.parameters()).device
    window = torch.from_numpy(network_input(hu, plan, centre_yx, corner))[None].to(device)
    lower = precision != torch.float32
    with torch.inference_mode(), torch.autocast(device.type, dtype=precision if lower else None, enabled=lower):
        logits: Tensor = network(window)
    return logits[0].to("cpu", torch.float16).clamp_(-CERTAIN, CERTAIN)  # what overflowed is cut like the rest
