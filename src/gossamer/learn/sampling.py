"""Where patches are cut: the structure first, then a patient annotated for it.

Sampling by patient shows a network what fills patients: background, and organs that are drawn often. Here two patches
of three are centred on a structure, structures taken evenly, whatever their size and however few patients have them.

Law: the place of patch i is a pure function of (seed, site, i). No state is carried, so patches can be made in any
order, by any process, or again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gossamer.data.prepared import PreparedCase
from gossamer.errors import NoTrainingCaseError
from gossamer.learn.recipe import Recipe
from gossamer.learn.seeds import generator
from gossamer.units import ShapeZYX


@dataclass(frozen=True)
class PatchPlace:
    """Where a patch lies.

    Attributes:
        case: index of the case.
        centre: voxel (z, y, x) that it should be centred on.
        structure: index of the structure it was chosen for; None for a patch from anywhere.
    """

    case: int
    centre: ShapeZYX
    structure: int | None


class PatchSampler:
    """Chooses places in a site's training cases."""

    def __init__(self, cases: Sequence[PreparedCase], recipe: Recipe, seed: int, site: str) -> None:
        """Look at which cases have which structures.

        Raises:
            NoTrainingCaseError: there is no case.
        """
        if not cases:
            raise NoTrainingCaseError(
                f"site {site}: wanted cases to train on; found none; give it cases of the split 'train', "
                "or leave the site out of the study"
            )
        self._cases = cases
        self._recipe = recipe
        self._seed = seed
        self._site = site
        having = {c: [i for i, case in enumerate(cases) if case.voxels[c]] for c in range(len(cases[0].voxels))}
        self._having = {c: found for c, found in having.items() if found}

    @property
    def structures(self) -> tuple[int, ...]:
        """Structures that some case has."""
        return tuple(self._having)

    def place(self, index: int) -> PatchPlace:
        """The place of patch ``index``."""
        draw = generator(self._seed, self._site, "place", index)
        if self._having and draw.random() < self._recipe.structure_share:
            return self._on_structure(self._structure(index), draw)
        return self._anywhere(draw)

    def _structure(self, index: int) -> int:
        """Structures come by turns, in a new order each turn: even also over a short run."""
        turn, at = divmod(index, len(self._having))
        order = generator(self._seed, self._site, "order of structures", turn).permutation(self.structures)
        return int(order[at])

    def _on_structure(self, structure: int, draw: np.random.Generator) -> PatchPlace:
        case = self._having[structure][draw.integers(len(self._having[structure]))]
        centres = self._cases[case].centres
        first, end = np.searchsorted(centres[:, 0], (structure, structure + 1))
        jitter = draw.integers(-self._recipe.centre_jitter_voxels, self._recipe.centre_jitter_voxels, 3, endpoint=True)
        z, y, x = (int(n) for n in centres[draw.integers(first, end), 1:] + jitter)
        return PatchPlace(case, (z, y, x), structure)

    def _anywhere(self, draw: np.random.Generator) -> PatchPlace:
        case = int(draw.integers(len(self._cases)))
        z, y, x = (int(draw.integers(n)) for n in self._cases[case].shape)
        return PatchPlace(case, (z, y, x), None)
