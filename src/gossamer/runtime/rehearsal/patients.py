"""Synthetic patients to train on in a rehearsal: the work of real ones, and nothing to learn.

Their grid is taken for the plan's, and each structure of the federation takes the mask of some organ by turns. So a
patient costs no resampling, every structure is there, and a patch takes as long to cut as one of a real case.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from gossamer.data.phantom import HOSPITALS, draw_patient
from gossamer.data.plan import Plan
from gossamer.data.prepared import PreparedCase, arrays_on_grid, read_prepared_case, write_prepared_case

PATIENTS = 2
"""A network that sees one only would find the same file in the cache at each step."""

HOSPITAL = HOSPITALS[1]
"""The one with the largest voxels: its patients are drawn in a quarter of a second."""


def synthetic_cases(plan: Plan, site: str, folder: Path) -> tuple[PreparedCase, ...]:
    """Draw a site's patients, as prepared cases.

    Args:
        plan: whose structures they shall have.
        site: what their shapes depend on.
        folder: for the prepared cases.

    Raises:
        StorageError: they cannot be written.
        PlanError: the plan has more structures than label bits.
    """
    return tuple(_case(plan, (zlib.crc32(site.encode()), number), folder) for number in range(PATIENTS))


def _case(plan: Plan, seed: tuple[int, int], folder: Path) -> PreparedCase:
    patient = draw_patient("head-neck", HOSPITAL, seed)
    organs = list(patient.masks.values())
    masks = {name: organs[c % len(organs)] for c, name in enumerate(plan.structures)}
    place = folder / f"synthetic-{seed[1]}"
    write_prepared_case(
        place,
        arrays_on_grid(patient.image.voxels, masks, plan.spacing_mm, plan),
        split="train",
        annotated=[True] * len(masks),
        complete=[True] * len(masks),
    )
    return read_prepared_case(place)
