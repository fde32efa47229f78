"""Layouts that say once, for all cases, what their labels are (nnU-Net, the decathlon, TotalSegmentator).

Such a set does not say why a label is empty in a case: the organ may be outside the image, removed, or not drawn. An
empty label therefore counts as *not drawn*, which is never wrong: the patient says nothing of this organ, neither in
training nor in scoring. What reaches the first or last slice is taken to be cut there, so not complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gossamer.data.description import Split

VAL_FRACTION = 0.2
"""One in five, as in five-fold cross-validation."""


def present_masks(masks: Mapping[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.bool_]]:
    """The masks that have a voxel."""
    return {name: mask for name, mask in masks.items() if mask.any()}


def complete_masks(masks: Mapping[str, NDArray[np.bool_]], *, score_cut: bool) -> tuple[str, ...]:
    """Structures to be scored.

    Args:
        masks: by name bool [z, y, x].
        score_cut: take those that reach the first or last slice, too.
    """
    return tuple(name for name, mask in masks.items() if score_cut or not (mask[0].any() or mask[-1].any()))


def train_val_split(ids: Sequence[str], val_fraction: float, seed: int) -> dict[str, Split]:
    """Split the cases of a set that has no validation cases of its own.

    Args:
        ids: of its training cases, in any order.
        val_fraction: share that validates, at least one case if above 0.
        seed: of the draw.

    Returns:
        ``train`` or ``val`` by id.
    """
    shuffled = np.random.default_rng(seed).permutation(sorted(ids)).tolist()
    held_out = max(1, round(val_fraction * len(shuffled))) if val_fraction > 0 and len(shuffled) > 1 else 0
    return {case_id: "val" if place < held_out else "train" for place, case_id in enumerate(shuffled)}
