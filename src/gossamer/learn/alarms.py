"""Organs that are not being learnt, named early and with likely causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gossamer.data.prepared import PreparedCase

DUE = 0.2
"""Part of the training after which an organ should have begun to show."""

LEARNT = 0.01
"""DSC below which an organ counts as not found at all."""

FEW_CASES = 5
SMALL_VOXELS = 100
RARE_SHARE = 0.05


@dataclass(frozen=True)
class StuckOrgan:
    """An organ still at DSC 0.

    Attributes:
        structure: its name.
        causes: likely ones, most likely first, as sentences with the facts they rest on; none where none is known.
    """

    structure: str
    causes: tuple[str, ...]


def stuck_organs(
    dsc: Mapping[str, float | None], cases: Sequence[PreparedCase], structures: Sequence[str], done: float
) -> tuple[StuckOrgan, ...]:
    """Organs that training has not begun to find.

    Args:
        dsc: by structure, on validation cases; None where no case has it.
        cases: training cases, of all sites that are known.
        structures: of the plan.
        done: part of the training, 0 to 1; before ``DUE`` nothing is said.
    """
    if done < DUE:
        return ()
    return tuple(
        StuckOrgan(name, _causes(cases, c))
        for c, name in enumerate(structures)
        if (score := dsc.get(name)) is not None and score < LEARNT
    )


def _causes(cases: Sequence[PreparedCase], structure: int) -> tuple[str, ...]:
    drawn = [case for case in cases if case.annotated[structure]]
    sizes = [case.voxels[structure] for case in drawn if case.voxels[structure]]
    causes = []
    if not drawn:
        causes.append(f"it was drawn in none of {len(cases)} training cases")
    elif not sizes:
        causes.append(f"it has no voxel on the plan's grid in any of {len(drawn)} cases: the spacing is too coarse")
    else:
        middle = int(np.median(sizes))
        if len(drawn) < FEW_CASES:
            causes.append(f"it was drawn in only {len(drawn)} of {len(cases)} training cases")
        if middle < SMALL_VOXELS:
            causes.append(f"it is small: {middle} voxels on the plan's grid (median); a finer spacing would help")
        if len(drawn) < RARE_SHARE * len(cases):
            causes.append(f"it is rare: drawn in {len(drawn)} of {len(cases)} cases")
    return tuple(causes)
