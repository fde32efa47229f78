"""Solids whose dose figures in a linear dose have closed forms, drawn as masks, and the linear dose.

Coordinates are (z, y, x) in mm from the middle of the solid. The dose is ``CENTRE_GY + slope * distance`` along a unit
direction; ``hottest(volume)`` gives how far along it the plane lies that cuts off the hottest ``volume``.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

from gossamer.data.dose import DoseGrid
from gossamer.data.frame import Frame

CENTRE_GY = 50.0
ALONG = {"head": (1, 0, 0), "feet": (-1, 0, 0), "back": (0, 1, 0), "right": (0, 0, -1)}
"""Unit directions (z, y, x) in which the dose grows; solids are round about z."""


def segment(radius, away):
    """Area of a disc beyond a line ``away`` from its middle."""
    if abs(away) >= radius:
        return 0.0 if away > 0 else math.pi * radius**2
    return radius**2 * math.acos(away / radius) - away * math.sqrt(radius**2 - away**2)


@dataclass(frozen=True)
class Sphere:
    radius: float
    middle = 0.0  # by symmetry: mean dose is that of the middle

    def holds(self, z, y, x):
        return z**2 + y**2 + x**2 <= self.radius**2

    def hottest(self, volume, along):
        # A cap of height h has the volume pi h^2 (3 r - h) / 3.
        return self.radius - brentq(lambda h: math.pi * h**2 * (3 * self.radius - h) / 3 - volume, 0, 2 * self.radius)


@dataclass(frozen=True)
class Cylinder:
    radius: float
    length: float
    middle = 0.0

    def holds(self, z, y, x):
        return (abs(z) <= self.length / 2) & (y**2 + x**2 <= self.radius**2)

    def hottest(self, volume, along):
        if along in ("head", "feet"):  # a disc
            return self.length / 2 - volume / (math.pi * self.radius**2)
        # A segment of the disc, over the whole length.
        return brentq(lambda a: segment(self.radius, a) * self.length - volume, -self.radius, self.radius)


@dataclass(frozen=True)
class Cone:
    """Its base faces the feet, at -length / 2; its tip is at +length / 2."""

    radius: float
    length: float

    @property
    def middle(self):
        return -self.length / 4  # its centroid lies a quarter of its height above the base

    def holds(self, z, y, x):
        return (z >= -self.length / 2) & (np.hypot(y, x) <= self.radius * (self.length / 2 - z) / self.length)

    def hottest(self, volume, along):
        r, h = self.radius, self.length
        if along == "head":  # a small cone of height t at the tip: pi (r t / h)^2 t / 3
            return h / 2 - (3 * volume * h**2 / (math.pi * r**2)) ** (1 / 3)
        if along == "feet":  # what is left is a cone of height t at the tip
            t = (h**3 - 3 * volume * h**2 / (math.pi * r**2)) ** (1 / 3)
            return t - h / 2
        # Segments of the discs, summed over their heights t below the tip.
        return brentq(lambda a: quad(lambda t: segment(r * t / h, a), max(a, 0) * h / r, h)[0] - volume, 0, r)


def mean_gy(solid, along, slope):
    return CENTRE_GY + slope * ALONG[along][0] * solid.middle


def near_max_gy(solid, along, slope, volume_mm3=30.0):
    """D0.03cc: the dose on the plane that cuts off the hottest 30 cubic mm."""
    return CENTRE_GY + slope * solid.hottest(volume_mm3, along)


def near_max_of_boxes_gy(mask, frame, along, slope, volume_mm3=30.0):
    """The same of a mask as the boxes of its voxels, exactly: layers across the dose are filled from the hottest."""
    axis = int(np.flatnonzero(ALONG[along])[0])
    sign = ALONG[along][axis]
    thick_mm = frame.spacing_mm[axis]
    voxels = mask.sum(axis=tuple({0, 1, 2} - {axis}))
    places_mm = sign * np.moveaxis(centres(frame), axis, 0)[:, 0, 0, 2 - axis]  # world points are x, y, z
    left = volume_mm3
    for layer in np.argsort(-places_mm):
        full = voxels[layer] * math.prod(frame.spacing_mm)
        if full >= left:
            return CENTRE_GY + slope * (places_mm[layer] + thick_mm / 2 - thick_mm * left / full)
        left -= full
    raise ValueError("wanted a mask of at least the volume")


def drawn(solid, spacing, shift=(0.0, 0.0, 0.0), half_mm=20.0):
    """Mask of a solid by the centres of voxels, and its frame; the middle of the solid is the world's origin.

    Flat ends along z lie on voxels' faces if ``shift`` is 0 there and the spacing divides half of the length, since a
    contour speaks for its whole slice.
    """
    counts = [2 * math.ceil(half_mm / s) for s in spacing]
    origin = [-(n - 1) / 2 * s + d for n, s, d in zip(counts, spacing, shift, strict=True)]
    frame = Frame.canonical(tuple(counts), spacing, tuple(origin))
    x, y, z = np.moveaxis(centres(frame), -1, 0)
    return solid.holds(z, y, x), frame


def linear_dose(along, slope, spacing=(4.0, 2.5, 3.3), low=(-40.0, -40.0, -40.0), high=(40.0, 40.0, 40.0)):
    """The dose on a grid that reaches at least from ``low`` to ``high``, z, y, x."""
    counts = tuple(math.ceil((b - a) / s) + 1 for a, b, s in zip(low, high, spacing, strict=True))
    frame = Frame.canonical(counts, spacing, low)
    return DoseGrid((CENTRE_GY + slope * (centres(frame) @ ALONG[along][::-1])).astype(np.float32), frame)


def centres(frame):
    """World points (x, y, z) of all voxels."""
    return frame.world_from_index(np.moveaxis(np.indices(frame.shape).astype(float), 0, -1))
