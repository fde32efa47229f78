"""The training recipe: every number of local training in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DiceForm = Literal["linear", "logarithmic"]


@dataclass(frozen=True)
class Recipe:
    """How a site trains. All sites of a federation use the same recipe.

    Attributes:
        batch_size: patches in an optimiser step.
        learning_rate: the highest of the one-cycle schedule (AdamW).
        warm_up: share of all steps over which the learning rate rises.
        weight_decay: of AdamW.
        betas: of AdamW; the second is shorter than usual because runs are short.
        dice: form of the Dice term (``losses``).
        bce_share: weight of the cross-entropy beside the Dice term.
        proximal_mu: FedProx's pull towards the parameters a local phase began with (arXiv 1812.06127, eq. 2);
            0 for none.
        structure_share: share of patches that are centred on a structure.
        centre_jitter_voxels: how far a patch's centre may lie from the voxel it is centred on, per axis.
        warp_share: share of patches that are rotated and scaled.
        rotation_degrees: most rotation about each axis.
        scale: most relative change of size, up or down.
        intensity_scale: most relative change of normalised intensity.
        intensity_shift: most change of normalised intensity.
        gamma: most change of the exponent of intensity within the window.
        noise_sd: highest spread of added noise, in units of normalised intensity.
        mirror_share: share of patches that are mirrored left to right, with the labels of paired structures swapped;
            off, because organs of the trunk have no mirror image.
        threads: of PyTorch in this process. More processes than cores / threads slow each other many times over.
        precision: ``auto`` takes bf16 where the processor computes with it (AVX512-BF16, AMX, CUDA from Ampere on).
        devices: CUDA devices that share the patches of each step; more than ``batch_size`` are of no use.
        workers: processes that make patches ahead; 0 makes them in this process, which costs a few percent of a step.
    """

    batch_size: int = 1
    learning_rate: float = 2e-3
    warm_up: float = 0.2
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.99)
    dice: DiceForm = "logarithmic"
    bce_share: float = 1.0
    proximal_mu: float = 0.0
    structure_share: float = 2 / 3
    centre_jitter_voxels: int = 4
    warp_share: float = 0.0
    rotation_degrees: float = 10.0
    scale: float = 0.12
    intensity_scale: float = 0.1
    intensity_shift: float = 0.1
    gamma: float = 0.0
    noise_sd: float = 0.0
    mirror_share: float = 0.0
    threads: int = 2
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    devices: int = 1
    workers: int = 0
