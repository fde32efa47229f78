"""Signed distances in mm to simple shapes: negative inside. Places are (x, y, z) in LPS mm.

Distances are exact to first order at the surface, which is where they are used: for soft edges (partial volume) and
for contours drawn a millimetre too wide.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from gossamer.data.phantom.fields import FloatGrid

PointXYZ = tuple[float, float, float]

TINY = 1e-6


class Places(Protocol):
    """Coordinates in the patient of the voxels of a part of the grid, each float32 [z, y, x]."""

    @property
    def x(self) -> FloatGrid: ...  # noqa: D102
    @property
    def y(self) -> FloatGrid: ...  # noqa: D102
    @property
    def z(self) -> FloatGrid: ...  # noqa: D102


def ellipsoid(
    at: Places, centre: PointXYZ, radii: PointXYZ, *, roll: float = 0.0, tilt: float = 0.0, yaw: float = 0.0
) -> FloatGrid:
    """Distance to an ellipsoid.

    Args:
        at: where.
        centre: in mm.
        radii: half axes in mm.
        roll: its upper end leans to the left by this many radians (about y).
        tilt: its upper end leans to the back (about x).
        yaw: its left end turns to the back (about z).
    """
    x, y, z = at.x - centre[0], at.y - centre[1], at.z - centre[2]
    if yaw:
        c, s = math.cos(yaw), math.sin(yaw)
        x, y = c * x + s * y, c * y - s * x
    if tilt:
        c, s = math.cos(tilt), math.sin(tilt)
        y, z = c * y - s * z, c * z + s * y
    if roll:
        c, s = math.cos(roll), math.sin(roll)
        x, z = c * x - s * z, c * z + s * x
    rx, ry, rz = (1 / r for r in radii)
    x, y, z = x * rx, y * ry, z * rz
    level = np.sqrt(x * x + y * y + z * z)
    x *= rx
    y *= ry
    z *= rz
    return np.asarray(level * (level - 1) / (np.sqrt(x * x + y * y + z * z) + TINY), np.float32)


def oval_section(x: FloatGrid, y: FloatGrid, half_x: FloatGrid | float, half_y: FloatGrid | float) -> FloatGrid:
    """Distance to an upright elliptic cylinder."""
    u, v = x / half_x, y / half_y
    level = np.sqrt(u * u + v * v) + (1e-4)
    slope = np.sqrt((u / half_x) ** 2 + (v / half_y) ** 2) / level + (1e-6)
    return np.asarray((level - 1) / slope, np.float32)


def rounded_section(x: FloatGrid, y: FloatGrid, half_x: FloatGrid | float, half_y: FloatGrid | float) -> FloatGrid:
    """Distance to an upright cylinder whose cross-section lies between an ellipse and a rounded box, as a trunk does.

    Args:
        x: from its axis, in mm.
        y: from its axis, in mm.
        half_x: half its width in mm.
        half_y: half its depth in mm.
    """
    u, v = x / half_x, y / half_y
    u2, v2 = u * u, v * v
    level = np.sqrt(np.sqrt(u2 * u2 + v2 * v2 + 1.3 * u2 * v2)) + TINY
    gradient_x = u * (u2 + 0.65 * v2) / half_x
    gradient_y = v * (v2 + 0.65 * u2) / half_y
    slope = np.sqrt(gradient_x * gradient_x + gradient_y * gradient_y) / (level * level * level) + TINY
    return np.asarray((level - 1) / slope, np.float32)


def segment(at: Places, start: PointXYZ, end: PointXYZ, start_radius: float, end_radius: float) -> FloatGrid:
    """Distance to a round, tapered rod."""
    ax, ay, az = (float(b - a) for a, b in zip(start, end, strict=True))
    length2 = ax * ax + ay * ay + az * az + TINY
    x, y, z = at.x - start[0], at.y - start[1], at.z - start[2]
    part = np.clip((x * ax + y * ay + z * az) / length2, 0, 1)
    x -= part * ax
    y -= part * ay
    z -= part * az
    radius = start_radius + part * (end_radius - start_radius)
    return np.asarray(np.sqrt(x * x + y * y + z * z) - radius, np.float32)


def union(a: FloatGrid, b: FloatGrid, blend_mm: float) -> FloatGrid:
    """Both shapes as one, the groove between them filled over ``blend_mm``."""
    mix = np.maximum(blend_mm - np.abs(a - b), 0)
    return np.asarray(np.minimum(a, b) - mix * mix / (4 * blend_mm), np.float32)


def intersection(a: FloatGrid, b: FloatGrid, blend_mm: float) -> FloatGrid:
    """What lies in both, its edge rounded over ``blend_mm``."""
    return -union(-a, -b, blend_mm)
