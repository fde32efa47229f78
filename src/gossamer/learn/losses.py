"""The label-aware loss: binary cross-entropy plus batch Dice, over what was drawn.

Notation: b a patch of the batch, c a structure, a_bc in {0, 1} whether the patch's case was annotated for c; p the
sigmoid of the logits, y the reference.

Laws: a logit with a_bc = 0 has gradient exactly 0; two batches that differ only there give the same bits.

    BCE  = sum_bc a_bc mean_voxels BCE_bc / sum_bc a_bc
    Dice = mean over present c of 1 - (2 I_c + 1) / (P_c + Y_c + 1),    I, P, Y summed over patches with a_bc = 1

*Present* means Y_c > 0. Counting Dice for an absent structure is a trap: with P near 0 its gradient is about a hundred
times that of a small organ that is present, and drives the organ to nothing. Absent structures speak through BCE.

Source: MultiTalent (arXiv 2303.14444) for the sum over annotated channels; nnU-Net for Dice over the batch.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # torch's own name for it

SMOOTH = 1.0
"""Keeps Dice defined; one voxel."""


def segmentation_loss(logits_BCZYX: Tensor, target_BCZYX: Tensor, annotated_BC: Tensor) -> Tensor:
    """The loss of a batch.

    Args:
        logits_BCZYX: float32, one channel per structure.
        target_BCZYX: float32, 0 or 1; ignored where not annotated.
        annotated_BC: float32, 0 or 1.

    Returns:
        A scalar; 0 if nothing in the batch is annotated.
    """
    return cross_entropy(logits_BCZYX, target_BCZYX, annotated_BC) + batch_dice(
        logits_BCZYX.sigmoid(), target_BCZYX, annotated_BC
    )


def cross_entropy(logits_BCZYX: Tensor, target_BCZYX: Tensor, annotated_BC: Tensor) -> Tensor:
    """Binary cross-entropy, averaged over voxels and then over annotated channels."""
    bce_BC = F.binary_cross_entropy_with_logits(logits_BCZYX, target_BCZYX, reduction="none").mean(dim=(2, 3, 4))
    return (bce_BC * annotated_BC).sum() / annotated_BC.sum().clamp(min=1)


def batch_dice(probability_BCZYX: Tensor, target_BCZYX: Tensor, annotated_BC: Tensor) -> Tensor:
    """Soft Dice loss per structure over the whole batch, averaged over the structures present in it."""
    target_voxels_BC = target_BCZYX.sum(dim=(2, 3, 4))
    overlap_C = ((probability_BCZYX * target_BCZYX).sum(dim=(2, 3, 4)) * annotated_BC).sum(dim=0)
    predicted_C = (probability_BCZYX.sum(dim=(2, 3, 4)) * annotated_BC).sum(dim=0)
    target_C = (target_voxels_BC * annotated_BC).sum(dim=0)
    present_C = (target_C > 0).float()
    dice_C = (2 * overlap_C + SMOOTH) / (predicted_C + target_C + SMOOTH)
    return ((1 - dice_C) * present_C).sum() / present_C.sum().clamp(min=1)
