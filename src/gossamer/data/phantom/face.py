"""The face: muscles, eyes, nose and throat, jaws and teeth. Places as in ``head``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gossamer.data.phantom.canvas import Canvas
from gossamer.data.phantom.head import AIR_HU
from gossamer.data.phantom.shapes import PointXYZ, ellipsoid, union
from gossamer.data.phantom.volume import draw_volume, grow_to

MANDIBLE_ML = (63.6, 39.8, 92.3)
"""Median, 5th and 95th percentile of OpenKBP's complete contours."""

METAL_HU = 3000.0


def draw_face(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    """Paint a face and name the mandible."""
    _draw_muscles(canvas, hu)
    for side in (-1, 1):
        _draw_eye(canvas, side, hu)
    _draw_nose(canvas, hu, rng)
    _draw_throat(canvas, hu, rng)
    _draw_mandible(canvas, hu, rng)
    _draw_teeth(canvas, hu, rng)


def _draw_muscles(canvas: Canvas, hu: Mapping[str, float]) -> None:
    for side in (-1, 1):
        canvas.fill((side * 44, -66, -16), (11, 24, 24), hu["fat"], yaw=-side * 0.5)  # cheek
        canvas.fill((side * 32, -30, -14), (9, 13, 22), hu["fat"])  # beside the throat
    canvas.fill((0, -58, -22), (27, 36, 25), hu["muscle"], grain_hu=8)  # tongue
    canvas.fill((0, -64, -47), (29, 31, 11), hu["muscle"])  # floor of the mouth
    for side in (-1, 1):
        canvas.fill((side * 73, 12, 8), (5, 15, 28), hu["muscle"] - 20, yaw=side * 0.4)  # ear
        canvas.fill((side * 58, -45, -14), (7.5, 19, 32), hu["muscle"], solid=True, roll=side * 0.12)  # masseter
        canvas.fill((side * 36, -40, -4), (8, 15, 24), hu["muscle"], roll=side * 0.3)  # pterygoid
        canvas.fill((side * 67, -34, 42), (5, 26, 26), hu["muscle"], roll=-side * 0.2)  # temporal
        canvas.fill((side * 20, -32, 4), (10, 9, 15), hu["muscle"])  # palate and pharynx


def _draw_eye(canvas: Canvas, side: int, hu: Mapping[str, float]) -> None:
    at = canvas.window((side * 30 - 26, -105, 8), (side * 30 + 26, -35, 60))
    orbit = ellipsoid(at, (side * 29, -70, 32), (19, 30, 18), yaw=side * 0.35)
    front = 8 * np.maximum(0, (-84 - at.y) / 4)
    canvas.paint(at, np.abs(orbit) - 1.6 + front, 0.9 * hu["skull"])
    canvas.paint(at, orbit + 1.5, hu["fat"])
    eye = (side * 31.0, -82.0, 32.0)
    canvas.fill(eye, (12, 12, 12), hu["eye"] + 15)
    canvas.fill(eye, (10.8, 10.8, 10.8), hu["eye"])
    canvas.fill((side * 31, -91, 32), (4.5, 2, 4.5), hu["lens"])
    cords: list[tuple[list[PointXYZ], float]] = [([(side * 30, -70, 32), (side * 12, -38, 34)], 2.3)]
    cords += [
        ([(side * x, -76, z), (side * 14, -42, 33)], 1.8)
        for x, z in ((44.0, 32.0), (20.0, 32.0), (31.0, 44.0), (31.0, 21.0))
    ]
    cords_at, cord = canvas.tubes(cords)
    canvas.paint(cords_at, cord, hu["muscle"] - 10)


def _draw_nose(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    at = canvas.window((-45, -120, -20), (45, -20, 65))
    fine, coarse = canvas.fine[at.place], canvas.coarse[at.place]
    cavity = union(ellipsoid(at, (0, -77, 12), (15, 36, 17)), ellipsoid(at, (0, -70, 34), (12, 26, 11)), 8)
    canvas.paint(at, cavity - 2, 0.5 * hu["skull"])
    canvas.paint(at, cavity, np.where(fine + 0.4 * coarse > 0.5, hu["muscle"], AIR_HU))
    canvas.paint(at, np.maximum(np.abs(at.x + 2 * coarse) - 1.2, cavity), 150.0)
    filled = rng.random() < 0.2
    hollows = [ellipsoid(at, (side * 28, -68, 10), (13, 16, 15), roll=-side * 0.2) for side in (-1, 1)]
    hollows += [ellipsoid(at, (0, -38, 29), (12, 12, 9)), ellipsoid(at, (0, -86, 58), (17, 5, 11), tilt=0.2)]
    for index, hollow in enumerate(hollows):
        canvas.paint(at, hollow - 2.0, 0.75 * hu["skull"])
        canvas.paint(at, hollow, 25.0 if filled and index == 0 else AIR_HU)


def _draw_throat(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    canvas.fill((0, -42, 6), (10, 9, 11), AIR_HU, grain_hu=0)
    at, throat = canvas.tube([(0, -34, 6), (0, -25, -16), (0, -22, -42), (0, -25, -68)], (8, 7, 6.5, 6))
    canvas.paint(at, throat - 3, hu["muscle"])
    canvas.paint(at, throat, AIR_HU, solid=True)
    opening = rng.random()
    if opening < 0.5:
        canvas.fill((0, -68, -6), (17, 24, 2 + 4 * opening), AIR_HU, grain_hu=0)


def _arch(z: float, wide: float, front: float) -> list[PointXYZ]:
    """Points along a dental arch, from right to left, each in mm."""
    turns = np.linspace(-1.45, 1.45, 11)
    return [(float(wide * np.sin(turn)), float(front + 46 * (1 - np.cos(turn))), z) for turn in turns]


def _risen(points: list[PointXYZ]) -> list[PointXYZ]:
    """The arch of the lower jaw rises to the back."""
    return [(x, y, z + 0.22 * (y + 98)) for x, y, z in points]


def _draw_mandible(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    bars: list[tuple[list[PointXYZ], float]] = [
        (_risen(_arch(z, wide, -100.0)), radius) for z, wide, radius in ((-54, 46, 5.5), (-46, 45, 5.5), (-38, 43, 5.0))
    ]
    for side in (-1.0, 1.0):
        for x, top_y, top_z in ((50, -20, 10), (49, -31, 7), (47, -47, 4)):
            bars.append(([(side * 45, -53 + 0.4 * (top_y + 47), -41), (side * x, top_y, top_z)], 4.5))
        bars.append(([(side * 52, -20, 12), (side * 44, -21, 12)], 4.5))
    at, bone = canvas.tubes(bars)
    volume = draw_volume(*MANDIBLE_ML, float(rng.standard_normal()))
    bone = grow_to(volume, bone, canvas.cut(at, bone - 12), canvas.spacing_mm)
    spongy = hu["spongy bone"] + 120 + 80 * canvas.fine[at.place]
    canvas.paint(at, bone, np.where(bone > -2.8, 1.45 * hu["skull"], spongy), solid=True)
    canvas.name("Bone_Mandible", at, bone)


def _draw_teeth(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    at, palate = canvas.tube(_arch(-2, 33, -96.0), 6.0)
    canvas.paint(at, palate, 0.8 * hu["skull"])
    canvas.fill((0, -75, 0), (26, 26, 2.5), 0.8 * hu["skull"])
    missing, crowned = 0.5 * rng.random(), 0.4 * rng.random() - 0.2  # half of the patients have metal
    for middle in _arch(-12, 32, -96.0) + _risen(_arch(-28, 34, -94.0)):
        if rng.random() < missing:
            continue
        filled = rng.random() < crowned
        canvas.fill(middle, (3.8, 3.8, 8.0), METAL_HU if filled else hu["tooth"], grain_hu=0)
        if filled:
            canvas.add_metal(middle)
