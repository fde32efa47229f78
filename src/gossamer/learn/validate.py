"""Validation during training: DSC per case and organ on the plan's grid, cheap enough to do often.

Not the study's scores: those are taken by ``evaluate`` on the images' own grids. Windows overlap less than for them.
What is one piece by the plan keeps its main piece here as it does there.
Whole images at once would be faster still, but instance normalisation then sees other statistics than in training:
on OpenKBP the mean over organs fell from .556 to .530.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from gossamer.data.plan import Plan
from gossamer.data.prepared import PreparedCase
from gossamer.learn.compute import working_type
from gossamer.segment.pieces import main_pieces
from gossamer.segment.sliding import predict_logits

OVERLAP = 0.25
"""Of neighbouring windows, as part of their size."""

CaseScores = Mapping[str, float]
"""DSC by structure."""


def validate(network: nn.Module, cases: Iterable[PreparedCase], plan: Plan, fabric: Fabric) -> dict[str, CaseScores]:
    """Score a network on prepared cases.

    Args:
        network: the plan's network with its parameters; moved to the fabric's device, and put into evaluation mode for
            the while.
        cases: validation cases.
        plan: structures, patch and intensities.
        fabric: device and precision.

    Returns:
        By case id the DSC of each structure that is complete in the case and has a voxel on this grid.
    """
    was_training = network.training
    network.to(fabric.device).eval()
    precision = working_type(fabric)
    scores = {case.id: _scores(network, case, plan, precision) for case in cases}
    network.train(was_training)
    return scores


def mean_by_structure(scores: Mapping[str, CaseScores], structures: Iterable[str]) -> dict[str, float | None]:
    """Mean DSC over cases, for each structure; None where no case has it."""
    result: dict[str, float | None] = {}
    for name in structures:
        values = [case[name] for case in scores.values() if name in case]
        result[name] = float(np.mean(values)) if values else None
    return result


def _scores(network: nn.Module, case: PreparedCase, plan: Plan, precision: torch.dtype) -> CaseScores:
    scored = [c for c in range(len(plan.structures)) if case.complete[c] and case.voxels[c]]
    if not scored:
        return {}
    logits = predict_logits(network, plan, case.image_hu, case.centre_yx, precision=precision, overlap=OVERLAP)
    inside = (logits > 0).numpy()
    labels = case.labels
    one = labels.dtype.type(1)
    scores = {}
    for c in scored:
        name = plan.structures[c]
        predicted = main_pieces(inside[c]) if name in plan.one_piece else inside[c]
        scores[name] = _dsc(predicted, (labels >> labels.dtype.type(c) & one) > 0)
    return scores


def _dsc(predicted: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    return 2.0 * float(np.count_nonzero(predicted & reference)) / float(predicted.sum() + reference.sum())
