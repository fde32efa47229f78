"""What an image must say of itself before it can be a slice, and its geometry as arrays.

Law: nothing is completed by a guess. An image without a position, an orientation or a size of its pixels refuses its
series, since nobody knows where it belongs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossamer.dicom.series.ct_series import Slice
from gossamer.errors import UnreadableImageError

Floats = NDArray[np.float64]

DIRECTION_TOLERANCE = 1e-3
"""Of directions that should be of length 1, at right angles, or equal; writers round to three digits or more."""

MIN_SPACING_MM, MAX_SPACING_MM = 0.01, 100.0
"""No CT has pixels or slices nearer or further apart; as for NIfTI."""

MAX_POSITION_MM = 1e5
"""Of a slice from the origin; no patient is further away."""


def geometry_of(one: Slice) -> tuple[Floats, Floats, Floats]:
    """Position [3], directions in which columns and rows grow [2, 3], and spacing between rows and columns [2]."""
    plane = one.plane
    return (
        np.array(plane.position_xyz, dtype=np.float64),
        np.array(plane.orientation, dtype=np.float64).reshape(2, 3),
        np.array(plane.spacing_mm, dtype=np.float64),
    )


def check_usable(one: Slice) -> None:
    """Raise UnreadableImageError unless an image has a geometry, and one content."""
    if one.header.contradicted:
        raise UnreadableImageError(
            f"wanted one image a SOP Instance UID; found two files of {one.name} that differ; remove the wrong one"
        )
    for value, keyword in (
        (one.plane.position_xyz, "Image Position (Patient)"),
        (one.plane.orientation, "Image Orientation (Patient)"),
        (one.plane.spacing_mm, "Pixel Spacing"),
    ):
        if value is None:
            raise UnreadableImageError(
                f"wanted {keyword} in each slice; found none in {one.name}; export the series again"
            )
    _check_geometry(one)


def _check_geometry(one: Slice) -> None:
    position, orientation, spacing = geometry_of(one)
    if np.abs(position).max() > MAX_POSITION_MM:
        raise UnreadableImageError(
            f"{one.name}: wanted a slice within 100 m of the origin; found {np.abs(position).max():.3g} mm; "
            "export the series again"
        )
    if not _are_directions(*orientation):
        raise UnreadableImageError(
            f"{one.name}: wanted an Image Orientation of two directions of length 1 at right angles; found "
            f"{', '.join(f'{number:.4g}' for number in orientation.ravel())}; export the series again"
        )
    if min(spacing) < MIN_SPACING_MM or max(spacing) > MAX_SPACING_MM:
        raise UnreadableImageError(
            f"{one.name}: wanted pixels of {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g} mm; found "
            f"{spacing[0]:.4g} x {spacing[1]:.4g} mm; export the series again"
        )
    if min(one.header.rows, one.header.columns) < 1:
        raise UnreadableImageError(f"{one.name}: wanted rows and columns; found none; export the series again")


def _are_directions(across: Floats, down: Floats) -> bool:
    """Whether two vectors are of length 1 and at right angles."""
    if max(np.abs(across).max(), np.abs(down).max()) > 2:  # their squares may overflow
        return False
    lengths = np.linalg.norm([across, down], axis=1)
    return bool(np.abs(lengths - 1.0).max() <= DIRECTION_TOLERANCE and abs(across @ down) <= DIRECTION_TOLERANCE)
