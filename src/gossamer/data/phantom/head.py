"""The head: skull and brain, face, airway, jaws and teeth.

Places are (x, y, z) in LPS mm. x = 0 is the middle, z = 0 the foramen magnum, y = 0 the middle of the uppermost
vertebral bodies.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gossamer.data.phantom.canvas import Canvas, Window
from gossamer.data.phantom.fields import FloatGrid
from gossamer.data.phantom.shapes import PointXYZ, ellipsoid, intersection, union
from gossamer.data.phantom.volume import draw_volume, grow_to

AIR_HU = -985.0

VOLUME_ML: Mapping[str, tuple[float, float, float]] = {
    "Brainstem": (25.0, 10.7, 34.6),
    "Bone_Mandible": (63.6, 39.8, 92.3),
}
"""Median, 5th and 95th percentile of OpenKBP's complete contours."""


def head_outline(at: Window) -> FloatGrid:
    """Distance to the skin of the head."""
    cranium = ellipsoid(at, (0, -3, 62), (78, 97, 78))
    face = ellipsoid(at, (0, -40, -2), (64, 60, 66), tilt=-0.08)
    chin = ellipsoid(at, (0, -58, -42), (46, 42, 36))
    nose = ellipsoid(at, (0, -100, 6), (13, 14, 19), tilt=0.35)
    ears = np.minimum(*(ellipsoid(at, (side * 79, 8, 12), (5, 15, 27), yaw=side * 0.5) for side in (-1, 1)))
    return np.minimum(union(union(union(cranium, face, 25), chin, 25), nose, 12), ears)


def draw_head(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    """Paint a head on what ``neck`` has painted, and name brainstem and mandible."""
    _draw_face(canvas, hu)
    cavity_at, cavity = _draw_skull(canvas, hu, rng)
    _draw_brain(canvas, cavity_at, cavity, hu)
    _draw_brainstem(canvas, hu, rng)
    _draw_skull_base(canvas, hu, rng)
    _draw_eyes(canvas, hu)
    _draw_airway(canvas, hu, rng)
    _draw_mandible(canvas, hu, rng)
    _draw_teeth(canvas, hu, rng)


def _cavity(at: Window, rng: np.random.Generator) -> FloatGrid:
    """Distance to the inside of the skull."""
    vault = ellipsoid(at, (0, -2, 63), (67 + rng.normal(0, 1.5), 85 + rng.normal(0, 2), 64))
    floor = 34 - 30 / (1 + np.exp(-(at.y + 40) / 9))  # the anterior fossa lies higher
    middle_fossa = np.minimum(*(ellipsoid(at, (side * 36, -34, 26), (24, 26, 20)) for side in (-1, 1)))
    vault = union(intersection(vault, floor - at.z, 14), middle_fossa, 10)
    hind = ellipsoid(at, (0, 36, 22), (53, 44, 31))
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
    medulla_at, medulla = canvas.tube([(0, 14, -4), (0, 11, 8), (0, 5, 20), (0, 2, 30)], (7, 7.5, 9, 10))
    tube = np.full(at.x.shape, 50.0, np.float32)
    inner = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(medulla_at.place, at.place, strict=True))
    tube[inner] = np.minimum(medulla, 50)
    pons = ellipsoid(at, (0, -3, 30), (17, 13, 14), tilt=-0.3)
    midbrain = ellipsoid(at, (0, -2, 50), (15, 12, 11))
    stem = union(union(tube, pons, 8), midbrain, 8)
    limit = np.maximum(np.abs(at.z - 28) - 30, ellipsoid(at, (0, 0, 30), (21, 27, 60)))
    stem = grow_to(draw_volume(*VOLUME_ML["Brainstem"], 0.6 * rng.standard_normal()), stem, limit, canvas.spacing_mm)
    canvas.paint(at, ellipsoid(at, (0, -12, 28), (22, 12, 26)), hu["csf"], opacity=0.7)
    canvas.paint(at, stem, hu["brain white"] + canvas.fine[at.place])
    canvas.name("Brainstem", at, stem)


def _draw_face(canvas: Canvas, hu: Mapping[str, float]) -> None:
    """Muscles and fat around the jaws."""
    canvas.fill((0, -48, -34), (27, 33, 26), hu["muscle"], grain_hu=8)  # tongue
    canvas.fill((0, -55, -58), (25, 26, 8), hu["muscle"])  # floor of the mouth
    for side in (-1, 1):
        canvas.fill((side * 57, -32, -20), (7.5, 18, 32), hu["muscle"], roll=side * 0.15)  # masseter
        canvas.fill((side * 36, -28, -10), (8, 15, 25), hu["muscle"], roll=side * 0.3)  # pterygoid
        canvas.fill((side * 66, -28, 42), (5, 26, 26), hu["muscle"], roll=-side * 0.2)  # temporal
        canvas.fill((side * 20, -26, 2), (10, 9, 16), hu["muscle"])  # palate and pharynx


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
        wing = np.abs(ellipsoid(at, (side * 36, -34, 26), (26, 28, 22))) - 1.5
        canvas.paint(at, np.maximum(wing, at.z - 28), hard)
        arch_at, arch = canvas.tube([(side * 50, -70, 8), (side * 66, -48, 8), (side * 70, -14, 10)], (5, 3.5, 3))
        canvas.paint(arch_at, arch, hard)
        plate_at, plate = canvas.tube([(side * 14, -38, 12), (side * 15, -38, -16)], 2.2)
        canvas.paint(plate_at, plate, hard)


def _draw_eyes(canvas: Canvas, hu: Mapping[str, float]) -> None:
    for side in (-1, 1):
        at = canvas.window((side * 30 - 26, -95, 8), (side * 30 + 26, -25, 60))
        orbit = ellipsoid(at, (side * 29, -60, 32), (19, 30, 18), yaw=side * 0.35)
        canvas.paint(at, np.abs(orbit) - 1.6 + 8 * np.maximum(0, (-74 - at.y) / 4), 0.9 * hu["skull"])
        canvas.paint(at, orbit + 1.5, hu["fat"])
        canvas.fill((side * 31, -72, 32), (12, 12, 12), hu["eye"] + 15)
        canvas.fill((side * 31, -72, 32), (10.8, 10.8, 10.8), hu["eye"])
        canvas.fill((side * 31, -81, 32), (4.5, 2, 4.5), hu["lens"])
        nerve_at, nerve = canvas.tube([(side * 30, -60, 32), (side * 12, -32, 34)], (2.5, 2))
        canvas.paint(nerve_at, nerve, hu["muscle"] - 20)
        for x, z in ((44, 32), (20, 32), (31, 44), (31, 21)):
            muscle_at, muscle = canvas.tube([(side * x, -66, z), (side * 14, -34, 33)], 1.8)
            canvas.paint(muscle_at, muscle, hu["muscle"])


def _draw_airway(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    at = canvas.window((-45, -110, -20), (45, -10, 65))
    nose = union(ellipsoid(at, (0, -66, 10), (15, 36, 20)), ellipsoid(at, (0, -62, 34), (12, 26, 11)), 8)
    canvas.paint(at, nose - 2, 0.5 * hu["skull"])
    turbinates = np.where(canvas.fine[at.place] + 0.4 * canvas.coarse[at.place] > 0.5, hu["muscle"], AIR_HU)
    canvas.paint(at, nose, turbinates)
    canvas.paint(at, np.maximum(np.abs(at.x + 2 * canvas.coarse[at.place]) - 1.2, nose), 150.0)
    full = rng.random() < 0.2  # a sinus filled by mucosa
    for side in (-1, 1):
        sinus = ellipsoid(at, (side * 28, -58, 8), (13, 16, 17), roll=-side * 0.2)
        canvas.paint(at, sinus - 2.0, 0.7 * hu["skull"])
        canvas.paint(at, sinus, 25.0 if full and side > 0 else AIR_HU)
    sphenoid = ellipsoid(at, (0, -32, 28), (12, 12, 9))
    canvas.paint(at, sphenoid - 2, 0.8 * hu["skull"])
    canvas.paint(at, sphenoid, AIR_HU)
    front_at = canvas.around((0, -84, 58), 24)
    canvas.paint(front_at, ellipsoid(front_at, (0, -84, 58), (17, 5, 11), tilt=0.2), AIR_HU)
    canvas.fill((0, -38, 2), (10, 9, 12), AIR_HU, grain_hu=0)
    at, throat = canvas.tube([(0, -30, 4), (0, -22, -20), (0, -21, -45), (0, -24, -68)], (8, 7, 6.5, 6))
    canvas.paint(at, throat - 3, hu["muscle"])
    canvas.paint(at, throat, AIR_HU, solid=True)
    mouth = rng.random()
    if mouth < 0.5:
        canvas.fill((0, -58, -12), (17, 24, 3 + 4 * mouth), AIR_HU, grain_hu=0)


def _arch(at_z: float, wide: float, front_y: float) -> list[PointXYZ]:
    """Points along a dental arch, from right to left."""
    turns = np.linspace(-1.45, 1.45, 11)
    return [(float(wide * np.sin(t)), float(front_y + 46 * (1 - np.cos(t))), at_z) for t in turns]


def _draw_mandible(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    at = canvas.window((-62, -98, -75), (62, 8, 20))
    bone = np.full(at.x.shape, 60.0, np.float32)
    arches: list[tuple[list[PointXYZ], float]] = [
        ([(x, y, z + 14 * ((y + 88) / 60)) for x, y, z in _arch(z, wide, -90.0)], r)
        for z, wide, r in ((-66, 46, 5.5), (-57, 45, 5.5), (-48, 43, 5.0))
    ]
    for side in (-1, 1):
        for x, top_y, top_z in ((50, -8, 10), (49, -18, 6), (47, -34, 2)):
            arches.append(([(side * 45, -40 + 0.4 * (top_y + 34), -50), (side * x, top_y, top_z)], 4.5))
        arches.append(([(side * 52, -8, 12), (side * 44, -9, 12)], 4.5))
    for points, radius in arches:
        part_at, part = canvas.tube(points, radius)
        _merge(at, bone, part_at, part)
    volume = draw_volume(*VOLUME_ML["Bone_Mandible"], rng.standard_normal())
    limit = canvas.cut(at, bone - 12)
    bone = grow_to(volume, bone, limit, canvas.spacing_mm)
    spongy = hu["spongy bone"] + 120 + 80 * canvas.fine[at.place]
    canvas.paint(at, bone, np.where(bone > -2.6, 1.35 * hu["skull"], spongy), solid=True)
    canvas.name("Bone_Mandible", at, bone)


def _merge(at: Window, whole: FloatGrid, part_at: Window, part: FloatGrid) -> None:
    """Take a part's distance into that of the whole, where they overlap."""
    there, here = [], []
    for outer, inner in zip(at.place, part_at.place, strict=True):
        first, last = max(outer.start, inner.start), min(outer.stop, inner.stop)
        there.append(slice(first - outer.start, last - outer.start))
        here.append(slice(first - inner.start, last - inner.start))
    view = whole[there[0], there[1], there[2]]
    np.minimum(view, part[here[0], here[1], here[2]], out=view)


def _draw_teeth(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    at, palate = canvas.tube(_arch(-10, 33, -86.0), 6.5)
    canvas.paint(at, palate, 0.8 * hu["skull"])
    canvas.fill((0, -62, -6), (26, 26, 2.5), 0.8 * hu["skull"])
    missing = rng.random() * 0.5
    for z, wide, front in ((-20.0, 32.0, -86.0), (-37.0, 34.0, -85.0)):
        for x, y, height in _arch(z, wide, front):
            if rng.random() > missing:
                canvas.fill((x, y, height + 14 * (z < -30) * (y + 88) / 60), (3.8, 3.8, 8.5), hu["tooth"], grain_hu=0)
