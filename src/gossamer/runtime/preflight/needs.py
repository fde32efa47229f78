"""What a run will need of this machine, told from descriptions alone: no image is read, and nothing is computed.

The plan is the one that would follow from this site's cases alone; the real one follows from all sites' and has about
the same size, since the federation file sets that. Its network is built without memory (PyTorch's ``meta`` device) and
run once, which tells its parameters and, within a few percent, what a step keeps for its way back. All figures are on
the large side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from gossamer.data.dataset import Dataset
from gossamer.data.description import Case
from gossamer.data.fingerprint import HU_HIGHEST, HU_LOWEST, Fingerprint, fingerprint_without_image, merged
from gossamer.data.plan import Plan
from gossamer.data.planning import PlanRules, plan_from_fingerprint
from gossamer.data.prepared import prepared_bytes
from gossamer.learn.recipe import Recipe
from gossamer.nets import build_network

PROCESS_BYTES = 640 * 2**20
"""A site's process with all it loads, and what PyTorch sets aside at the first step (measured on Linux, PyTorch 2.13:
437 MiB, and about 160)."""

WORKER_BYTES = 192 * 2**20
"""A data worker: NumPy and SciPy, no PyTorch."""

DEVICE_BYTES = 512 * 2**20
"""What CUDA's context takes of a GPU."""

WORKSPACE = 2
"""A step holds what it keeps for its way back, and as much again for gradients and what convolutions work in (measured:
1.3 times in all, on a processor)."""

READING_BYTES = 14
"""Of a voxel while its case is prepared: the file's bytes, the image, its float32 form and one resampled axis; each
mask adds a byte (measured with ten masks: 19 of these 24)."""

OWN_MODELS = 3
"""Copies of a model in a journal's record: the node's, and AdamW's two moments."""

RECORDS = 3
"""A journal's two generations, and the one being written."""


@dataclass(frozen=True)
class Needs:
    """What a run needs at most.

    Attributes:
        model_bytes: parameters of the network, which is also what one share takes.
        prepared_bytes: of the disk: cases on the plan's grid.
        run_bytes: of the disk: journal, frames that have half come, the model.
        memory_bytes: of the machine.
        device_bytes: of a GPU, if it trains on one.
    """

    model_bytes: int
    prepared_bytes: int
    run_bytes: int
    memory_bytes: int
    device_bytes: int


def expected_needs(
    dataset: Dataset, structures: Sequence[str], rules: PlanRules, recipe: Recipe, *, peers: int
) -> Needs:
    """What a run on these cases needs.

    Args:
        dataset: this site's.
        structures: of the federation.
        rules: of the federation.
        recipe: of the federation.
        peers: how many other sites there are.

    Raises:
        PlanError: no plan follows from such cases and rules.
    """
    plan = expected_plan(dataset.cases, structures, rules)
    model, kept = _model_and_kept_bytes(plan, recipe.batch_size)
    record = OWN_MODELS + 2 * peers  # a share to each peer and one from each
    held = 2 * OWN_MODELS + 2 + 2 * peers  # those, their bytes on the way to the disk, weights and gradients
    reading = max((prod(case.shape) * (READING_BYTES + len(case.annotated)) for case in dataset.cases), default=0)
    step = WORKSPACE * kept
    return Needs(
        model_bytes=model,
        prepared_bytes=prepared_bytes(dataset.cases, plan),
        run_bytes=model * (RECORDS * record + peers + 2),
        memory_bytes=PROCESS_BYTES + recipe.workers * WORKER_BYTES + held * model + max(step, reading),
        device_bytes=DEVICE_BYTES + (OWN_MODELS + 1) * model + step,
    )


def expected_plan(cases: Sequence[Case], structures: Sequence[str], rules: PlanRules) -> Plan:
    """The plan but for its intensities, from descriptions; structures drawn nowhere here are drawn elsewhere.

    Raises:
        PlanError: none follows.
    """
    described = [fingerprint_without_image(case) for case in cases if case.split == "train"]
    elsewhere = Fingerprint(annotated=dict.fromkeys(structures, 1), hu={HU_LOWEST: 1, HU_HIGHEST: 1})
    return plan_from_fingerprint(merged([*described, elsewhere]), structures, rules)


def _model_and_kept_bytes(plan: Plan, batch_size: int) -> tuple[int, int]:
    """Bytes of the parameters, and of what a forward pass keeps for the way back, in float32."""
    kept = 0
    seen: list[torch.UntypedStorage] = []  # held, so that no other storage takes the place of one seen

    def note(tensor: Tensor) -> Tensor:
        nonlocal kept
        storage = tensor.untyped_storage()
        if all(storage is not other and storage._cdata != other._cdata for other in seen):
            seen.append(storage)
            kept += storage.nbytes()
        return tensor

    with torch.device("meta"):
        network = build_network(plan)
        images_BCZYX = torch.empty(batch_size, plan.input_channels, *plan.patch_size)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            network(images_BCZYX)
    model = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    return model, kept
