"""From a CT to masks on its own grid, in memory that does not hold every structure at full size.

The image goes onto the plan's spacing exactly as in training (``gossamer.data``). Logits leave the sliding window plane
by plane; each plane of the CT is interpolated linearly, as probabilities, from the few plan planes around it, cut at
one half, and packed to bits. A structure of which no voxel around reaches one half cannot reach it in between, and is
passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gossamer.data.image import Image
from gossamer.data.network_input import body_box, body_centre_yx
from gossamer.data.plan import Plan
from gossamer.data.resample import axis_weights, resample_image, resampled_shape
from gossamer.segment.masks import PackedMasks
from gossamer.segment.sliding import logit_planes
from gossamer.units import ShapeZYX

THRESHOLD = 0.5
"""A voxel belongs to a structure when that is at least as likely as not."""


def predict_masks(
    network: nn.Module,
    plan: Plan,
    image: Image,
    *,
    precision: torch.dtype = torch.float32,
    on_window: Callable[[int, int], None] = lambda done, total: None,
) -> PackedMasks:
    """Masks of the plan's structures on the image's own grid.

    Args:
        network: the plan's network, on the device it shall run on; it is put into evaluation mode.
        plan: what the network was trained with.
        image: a CT in HU.
        precision: of the network's arithmetic; ``torch.bfloat16`` is faster where the processor has it.
        on_window: told after each window how many of how many are done.

    Returns:
        By structure: bool [z, y, x] of the image's shape; structures may overlap.
    """
    network.eval()
    shape = resampled_shape(image.frame.shape, image.frame.spacing_mm, plan.spacing_mm)
    hu = resample_image(image.voxels, shape)
    box = body_box(hu)
    hu_body = np.rint(hu[box].clip(np.iinfo(np.int16).min, np.iinfo(np.int16).max)).astype(np.int16)
    del hu
    planes = logit_planes(network, plan, hu_body, body_centre_yx(hu_body), precision=precision, on_window=on_window)
    masks = PackedMasks(plan.structures, image.frame.shape)
    planes = logit_planes(network, plan, hu_body, body_centre_yx(hu_body), precision=precision, on_window=on_window)
    weights = axis_weights(shape[0], image.frame.shape[0])
    for z, around in enumerate(_interpolated(planes, box[0], weights)):
        if around is None:
            continue
        rows = torch.nonzero(around.amax(dim=(1, 2)) >= THRESHOLD)[:, 0]
        if len(rows):
            whole = torch.zeros(len(rows), *shape[1:])
            whole[:, box[1], box[2]] = around[rows]
            masks.set_plane(z, rows.numpy(), (_in_plane(whole, image.frame.shape) >= THRESHOLD).numpy())
    return masks


def _interpolated(logit_planes: Iterator[Tensor], extent: slice, weights: sparse.csr_array) -> Iterator[Tensor | None]:
    """Probability planes of the image from those of the plan's grid, as they come.

    Args:
        logit_planes: [structure, y, x] for each plane in ``extent``; beyond it nothing is predicted.
        extent: of the plan's planes.
        weights: [image planes, plan planes] (``axis_weights``).

    Yields:
        float32 [structure, y, x] for each plane of the image; None beyond the extent.
    """
    held: dict[int, Tensor] = {}
    reached = extent.start - 1
    for begin, end in pairwise(weights.indptr):
        needed = weights.indices[begin:end]
        while reached < min(needed[-1], extent.stop - 1):
            reached += 1
            held[reached] = torch.sigmoid(next(logit_planes).float())
        held = {z: plane for z, plane in held.items() if z >= needed[0]}
        parts = [float(share) * held[z] for z, share in zip(needed, weights.data[begin:end], strict=True) if z in held]
        yield torch.stack(parts).sum(dim=0) if parts else None


def _in_plane(probabilities: Tensor, shape: ShapeZYX) -> Tensor:
    """Resample planes [n, y, x] to the image's; antialiasing is ``axis_weights``' triangle, and nothing upwards."""
    return interpolate(probabilities[None], size=shape[1:], mode="bilinear", antialias=True, align_corners=False)[0]
