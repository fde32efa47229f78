"""The organs of the abdomen: liver, kidneys, spleen, stomach, and what surrounds them.

Volumes follow 30 patients of the BTCV training set (median, 5th and 95th percentile; organs cut by the scan left
out); places follow their centroids relative to the liver's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gossamer.data.phantom.bowel import draw_bowel, draw_content
from gossamer.data.phantom.canvas import Canvas, Window
from gossamer.data.phantom.fields import FloatGrid, waves
from gossamer.data.phantom.shapes import PointXYZ, ellipsoid, intersection, union
from gossamer.data.phantom.trunk import Build, Cavity, draw_build, draw_trunk
from gossamer.data.phantom.vessels import draw_great_vessels, draw_tree, draw_vessel
from gossamer.data.phantom.volume import draw_volume, grow_to

STRUCTURES = ("Liver", "Kidney_L", "Kidney_R", "Spleen", "Stomach", "SpinalCord")

VOLUME_ML: Mapping[str, tuple[float, float, float]] = {
    "Liver": (1660, 1100, 2508),
    "Kidney_R": (152, 90, 224),
    "Kidney_L": (161, 81, 250),
    "Spleen": (225, 83, 418),
    "Stomach": (430, 149, 1058),
}
"""Median, 5th and 95th percentile."""


def draw_abdomen(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    """Paint an abdomen and name its structures."""
    build = draw_build(rng)
    cavity = draw_trunk(canvas, build, hu, rng)
    draw_great_vessels(canvas, hu, rng)
    alike = rng.standard_normal()
    for side in (-1, 1):
        _draw_kidney(canvas, side, 0.9 * alike + 0.4 * rng.standard_normal(), hu, rng)
    _draw_spleen(canvas, build, cavity, hu, rng)
    _draw_liver(canvas, build, cavity, hu, rng)
    _draw_stomach(canvas, build, cavity, hu, rng)
    _draw_pancreas(canvas, hu, rng)
    draw_bowel(canvas, build, cavity, hu, rng)


def _ripple(canvas: Canvas, at: Window, rng: np.random.Generator, wavelength_mm: float) -> FloatGrid:
    """A smooth field of unit variance in a window."""
    axes = canvas.axes_mm
    z, y, x = (axis[part] for axis, part in zip(axes, at.place, strict=True))
    return waves((z, y, x), wavelength_mm, rng)


def _jitter(rng: np.random.Generator, centre: PointXYZ, sd: PointXYZ) -> PointXYZ:
    x, y, z = (c + s * float(np.clip(rng.standard_normal(), -2, 2)) for c, s in zip(centre, sd, strict=True))
    return x, y, z


def _draw_kidney(canvas: Canvas, side: int, size: float, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    name = "Kidney_L" if side > 0 else "Kidney_R"
    centre = _jitter(rng, (side * 68.0, 2.0, -62.0 + 5 * side), (4, 4, 11))
    volume = draw_volume(*VOLUME_ML[name], size)
    k = float(np.cbrt(volume / 155))
    at = canvas.around(centre, 75 * k)
    lean = {"roll": side * 0.22, "tilt": -0.25 + 0.1 * rng.standard_normal(), "yaw": side * 0.6}
    bean = ellipsoid(at, centre, (26.5 * k, 31 * k, 55 * k), **lean)
    bean += 1.3 * _ripple(canvas, at, rng, 45)
    hilum = (centre[0] - side * 22 * k, centre[1] - 9 * k, centre[2])
    hollow = ellipsoid(at, hilum, (17 * k, 14 * k, 21 * k), **lean)
    bean = intersection(bean, -hollow, 6)
    kidney = grow_to(volume, bean, canvas.cut(at, bean - 30), canvas.spacing_mm)
    canvas.paint(at, kidney - 1.5, hu["fat"])
    cortex = kidney + 6.5
    pyramids = np.clip(0.5 + 1.2 * _ripple(canvas, at, rng, 22), 0, 1)
    inner = np.clip(cortex / -3, 0, 1) * pyramids
    canvas.paint(at, kidney, hu["renal cortex"] + (hu["renal medulla"] - hu["renal cortex"]) * inner
                 + 4 * canvas.fine[at.place], solid=True)  # fmt: skip
    sinus = ellipsoid(at, (centre[0] - side * 10 * k, centre[1] - 4 * k, centre[2]), (10 * k, 8 * k, 25 * k), **lean)
    canvas.paint(at, np.maximum(sinus + 2 * _ripple(canvas, at, rng, 25), kidney + 5), hu["renal sinus"])
    canvas.name(name, at, kidney)
    vessel = (hilum, (side * 35.0, -26.0, centre[2] + 2), (side * 12.0 - 8, -32.0, centre[2] + 8))
    draw_vessel(canvas, vessel, (3.5, 4.5, 5), hu["vein"])


def _limit(canvas: Canvas, cavity: Cavity, at: Window) -> FloatGrid:
    """Where an organ under the diaphragm may be."""
    inside = np.maximum(cavity.wall[at.place] + 1.5, cavity.diaphragm[at.place] + 1.0)
    return canvas.cut(at, np.asarray(inside, np.float32), 2.0)


def _draw_spleen(
    canvas: Canvas, build: Build, cavity: Cavity, hu: Mapping[str, float], rng: np.random.Generator
) -> None:
    size = float(rng.standard_normal())
    volume = draw_volume(*VOLUME_ML["Spleen"], size)
    k = float(np.cbrt(volume / 225))
    edge = build.cavity_x - 26
    centre = _jitter(rng, (edge, 11.0, 6.0 - 14 * (k - 1)), (2, 7, 7))
    at = canvas.around(centre, 95 * k)
    whole = ellipsoid(at, centre, (29 * k, 45 * k, 52 * k), roll=-0.35, tilt=-0.5, yaw=-0.5)
    stomach_side = ellipsoid(at, (centre[0] - 44 * k, centre[1] - 30 * k, centre[2] - 6), (38 * k, 40 * k, 60 * k))
    shape = intersection(whole, -stomach_side, 10) + 2 * _ripple(canvas, at, rng, 55)
    spleen = grow_to(volume, shape, _limit(canvas, cavity, at), canvas.spacing_mm)
    mottle = 10 if hu["aorta"] > 220 else 2  # early after the contrast agent its pulp is unevenly bright
    canvas.paint(at, spleen, hu["spleen"] + mottle * canvas.coarse[at.place], solid=True)
    canvas.name("Spleen", at, spleen)
    hilum = (centre[0] - 16 * k, centre[1] - 8, centre[2] - 8)
    draw_vessel(canvas, [hilum, (62, -16, 2), (30, -44, -12), (-14, -46, -26)], (4, 4.5, 5, 6), hu["liver vein"])


def _draw_liver(
    canvas: Canvas, build: Build, cavity: Cavity, hu: Mapping[str, float], rng: np.random.Generator
) -> None:
    at = canvas.window((-175, -200, -170), (120, 80, 130))
    volume = draw_volume(*VOLUME_ML["Liver"], float(rng.standard_normal()))
    k = float(np.cbrt(volume / 1660))
    left_reach, lower = 72 + 14 * rng.standard_normal(), 9 * rng.standard_normal()
    right = ellipsoid(at, (-92, -38, 4 + lower), (72 * k, 88 * k, 100 * k), roll=0.12)
    left = ellipsoid(at, (left_reach - 75, -92, 34), (95 * k, 50 * k, 46 * k), roll=0.15)
    shape = union(right, left, 30)
    porta = ellipsoid(at, (-30, -34, -34), (26, 26, 36), tilt=0.3)
    fissure = ellipsoid(at, (-12 + 5 * rng.standard_normal(), -100, -5), (3.5, 50, 42))
    stomach_side = ellipsoid(at, (70, -30, 10), (62, 52, 75))
    for hollow, blend in ((porta, 16.0), (fissure, 6.0), (stomach_side, 20.0)):
        shape = intersection(shape, -hollow, blend)
    shape += 3 * _ripple(canvas, at, rng, 80)
    limit = _limit(canvas, cavity, at)
    spine_side = ellipsoid(at, (2, 0, 0), (40, 44, 400))
    limit = intersection(limit, -spine_side, 12)
    liver = grow_to(volume, shape, limit, canvas.spacing_mm)
    canvas.paint(at, liver, hu["liver"] + 3 * canvas.fine[at.place] + 2 * canvas.coarse[at.place], solid=True)
    canvas.name("Liver", at, liver)
    _draw_liver_vessels(canvas, hu, rng)
    bladder_at = canvas.around((-52, -78, -52), 55)
    bladder = ellipsoid(bladder_at, _jitter(rng, (-50, -80, -52), (6, 5, 6)), (13, 17, 27), tilt=0.7)
    bladder = canvas.cut(bladder_at, bladder, -6.0)
    bladder = np.maximum(bladder, cavity.wall[bladder_at.place] + 4)
    canvas.paint(bladder_at, bladder, hu["gut wall"], solid=True)
    canvas.paint(bladder_at, bladder + 1.8, hu["gallbladder"])
    full = canvas.distance_mm["Liver"][bladder_at.place]
    np.maximum(full, -bladder, out=full)


def _draw_liver_vessels(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    confluence, hilum = (-24.0, -44.0, 62.0), (-34.0, -48.0, -14.0)
    for heading in ((-1.0, 0.3, -0.5), (-0.5, -0.8, -0.5), (0.8, -0.7, -0.3)):
        draw_tree(canvas, confluence, heading, length_mm=38, radius_mm=4.6, hu=hu["liver vein"] - 5, within="Liver",
                  rng=rng)  # fmt: skip
    for heading in ((-1.0, 0.1, 0.1), (-0.7, -0.6, -0.4), (0.6, -0.8, 0.5)):
        draw_tree(canvas, hilum, heading, length_mm=34, radius_mm=5.0, hu=hu["liver vein"], within="Liver", rng=rng)
    draw_vessel(canvas, [hilum, (-22, -47, -30), (-6, -48, -48)], (6.5, 6.5, 6), hu["liver vein"])


def _draw_stomach(
    canvas: Canvas, build: Build, cavity: Cavity, hu: Mapping[str, float], rng: np.random.Generator
) -> None:
    size = float(rng.standard_normal())
    volume = draw_volume(*VOLUME_ML["Stomach"], size)
    k = float(np.cbrt(volume / 430))
    drop = 10 * k + 6 * rng.standard_normal()
    front = build.centre_y - 0.55 * build.cavity_y
    points: list[PointXYZ] = [
        (52, -22, 52), (66, -34, 34), (72, -56, 4), (60, front, -28 - drop), (22, front - 6, -50 - drop),
        (-12, front + 4, -46), (-30, front + 16, -36),
    ]  # fmt: skip
    tube_at, tube = canvas.tube(points, [r * k for r in (34, 37, 33, 26, 20, 14, 9)])
    tube += 1.5 * _ripple(canvas, tube_at, rng, 50)
    stomach = grow_to(volume, tube, _limit(canvas, cavity, tube_at), canvas.spacing_mm)
    canvas.paint(tube_at, stomach, hu["gut wall"], solid=True)
    canvas.name("Stomach", tube_at, stomach)
    folds = 4.5 + 1.2 * _ripple(canvas, tube_at, rng, 16)
    level = -78 - 32 * rng.random()
    draw_content(canvas, tube_at, stomach + folds, float(rng.choice([hu["gut fluid"], 45.0, 60.0])), level)


def _draw_pancreas(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    down = 5 * rng.standard_normal()
    points: list[PointXYZ] = [
        (-26, -48, -62 + down), (-20, -54, -44 + down), (2, -66, -34), (30, -58, -26), (62, -28, -12),
    ]  # fmt: skip
    at, gland = canvas.tube(points, (14, 13, 9, 9, 8))
    gland = canvas.cut(at, gland + 2.0 * canvas.coarse[at.place], 1.5)
    lobules = np.clip(canvas.fine[at.place] - 0.6, 0, 1)
    canvas.paint(at, gland, hu["pancreas"] - 90 * lobules, solid=True)
    for side in (-1, 1):
        at = canvas.around((side * 40, -14, -14), 30)
        adrenal = np.abs(ellipsoid(at, (side * 44, -10, -14), (12, 16, 20))) - 2
        adrenal = np.maximum(adrenal, side * (at.x - side * 42))
        canvas.paint(at, canvas.cut(at, adrenal), hu["pancreas"] - 10, solid=True)
