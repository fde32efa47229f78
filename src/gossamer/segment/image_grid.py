"""From probabilities on the plan's grid to masks on the image's, a plane at a time.

Both steps are the same linear interpolation that brought the image onto the plan's grid (``axis_weights``). An
interpolated value is a mean of the values around it, so a structure that reaches one half nowhere in a plane is passed
over. Sparse matrices do it on one thread faster than PyTorch's resizing does on two.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from gossamer.data.resample import axis_weights
from gossamer.segment.masks import PackedMasks
from gossamer.units import ShapeZYX

THRESHOLD = 0.5
"""A voxel belongs to a structure when that is at least as likely as not."""


def fill_masks(masks: PackedMasks, logit_planes: Iterator[Tensor], planned: ShapeZYX, box: tuple[slice, ...]) -> None:
    """Fill masks from logits as they come.

    Args:
        masks: on the image's grid.
        logit_planes: [structure, y, x] of each plane of the box, from the first.
        planned: voxels along z, y, x of the plan's whole grid.
        box: the part of it that the logits cover; beyond it nothing is predicted.
    """
    weights_z, weights_y, weights_x = (
        axis_weights(n, wanted)[:, part] for n, part, wanted in zip(planned, box, masks.shape, strict=True)
    )
    for z, probabilities in enumerate(_interpolated_along_z(logit_planes, weights_z)):
        if probabilities is None:
            continue
        rows = np.flatnonzero(probabilities.max(axis=(1, 2)) >= THRESHOLD)
        planes = np.empty((len(rows), *masks.shape[1:]), dtype=np.bool_)
        for plane, row in zip(planes, rows, strict=True):
            np.greater_equal(weights_y @ (weights_x @ probabilities[row].T).T, THRESHOLD, out=plane)
        masks.set_plane(z, rows, planes)


def _interpolated_along_z(
    logit_planes: Iterator[Tensor], weights: sparse.csr_array
) -> Iterator[NDArray[np.float32] | None]:
    """Probabilities [structure, y, x] for each plane of the image; None where nothing is predicted."""
    held: dict[int, Tensor] = {}
    reached = -1
    for shares in weights.toarray():
        needed = np.flatnonzero(shares)
        if not needed.size:
            yield None
            continue
        while reached < needed[-1]:
            reached += 1
            held[reached] = torch.sigmoid(next(logit_planes).float())
        held = {z: plane for z, plane in held.items() if z >= needed[0]}
        yield torch.stack([plane * float(shares[z]) for z, plane in held.items()]).sum(dim=0).numpy()
