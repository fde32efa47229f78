"""Whether a structure lies on the side that its name says.

A name that ends in ``_L`` and a mask on the right is the most dangerous mistake of a structure set: a network learns it
without a word. Names are never corrected here; who drew the contours has to say what is right.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gossamer.data.image import Image
from gossamer.data.tg263 import STRUCTURES

DENSE_HU = -300.0
"""Soft tissue and bone are above; lung, air and most of the couch below."""

TOLERANCE_MM = 10.0
"""How far on the other side of the body's middle a structure without its partner may lie: patients lie askew."""


def wrong_sides(masks: Mapping[str, NDArray[np.bool_]], image: Image) -> tuple[str, ...]:
    """What lies on the other side than it should.

    Of two partners the left one must lie further left; a structure without its partner is held against the middle of
    the body in the slices where it is.

    Args:
        masks: by standard name bool [z, y, x], in canonical orientation.
        image: the CT they were drawn on.

    Returns:
        For each structure or pair a sentence with the distance in mm; () if all is well.
    """
    found = []
    for name, mask in masks.items():
        row = STRUCTURES.get(name)
        if row is None or row.side is None or not mask.any():
            continue
        partner = masks.get(row.partner or "")
        if partner is not None and partner.any():
            if row.side == "L" and (swapped_mm := _left_of(partner, mask, image)) > 0:
                found.append(f"{name} lies {swapped_mm:.0f} mm to the right of {row.partner}")
            continue
        beyond_mm = _left_of_middle(mask, image) * (-1 if row.side == "L" else 1)
        if beyond_mm > TOLERANCE_MM:
            found.append(f"{name} lies {beyond_mm:.0f} mm on the other side of the body's middle")
    return tuple(found)


def _left_of(one: NDArray[np.bool_], other: NDArray[np.bool_], image: Image) -> float:
    """How far one mask's middle lies to the patient's left of another's, in mm."""
    return float((_middle_x(one) - _middle_x(other)) * image.frame.spacing_mm[2])


def _left_of_middle(mask: NDArray[np.bool_], image: Image) -> float:
    """How far a mask's middle lies to the left of the body's in the same slices, in mm; 0 where no body is found."""
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    body = image.voxels[slices[0] : slices[-1] + 1] > DENSE_HU
    if not body.any():
        return 0.0
    return float((_middle_x(mask) - _middle_x(body)) * image.frame.spacing_mm[2])


def _middle_x(mask: NDArray[np.bool_]) -> float:
    counts = np.count_nonzero(mask, axis=(0, 1))
    return float(counts @ np.arange(mask.shape[2]) / counts.sum())
