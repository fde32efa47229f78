"""Whether a CT lies as its axes say: left and right alike, the spine behind the airways, cut at head and feet only.

Three facts of any patient, from the image alone:

1. Bodies are symmetric from left to right, and less so from front to back or from top to bottom.
2. Gas (airways, lungs, bowel) lies in front of the bone of the same slice, whose bulk is spine.
3. A scan ends where its first and last slice cut the body; front, back and sides are within the field of view.

Upside down can not be told so, and left from right not either: the first is seen by what a model finds, the second only
where organs are on one side.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gossamer.data.body import Body

BONE_HU = 250.0
GAS_HU = -400.0

LESS_SYMMETRIC = 0.06
"""By how much left and right may be less alike than front and back, as correlations: livers and hearts are on one side.
Abdomens have +0.02 at most, heads turned by 90 degrees 0.09 and more in 99 of 100."""

BEHIND = 0.02
"""By how much gas may lie behind bone, as a share of the body's depth: noses, ears and sinuses."""

LEAST_SLICES = 8
"""With gas and bone, before anything is said."""

LEAST_VOXELS = 3
"""Of gas, and of bone, in a slice: half a square centimetre."""

CUT_FACE = 0.15
"""Of a face's largest possible cut of the body: so much of it is no elbow."""

CLIPPED_HU = (-300.0, 300.0)
"""So that metal and air do not decide how alike two halves are."""

AXES = ("top and bottom", "front and back", "left and right")


def lying_faults(body: Body) -> Iterator[str]:
    """How the patient lies otherwise than the axes say.

    Args:
        body: of a CT in HU.

    Yields:
        A phrase for each fault, with what was wanted and found.
    """
    if not body.inside.any():
        return
    alike = symmetry(body)
    most = int(np.argmax(alike))
    if alike[most] - alike[2] > LESS_SYMMETRIC:
        yield f"wanted left and right most alike; found {AXES[most]} (correlation {alike[most]:.2f} to {alike[2]:.2f})"
    if (behind := gas_behind_bone(body)) > BEHIND:
        yield f"wanted airways in front of the spine; found gas behind bone by {100 * behind:.0f} % of the body's depth"
    z, y, x = cut_faces(body)
    if max(y, x) > CUT_FACE and z < CUT_FACE:
        where = "in front or behind" if y > x else "at a side"
        yield f"wanted the scan to end at top or bottom; found the body cut {where}"


def symmetry(body: Body) -> tuple[float, float, float]:
    """How alike the two halves of a body are along z, y, x: correlation of its HU with their mirror image."""
    box = ndimage.find_objects(body.inside.astype(np.int8))[0]
    inside = body.inside[box]
    hu = np.where(inside, body.hu[box].clip(*CLIPPED_HU), CLIPPED_HU[0])
    middle = ndimage.center_of_mass(inside)
    z, y, x = (_alike(np.moveaxis(hu, axis, 0), middle[axis]) for axis in range(3))
    return z, y, x


def _alike(hu: NDArray[np.float32], middle: float) -> float:
    """Correlation with the mirror image about a place along the first axis; 0 where nothing varies."""
    n, twice = hu.shape[0], round(2 * middle)
    kept = hu[max(0, twice - n + 1) : min(n, twice + 1)]
    one, other = kept.ravel(), kept[::-1].ravel()
    return float(np.corrcoef(one, other)[0, 1]) if one.size > 1 and one.std() > 0 else 0.0


def gas_behind_bone(body: Body) -> float:
    """How far gas lies behind the bone of its slice, in the middle over slices, as a share of the body's depth.

    Negative where gas is in front, as it should be; 0 where too few slices have both.
    """
    deep = ndimage.binary_erosion(body.inside, ndimage.generate_binary_structure(2, 1)[None], iterations=2)
    bone, gas = body.inside & (body.hu > BONE_HU), deep & (body.hu < GAS_HU)
    rows = np.arange(body.hu.shape[1])
    behind = []
    in_slices = (np.count_nonzero(mask, axis=(1, 2)) >= LEAST_VOXELS for mask in (bone, gas))
    for z in np.flatnonzero(np.logical_and(*in_slices)):
        bone_y, gas_y = (np.average(rows, weights=np.count_nonzero(mask[z], axis=1)) for mask in (bone, gas))
        depth = np.count_nonzero(body.inside[z].any(axis=1))
        behind.append((gas_y - bone_y) / depth)
    return float(np.median(behind)) if len(behind) >= LEAST_SLICES else 0.0


def cut_faces(body: Body) -> tuple[float, float, float]:
    """How much of the body is cut by the image's faces along z, y, x: of its largest cut along that axis."""
    z, y, x = (_cut(np.count_nonzero(body.inside, axis=others)) for others in ((1, 2), (0, 2), (0, 1)))
    return z, y, x


def _cut(areas: NDArray[np.intp]) -> float:
    return float(max(areas[0], areas[-1]) / max(1, areas.max()))
