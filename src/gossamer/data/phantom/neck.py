"""Neck and shoulders: outline, muscles, airway with larynx, gullet, vessels, bones.

Places as in ``head``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gossamer.data.phantom.canvas import Canvas, Window
from gossamer.data.phantom.fields import FloatGrid
from gossamer.data.phantom.head import AIR_HU, head_outline
from gossamer.data.phantom.shapes import PointXYZ, ellipsoid, oval_section, rounded_section, union
from gossamer.data.phantom.spine import Spine
from gossamer.data.phantom.vessels import draw_vessel
from gossamer.data.phantom.volume import draw_volume, grow_to

LOW_MM, HIGH_MM = -232.0, 158.0

VOLUME_ML: Mapping[str, tuple[float, float, float]] = {"Larynx": (22.7, 4.3, 57.4), "Esophagus": (11.7, 5.8, 29.0)}
"""Median, 5th and 95th percentile of OpenKBP's complete contours."""


def draw_spine_course(rng: np.random.Generator) -> Spine:
    """A cervical spine and the upper part of the thoracic one."""
    lordosis = 5 + 4 * rng.standard_normal()

    def bow(z: FloatGrid) -> FloatGrid:
        depth = -z
        kyphosis = 40 * np.clip((depth - 85) / 110, 0, 2) ** 1.6
        return np.asarray(kyphosis - lordosis * np.sin(np.clip(depth / 110, 0, 1) * np.pi), np.float32)

    return Spine(
        pitch_mm=18.5,
        first_mm=-24.0,
        half_width_mm=11.5,
        half_depth_mm=8.5,
        process_mm=30.0,
        wing_mm=27.0,
        cord_radii_mm=(7.2, 4.8),
        bow=bow,
        low_mm=LOW_MM,
        high_mm=-4.0,
        conus_mm=-999.0,
    )


def course(spine: Spine, z: float) -> float:
    """The y of the middle of the spine at a height."""
    return float(spine.bow(np.array(z)))


def draw_soft_tissue(canvas: Canvas, spine: Spine, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    """Paint skin, fat and muscle of head, neck and shoulders."""
    at = canvas.whole
    stout = float(np.clip(rng.standard_normal(), -1.5, 1.8))
    back = spine.bow(at.z)
    neck = oval_section(at.x, at.y - back - 4, 58 + 4 * stout, 58 + 4 * stout)
    neck = np.maximum(neck, at.z - 15)
    torso = rounded_section(at.x, at.y - 26, 205 + 8 * stout, 82 + 10 * stout)
    slope = at.z + 92 + 0.25 * np.abs(at.x)
    torso = union(neck, -union(-torso, -slope, 40), 45)
    skin = union(head_outline(at), torso, 20)
    fat_mm = 5 + 2.5 * stout
    below = np.clip((-95 - at.z) / 60, 0, 1)
    canvas.paint(at, skin, hu["skin"])
    canvas.paint(at, skin + 2, hu["fat"] + 6 * canvas.coarse)
    fat = fat_mm * (1 + below) + 2 * canvas.coarse
    seams = np.clip(1 - np.abs(canvas.coarse) / 0.2, 0, 1)
    flesh = hu["muscle"] + 4 * canvas.fine - 110 * seams * (canvas.fine > -0.6)
    cheeks = 8 * np.clip((-75 - at.y) / 8, 0, 1)
    canvas.paint(at, np.where(at.z < 8, skin + fat + 3 + cheeks, 99), flesh)


def draw_neck(canvas: Canvas, spine: Spine, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    """Paint what lies in the neck, and name larynx and oesophagus."""
    _draw_muscles(canvas, spine, hu)
    _draw_vessels(canvas, spine, hu)
    _draw_windpipe(canvas, spine, hu)
    _draw_larynx(canvas, spine, hu, rng)
    _draw_gullet(canvas, spine, hu, rng)


def _draw_muscles(canvas: Canvas, spine: Spine, hu: Mapping[str, float]) -> None:
    for side in (-1, 1):
        points: list[PointXYZ] = [
            (side * 53, 20, -8),
            (side * 45, 5, -60),
            (side * 30, -18, -115),
            (side * 12, -24, -165),
        ]
        at, strap = canvas.tube(points, (9, 10, 9, 6))
        canvas.paint(at, strap - 1.5, hu["fat"], opacity=0.8)
        canvas.paint(at, strap, hu["muscle"] + 4 * canvas.fine[at.place], solid=True)
        for x, y, wide, deep in ((15, 27, 13, 10), (20, 42, 17, 8)):
            nape = [(side * x, course(spine, z) + y, z) for z in (-10.0, -50.0, -90.0, -130.0, -170.0)]
            at, muscle = canvas.tube(nape, (deep, wide, wide, wide, wide))
            canvas.paint(at, np.abs(muscle) - 0.8, hu["fat"], opacity=0.6)
        at, scalene = canvas.tube([(side * 24, course(spine, -50) + 4, -50), (side * 38, 14, -150)], (7, 9))
        canvas.paint(at, scalene, hu["muscle"])


def _draw_vessels(canvas: Canvas, spine: Spine, hu: Mapping[str, float]) -> None:
    for side in (-1, 1):
        levels = (-8.0, -50.0, -100.0, -150.0)
        artery = [(side * x, course(spine, z) * 0.5 - 12, z) for x, z in zip((30, 29, 25, 17), levels, strict=True)]
        draw_vessel(canvas, artery, (3, 4, 3.5, 4), 0.75 * hu["aorta"])
        vein = [(side * x, course(spine, z) * 0.5 - 6, z) for x, z in zip((36, 38, 35, 26), levels, strict=True)]
        wide = 6.5 if side < 0 else 5.0
        draw_vessel(canvas, vein, (4, wide, wide, wide), 1.15 * hu["vein"])
    draw_vessel(canvas, [(-30, 0, -158), (0, -14, -182), (16, 5, -200), (14, 25, -232)], (8, 9, 12, 11), hu["aorta"])
    draw_vessel(canvas, [(30, -12, -160), (-14, -18, -180), (-24, 0, -232)], (6, 8, 9), hu["vein"])


def _windpipe(spine: Spine) -> list[PointXYZ]:
    levels = (-66.0, -92.0, -115.0, -150.0, -190.0, -236.0)
    ahead = (25, 28, 26, 25, 26, 27)
    return [(0.0, course(spine, z) - a, z) for z, a in zip(levels, ahead, strict=True)]


def _draw_windpipe(canvas: Canvas, spine: Spine, hu: Mapping[str, float]) -> None:
    at, pipe = canvas.tube(_windpipe(spine), (8, 6, 8, 8.5, 9, 9))
    canvas.paint(at, pipe - 2.2, hu["cartilage"], solid=True)
    canvas.paint(at, pipe, AIR_HU)
    for side in (-1, 1):
        canvas.fill((side * 17, course(spine, -122) - 22, -122), (8, 10, 21), hu["thyroid"], roll=-side * 0.15)


def _draw_larynx(canvas: Canvas, spine: Spine, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    middle = course(spine, -90) - 31
    at = canvas.around((0, middle, -90), 45)
    box = ellipsoid(at, (0, middle, -90), (17, 18, 24))
    larynx = grow_to(draw_volume(*VOLUME_ML["Larynx"], 0.7 * rng.standard_normal()), box, box - 20, canvas.spacing_mm)
    shield = np.abs(ellipsoid(at, (0, middle + 8, -90), (17, 26, 26))) - 1.4
    shield = np.maximum(np.maximum(shield, at.y - middle - 6), np.abs(at.z + 90) - 15)
    canvas.paint(at, np.maximum(box, -99), hu["muscle"] - 25 + 15 * canvas.fine[at.place])
    chalk = hu["cartilage"] + 160 * np.clip(canvas.coarse[at.place] + 0.5, 0, 2)
    canvas.paint(at, shield, chalk)
    slit = np.clip(1 - ((at.z + 95) / 8) ** 2, 0, 1)  # the glottis
    air = oval_section(at.x, at.y - middle - 4, 5.5 - 4.0 * slit, 9.0)
    canvas.paint(at, np.maximum(air, np.abs(at.z + 90) - 28), AIR_HU)
    ring = np.abs(oval_section(at.x, at.y - middle - 5, 12, 14)) - 2.2
    canvas.paint(at, np.maximum(ring, np.abs(at.z + 110) - 5), chalk + 80)
    bone_at, bone = canvas.tube(
        [(-23, middle + 18, -58), (-19, middle, -61), (0, middle - 11, -64), (19, middle, -61), (23, middle + 18, -58)],
        2.6,
    )
    canvas.paint(bone_at, bone, hu["hard bone"])
    canvas.name("Larynx", at, larynx)


def _draw_gullet(canvas: Canvas, spine: Spine, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    levels = np.linspace(-110, -202, 5)
    points = [(4.0, course(spine, float(z)) - 13.5, float(z)) for z in levels]
    at, tube = canvas.tube(points, 6.5)
    ends = np.maximum(at.z + 112, -198 - at.z)
    volume = draw_volume(*VOLUME_ML["Esophagus"], rng.standard_normal())
    gullet = grow_to(volume, np.maximum(tube, ends), np.maximum(tube - 4, ends), canvas.spacing_mm)
    canvas.paint(at, gullet, hu["muscle"] - 15)
    air = np.where(canvas.coarse[at.place] > 0.2, gullet + 4, 9)
    canvas.paint(at, air, -600.0)
    canvas.name("Esophagus", at, gullet)


def draw_shoulders(canvas: Canvas, spine: Spine, hu: Mapping[str, float]) -> None:
    """Paint lungs, first ribs, collar bones, shoulder blades and upper arms."""
    hard, spongy = hu["hard bone"] + 150, hu["spongy bone"]
    for side in (-1, 1):
        at = canvas.window((side * 50 - 60, -70, LOW_MM), (side * 50 + 60, 110, -140))
        lung = ellipsoid(at, (side * 46, 22, -232), (40, 52, 76))
        canvas.paint(at, lung - 3, hu["fat"])
        for k in range(4):
            rib = _rib(at, lung, -166 - 21.0 * k)
            canvas.paint(at, rib, np.where(rib > -1.8, hard, spongy))
        vessels = np.clip(1 - np.hypot(canvas.coarse[at.place], canvas.fine[at.place]) / 0.4, 0, 1)
        canvas.paint(at, lung, hu["lung"] + 450 * vessels)
        bones: list[tuple[list[PointXYZ], tuple[float, ...]]] = [
            ([(side * 14, -30, -178), (side * 60, -34, -162), (side * 105, -8, -152), (side * 150, 12, -150)],
             (9, 6, 6, 8)),
            ([(side * 172, 22, -170), (side * 176, 22, -178)], (22, 22)),
            ([(side * 178, 22, -185), (side * 186, 18, -240)], (15, 11)),
            ([(side * 148, 30, -168), (side * 120, 52, -176), (side * 84, 82, -190)], (11, 5, 4)),
            ([(side * 140, 34, -180), (side * 112, 58, -206), (side * 96, 76, -236)], (9, 5, 5)),
            ([(side * 88, 82, -190), (side * 92, 86, -236)], (4, 4)),
        ]  # fmt: skip
        for points, radii in bones:
            bone_at, bone = canvas.tube(points, radii)
            canvas.paint(bone_at, bone, np.where(bone > -2.8, hard, spongy))


def _rib(at: Window, lung: FloatGrid, back_z: float) -> FloatGrid:
    """Distance to the rib that begins at this height at the spine and falls towards the front."""
    fall = at.z - (back_z - 0.38 * (70 - at.y))
    return np.asarray(np.hypot(fall / 1.3, lung - 4.5) - 4.2, np.float32)
