"""From native arrays to canonical orientation, images and masks, and back.

Law: ``to_canonical`` only permutes and flips, and takes only what is even and straight; ``from_canonical`` undoes it.
What is uneven or tilted is carried onto an even, straight grid before, and back after; see ``carry``.

Native arrays are [k, r, c] on a ``SliceStack``; canonical ones [z, y, x] with a ``Frame``; see ``gossamer.units``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.orientation import LPS_FROM_RAS, Orientation
from gossamer.dicom.series.carry import carry_image, carry_mask, regular_stack
from gossamer.dicom.series.evenness import is_regular, skew_mm, unevenness_mm
from gossamer.dicom.series.stack import SliceStack, check_on_stack
from gossamer.errors import GeometryMismatchError

Floats = NDArray[np.float64]


def canonical_image(native: NDArray[Any], stack: SliceStack) -> tuple[Image, SliceStack]:
    """A CT in canonical orientation; what is uneven or tilted is carried onto an even, straight grid.

    Args:
        native: HU [k, r, c].
        stack: where they lie.

    Returns:
        The image, and the stack that it was turned from: ``stack`` itself if that is even and straight, else
        ``regular_stack(stack)``.

    Raises:
        GeometryMismatchError: as for :func:`to_canonical` and :func:`regular_stack`.
    """
    regular = regular_stack(stack)
    voxels, frame = to_canonical(native if regular is stack else carry_image(native, stack, regular), regular)
    return Image(voxels, frame), regular


def canonical_mask(native: NDArray[np.bool_], stack: SliceStack, regular: SliceStack) -> NDArray[np.bool_]:
    """A mask bool [k, r, c] on the grid of its image in canonical orientation: bool [z, y, x].

    Args:
        native: mask on ``stack``.
        stack: where the slices lie.
        regular: what :func:`canonical_image` returned.
    """
    return np.asarray(to_canonical(native if regular is stack else carry_mask(native, stack, regular), regular)[0])


def native_mask(mask: NDArray[np.bool_], stack: SliceStack, regular: SliceStack) -> NDArray[np.bool_]:
    """A mask bool [z, y, x] of an image in canonical orientation on its slices: bool [k, r, c].

    Args:
        mask: on the grid of the image.
        stack: where the slices lie.
        regular: what :func:`canonical_image` returned.
    """
    turned = from_canonical(mask, regular)
    return turned if regular is stack else carry_mask(turned, regular, stack)


# Even and straight stacks


def to_canonical(native: NDArray[Any], stack: SliceStack) -> tuple[NDArray[Any], Frame]:
    """Turn an image or mask on an even and straight stack.

    Args:
        native: [k, r, c].
        stack: where it lies.

    Returns:
        The same values [z, y, x], contiguous, and where they lie; an oblique stack stays oblique.

    Raises:
        GeometryMismatchError: the array is not on this stack, or the stack is uneven or tilted; see ``carry``.
    """
    check_on_stack(native, stack)
    orientation, ras_from_krc = _orientation(stack)
    return np.ascontiguousarray(orientation.to_canonical(native)), orientation.frame(stack.shape, ras_from_krc)


def from_canonical(voxels: NDArray[Any], stack: SliceStack) -> NDArray[Any]:
    """Undo ``to_canonical``.

    Args:
        voxels: [z, y, x].
        stack: even and straight.

    Returns:
        The same values [k, r, c], contiguous.

    Raises:
        GeometryMismatchError: as for :func:`to_canonical`.
    """
    native = _orientation(stack)[0].to_file(voxels)
    check_on_stack(native, stack)
    return np.ascontiguousarray(native)


def _orientation(stack: SliceStack) -> tuple[Orientation, Floats]:
    """How to turn a stack, and its affine [4, 4] from index (k, r, c) to RAS mm."""
    if not is_regular(stack):
        raise GeometryMismatchError(
            f"wanted slices on an even, straight grid; found them up to {unevenness_mm(stack):.2f} mm off along the "
            f"normal and {skew_mm(stack):.2f} mm across; carry them onto the regular stack first"
        )
    slice_step = (stack.first_xyz[-1] - stack.first_xyz[0]) / (len(stack.first_xyz) - 1)
    lps_from_krc = np.eye(4)
    lps_from_krc[:3] = np.stack([slice_step, stack.row_step_xyz, stack.column_step_xyz, stack.first_xyz[0]], axis=1)
    ras_from_krc = LPS_FROM_RAS @ lps_from_krc
    return Orientation.of_affine(ras_from_krc), ras_from_krc
