"""The label-aware loss: binary cross-entropy plus batch Dice, over what was drawn.

Notation: b a patch of the batch, c a structure, a_bc in {0, 1} whether the patch's case was annotated for c; p the
sigmoid of the logits, y the reference.

Laws: a logit with a_bc = 0 has gradient exactly 0; two batches that differ only there give the same bits.

    BCE  = sum_bc a_bc mean_voxels BCE_bc / sum_bc a_bc
    D_c  = (2 I_c + 1) / (P_c + Y_c + 1),    I, P, Y summed over voxels of patches with a_bc = 1
    Dice = mean over present c of 1 - D_c (linear) or of -log D_c (logarithmic)

*Present* means Y_c > 0. Counting Dice for an absent structure is a trap: with P near 0 its gradient is about a hundred
times that of a small organ that is present, and drives the organ to nothing. Absent structures speak through BCE.

The logarithm pulls in proportion to what is missing: an organ at D = .02 fifty times as hard as the linear form does.
Where a site meets a rarely drawn organ only now and then between two exchanges, the linear pull is too weak to get it
started, and averaging undoes it each time.

Source: MultiTalent (arXiv 2303.14444) for the sum over annotated channels; nnU-Net for Dice over the batch; Wong
et al. (arXiv 1809.00076) for its logarithm.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # torch's own name for it

from gossamer.learn.recipe import DiceForm

SMOOTH = 1.0
"""Keeps Dice defined; one voxel."""


def segmentation_loss(
    logits_BCZYX: Tensor, target_BCZYX: Tensor, annotated_BC: Tensor, form: DiceForm = "linear", bce_share: float = 1.0
) -> Tensor:
    """The loss of a batch.

    Args:
        logits_BCZYX: float32, one channel per structure.
        target_BCZYX: float32, 0 or 1; ignored where not annotated.
        annotated_BC: float32, 0 or 1.
        form: of the Dice term.
        bce_share: weight of the cross-entropy beside the Dice term.

    Returns:
        A scalar; 0 if nothing in the batch is annotated.
    """
    dice = batch_dice(logits_BCZYX.sigmoid(), target_BCZYX, annotated_BC, form)
    return bce_share * cross_entropy(logits_BCZYX, target_BCZYX, annotated_BC) + dice


def cross_entropy(logits_BCZYX: Tensor, target_BCZYX: Tensor, annotated_BC: Tensor) -> Tensor:
    """Binary cross-entropy, averaged over voxels and then over annotated channels."""
    bce_BC = F.binary_cross_entropy_with_logits(logits_BCZYX, target_BCZYX, reduction="none").mean(dim=(2, 3, 4))
    return (bce_BC * annotated_BC).sum() / annotated_BC.sum().clamp(min=1)


def batch_dice(
    probability_BCZYX: Tensor, target_BCZYX: Tensor, annotated_BC: Tensor, form: DiceForm = "linear"
) -> Tensor:
    """Soft Dice loss per structure over the whole batch, averaged over the structures present in it."""
    voxels = (2, 3, 4)
    overlap_C = ((probability_BCZYX * target_BCZYX).sum(dim=voxels) * annotated_BC).sum(dim=0)
    predicted_C = (probability_BCZYX.sum(dim=voxels) * annotated_BC).sum(dim=0)
    target_C = (target_BCZYX.sum(dim=voxels) * annotated_BC).sum(dim=0)
    dice_C = (2 * overlap_C + SMOOTH) / (predicted_C + target_C + SMOOTH)
    loss_C = 1 - dice_C if form == "linear" else -torch.log(dice_C)
    present_C = (target_C > 0).float()
    return (loss_C * present_C).sum() / present_C.sum().clamp(min=1)
