"""Stomach's contents, small bowel, colon: what is gas in front and fluid or stool behind, since patients lie."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gossamer.data.phantom.canvas import Canvas, Window
from gossamer.data.phantom.fields import FloatGrid
from gossamer.data.phantom.shapes import PointXYZ
from gossamer.data.phantom.trunk import Build, Cavity

GAS_HU = -930.0

NO_GAS_MM = -999.0


def draw_content(canvas: Canvas, at: Window, inside: FloatGrid, fluid: FloatGrid | float, level_mm: float) -> None:
    """Fill a hollow organ.

    Args:
        canvas: to paint on.
        at: the window.
        inside: distance to the inner wall.
        fluid: HU of what is not gas.
        level_mm: y of the surface of the fluid; gas lies in front of it.
    """
    canvas.paint(at, inside, fluid)
    canvas.paint(at, np.maximum(inside, at.y - level_mm), GAS_HU)


def draw_bowel(canvas: Canvas, build: Build, cavity: Cavity, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    """Paint the bowel into what room the other organs leave."""
    _draw_colon(canvas, build, cavity, hu, rng)
    _draw_small_bowel(canvas, build, cavity, hu, rng)
    _draw_mesentery(canvas, cavity, hu)


def _free(canvas: Canvas, cavity: Cavity, at: Window, tube: FloatGrid, gap_mm: float) -> FloatGrid:
    inside = np.maximum(cavity.wall[at.place] + 3.0, cavity.diaphragm[at.place] + 4.0)
    return canvas.cut(at, np.maximum(tube, inside), gap_mm)


def _draw_colon(
    canvas: Canvas, build: Build, cavity: Cavity, hu: Mapping[str, float], rng: np.random.Generator
) -> None:
    side, front = build.cavity_x - 24, build.centre_y - build.cavity_y + 30
    sag = 18 * rng.random()
    parts: list[list[PointXYZ]] = [
        [(-side + 14, -38, -225), (-side + 2, -24, -180), (-side, -16, -130), (-side + 4, -30, -92)],
        [(-side + 4, -36, -90), (-side + 32, front + 4, -92 - sag), (-30, front, -100 - 2 * sag),
         (25, front, -98 - 2 * sag), (side - 42, front + 10, -70 - sag), (side - 12, -50, -20)],
        [(side - 8, -40, -14), (side - 2, -8, -50), (side, -10, -120), (side - 2, -22, -180), (side - 26, -34, -228)],
    ]  # fmt: skip
    for points, wide in zip(parts, (21.0, 19.0, 15.0), strict=True):
        at, tube = canvas.tube(points, wide * rng.uniform(0.85, 1.2))
        along = at.z if points is not parts[1] else at.x
        tube = tube + 3.2 * np.abs(np.sin(along * (np.pi / 24) + canvas.coarse[at.place] * 0.6))
        colon = _free(canvas, cavity, at, tube, 2.0)
        canvas.paint(at, colon, hu["gut wall"], solid=True)
        pockets = np.where(canvas.fine[at.place] > 1.0, (-650), (hu["stool"]))
        level = float(np.median([p[1] for p in points])) + rng.uniform(-16, 16)
        gas = level + 9 * canvas.coarse[at.place]
        draw_content(canvas, at, colon + 2.8, pockets, NO_GAS_MM)
        canvas.paint(at, np.maximum(colon + 2.8, at.y - gas), GAS_HU)


def _draw_small_bowel(
    canvas: Canvas, build: Build, cavity: Cavity, hu: Mapping[str, float], rng: np.random.Generator
) -> None:
    contrast = float(rng.choice([hu["gut fluid"], 35.0, 35.0, 180.0]))
    middle = build.centre_y - 0.1 * build.cavity_y
    for _ in range(44):
        start = np.array(
            [rng.uniform(-0.6, 0.72) * build.cavity_x, middle + rng.uniform(-0.6, 0.6) * build.cavity_y,
             rng.uniform(-235, -75)]
        )  # fmt: skip
        heading = rng.standard_normal(3)
        points: list[PointXYZ] = []
        for _ in range(5):
            points.append((float(start[0]), float(start[1]), float(start[2])))
            heading = heading / np.linalg.norm(heading) + 0.7 * rng.standard_normal(3)
            start = start + 19 * heading / np.linalg.norm(heading)
        at, tube = canvas.tube(points, rng.uniform(9.5, 14))
        loop = _free(canvas, cavity, at, tube, 1.2)
        canvas.paint(at, loop, hu["gut wall"] - 10, solid=True)
        folds = 2.6 + 0.9 * canvas.fine[at.place]
        level = float(np.mean([p[1] for p in points])) - rng.uniform(0, 30)
        draw_content(
            canvas, at, loop + folds, contrast + rng.uniform(-8, 15), level if rng.random() < 0.3 else NO_GAS_MM
        )


def _draw_mesentery(canvas: Canvas, cavity: Cavity, hu: Mapping[str, float]) -> None:
    """Small vessels in the fat: where two random fields vanish together there are threads."""
    at = canvas.window((-150, -200, -240), (150, 20, 60))
    threads = 9 * np.hypot(canvas.coarse[at.place] - 0.3, 0.45 * canvas.fine[at.place]) - 2.4
    threads = np.maximum(threads, np.maximum(cavity.wall[at.place] + 10, cavity.diaphragm[at.place] + 8))
    canvas.paint(at, canvas.cut(at, threads, 1.0), 0.7 * hu["vein"], opacity=0.8)
