"""Augmentation: small rotations and changes of size and intensity. Left and right are never exchanged by stealth.

A mirrored patch shows the left parotid where the right one belongs; a network trained on such patches calls one organ
by two names. ``mirror`` therefore swaps the labels of paired structures, and what was annotated, along with the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.learn.recipe import Recipe
from gossamer.units import ZYX


def draw_warp(recipe: Recipe, spacing_mm: ZYX, draw: np.random.Generator) -> NDArray[np.float64] | None:
    """A random rotation and change of size, or None where the patch stays as it is.

    Returns:
        float64 [3, 3]: the step (z, y, x) in voxels from the centre of the source that a step from the patch's centre
        stands for. Rotations are rotations in mm, whatever the spacing.
    """
    if draw.random() >= recipe.warp_share:
        return None
    angles = np.deg2rad(draw.uniform(-recipe.rotation_degrees, recipe.rotation_degrees, 3))
    size = draw.uniform(1 / (1 + recipe.scale), 1 + recipe.scale)
    mm = np.diag(spacing_mm)
    return np.asarray(np.linalg.inv(mm) @ _rotation(angles) @ mm * size)


def change_intensity(intensity: NDArray[np.float32], recipe: Recipe, draw: np.random.Generator) -> None:
    """Scale, shift, bend and roughen normalised intensities [z, y, x], in place."""
    if recipe.gamma:
        low, high = float(intensity.min()), float(intensity.max())
        exponent = np.exp(draw.uniform(-recipe.gamma, recipe.gamma))
        width = max(high - low, 1e-6)
        intensity[:] = ((intensity - low) / width) ** exponent * width + low
    intensity *= np.float32(1 + draw.uniform(-recipe.intensity_scale, recipe.intensity_scale))
    intensity += np.float32(draw.uniform(-recipe.intensity_shift, recipe.intensity_shift))
    if recipe.noise_sd:
        spread = np.float32(draw.uniform(0, recipe.noise_sd))
        intensity += spread * draw.standard_normal(intensity.shape, dtype=np.float32)


def mirror(
    image: NDArray[Any],
    labels: NDArray[Any],
    annotated: NDArray[np.bool_],
    pairs: Sequence[tuple[int, int]],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """Mirror a patient left to right: what was left is right, and is called so.

    Args:
        image: [..., z, y, x].
        labels: uint [z, y, x], bit c set where structure c is.
        annotated: bool [C].
        pairs: indices of left and right partners (``LabelSpace.pairs``).
    """
    partner = np.arange(len(annotated))
    for left, right in pairs:
        partner[[left, right]] = right, left
    flipped = labels[..., ::-1]
    swapped = np.zeros_like(flipped)
    one = labels.dtype.type(1)
    for c, other in enumerate(partner):
        swapped |= (flipped >> labels.dtype.type(c) & one) << labels.dtype.type(other)
    return image[..., ::-1], swapped, annotated[partner]


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation about z, then y, then x, in (z, y, x) order."""
    rotation = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = (k for k in range(3) if k != axis)
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        rotation = rotation @ turn
    return rotation
