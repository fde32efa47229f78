"""From a CT to masks on its own grid, in memory that does not hold every structure at full size.

The image goes onto the plan's spacing exactly as in training (``gossamer.data``). Logits leave the sliding window plane
by plane; each plane of the CT is interpolated from the few planes around it as soon as they are there, cut at one half
and packed to bits. Where the plan says that an organ is one piece, its mask then keeps its main piece only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from gossamer.data.image import Image
from gossamer.data.network_input import body_box, body_centre_yx
from gossamer.data.plan import Plan
from gossamer.data.resample import resample_image, resampled_shape
from gossamer.segment.image_grid import fill_masks
from gossamer.segment.masks import PackedMasks
from gossamer.segment.pieces import main_pieces
from gossamer.segment.sliding import logit_planes


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
    masks = PackedMasks(plan.structures, image.frame.shape)
    centre_yx = body_centre_yx(hu_body)
    planes = logit_planes(
        network, plan, hu_body, centre_yx, precision=precision, overlap=plan.overlap, on_window=on_window
    )
    fill_masks(masks, planes, shape, box)
    for structure in plan.one_piece:
        masks.reduce(structure, main_pieces)
    return masks
