"""The head: its outline, skull and brain.

Places are (x, y, z) in LPS mm. x = 0 is the middle, z = 0 the foramen magnum, y = 0 the middle of the uppermost
vertebral bodies.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from gossamer.data.phantom.canvas import Canvas, Window
from gossamer.data.phantom.fields import FloatGrid
from gossamer.data.phantom.shapes import PointXYZ, ellipsoid, intersection, segment, union
from gossamer.data.phantom.volume import draw_volume, grow_to

AIR_HU = -985.0

BRAINSTEM_ML = (25.0, 10.7, 34.6)
"""Median, 5th and 95th percentile of OpenKBP's complete contours."""


def head_outline(at: Window) -> FloatGrid:
    """Distance to the skin of the head, without the ears."""
    cranium = ellipsoid(at, (0, -3, 62), (78, 97, 78))
    face = ellipsoid(at, (0, -34, -4), (74, 74, 58))
    chin = ellipsoid(at, (0, -62, -32), (62, 53, 40))
    nose = ellipsoid(at, (0, -112, 8), (13, 14, 19), tilt=0.35)
    return union(union(union(cranium, face, 25), chin, 25), nose, 12)


def draw_head(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    """Paint a head on the soft tissue, and name the brainstem."""
    cavity_at, cavity = _draw_skull(canvas, hu, rng)
    _draw_brain(canvas, cavity_at, cavity, hu)
    _draw_brainstem(canvas, hu, rng)
    _draw_skull_base(canvas, hu, rng)


def _cavity(at: Window, rng: np.random.Generator) -> FloatGrid:
    """Distance to the inside of the skull."""
    vault = ellipsoid(at, (0, -2, 63), (67 + rng.normal(0, 1.5), 85 + rng.normal(0, 2), 64))
    floor = 34 - 30 / (1 + np.exp(-(at.y + 40) / 9))  # the anterior fossa lies higher
    middle_fossa = np.minimum(*(ellipsoid(at, (side * 34, -30, 26), (23, 22, 19)) for side in (-1, 1)))
    vault = union(intersection(vault, floor - at.z, 14), middle_fossa, 10)
    hind = ellipsoid(at, (0, 35, 22), (48, 42, 30))
    return union(vault, hind, 12)


def _draw_skull(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> tuple[Window, FloatGrid]:
    at = canvas.window((-85, -105, -25), (85, 105, 145))
    cavity = _cavity(at, rng)
    thick = 6.0 + rng.normal(0, 0.7) + 1.2 * canvas.coarse[at.place] + 2.0 * (at.y > 60)
    shell = cavity - thick
    marrow = np.abs(cavity - 0.5 * thick) < 0.18 * thick
    canvas.paint(at, shell, np.where(marrow, 0.62 * hu["skull"], hu["skull"]), solid=True)
    canvas.paint(at, cavity, hu["csf"])
    hole = ellipsoid(at, (0, 14, -8), (14, 16, 16))
    canvas.paint(at, hole, hu["csf"])
    return at, cavity


def _draw_brain(canvas: Canvas, at: Window, cavity: FloatGrid, hu: Mapping[str, float]) -> None:
    coarse, fine = canvas.coarse[at.place], canvas.fine[at.place]
    depth = -cavity
    white = np.clip((depth - 9 + 5 * coarse) / 4, 0, 1)
    matter = hu["brain"] + (hu["brain white"] - hu["brain"]) * white + fine
    canvas.paint(at, cavity + 2.0, matter)
    furrows = np.maximum(7 * np.abs(coarse) - 1.0, 13 * (depth > 13) - 10.0)
    furrows = np.maximum(furrows, cavity + 1.5)
    canvas.paint(at, np.where(at.z > 30, furrows, 9), hu["csf"], opacity=0.6)
    falx = np.maximum(np.maximum(np.abs(at.x) - 0.9, 70 - at.z - 0.25 * np.abs(at.y)), cavity)
    canvas.paint(at, falx, 55.0, opacity=0.6)
    for side in (-1, 1):
        canvas.fill((side * 11, -12, 72), (6, 34, 9), hu["csf"], grain_hu=0, yaw=side * 0.15)
        canvas.fill((side * 24, 22, 64), (5, 17, 8), hu["csf"], grain_hu=0, yaw=side * 0.3)
    canvas.fill((0, -8, 58), (3, 14, 8), hu["csf"], grain_hu=0)
    canvas.fill((0, 14, 30), (6, 5, 11), hu["csf"], grain_hu=0)


def _draw_brainstem(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    at = canvas.window((-35, -45, -15), (35, 45, 75))
    path: list[tuple[PointXYZ, float]] = [((0, 14, -4), 7), ((0, 11, 8), 7.5), ((0, 5, 20), 9), ((0, 2, 30), 10)]
    medulla = np.minimum.reduce(
        [segment(at, start, end, first, last) for (start, first), (end, last) in pairwise(path)]
    )
    pons = ellipsoid(at, (0, -3, 30), (17, 13, 14), tilt=-0.3)
    midbrain = ellipsoid(at, (0, -2, 50), (15, 12, 11))
    stem = union(union(medulla, pons, 8), midbrain, 8)
    limit = np.maximum(np.abs(at.z - 28) - 30, ellipsoid(at, (0, 0, 30), (21, 27, 60)))
    stem = grow_to(draw_volume(*BRAINSTEM_ML, 0.6 * rng.standard_normal()), stem, limit, canvas.spacing_mm)
    canvas.paint(at, ellipsoid(at, (0, -12, 28), (22, 12, 26)), hu["csf"], opacity=0.7)
    canvas.paint(at, stem, hu["brain white"] + canvas.fine[at.place])
    canvas.name("Brainstem", at, stem)


def _draw_skull_base(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    hard, spongy = hu["skull"], hu["spongy bone"] + 150
    at, clivus = canvas.tube([(0, -22, 26), (0, -12, 12), (0, -1, -3)], (9, 8, 5))
    canvas.paint(at, clivus, np.where(clivus > -2.5, hard, spongy), solid=True)
    at = canvas.window((-75, -75, -25), (75, 45, 45))
    cells = canvas.fine[at.place]
    for side in (-1, 1):
        petrous = ellipsoid(at, (side * 34, -2, 10), (27, 9, 9), yaw=side * 0.6)
        canvas.paint(at, petrous, hard + 250 * cells, solid=True)
        mastoid = ellipsoid(at, (side * 56, 14, -4), (11, 15, 22))
        honeycomb = np.where(cells > 0.1, -500.0, 600.0)
        canvas.paint(at, mastoid, np.where(mastoid > -2.5, hard, honeycomb), solid=True)
        ear = ellipsoid(at, (side * 66, -4, 8), (16, 3.5, 3.5))
        canvas.paint(at, ear, AIR_HU)
        wing = np.abs(ellipsoid(at, (side * 34, -30, 26), (25, 24, 21))) - 1.5
        canvas.paint(at, np.maximum(wing, at.z - 28), hard)
        arch_at, arch = canvas.tube([(side * 48, -82, 6), (side * 65, -58, 8), (side * 70, -16, 10)], (5, 3.5, 3))
        canvas.paint(arch_at, arch, hard)
        plate_at, plate = canvas.tube([(side * 14, -46, 14), (side * 15, -46, -8)], 2.2)
        canvas.paint(plate_at, plate, hard)
