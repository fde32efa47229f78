"""Blood vessels: trunks along given points, and trees that branch at random inside an organ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gossamer.data.phantom.canvas import Canvas
from gossamer.data.phantom.shapes import PointXYZ


def draw_vessel(
    canvas: Canvas, points: Sequence[PointXYZ], radii: Sequence[float] | float, hu: float, *, wall_hu: float = 0.0
) -> None:
    """Paint a vessel and claim its place.

    Args:
        canvas: to paint on.
        points: along its middle.
        radii: in mm.
        hu: of the blood.
        wall_hu: of spots of calcium in its wall; 0 for none.
    """
    at, distance = canvas.tube(points, radii)
    canvas.paint(at, distance, hu, solid=True)
    if wall_hu:
        spots = np.maximum(np.abs(distance + 0.5) - 1.2, (1.7 - canvas.coarse[at.place]) * 6)
        canvas.paint(at, spots, wall_hu)


def draw_tree(
    canvas: Canvas,
    root: PointXYZ,
    heading: PointXYZ,
    *,
    length_mm: float,
    radius_mm: float,
    hu: float,
    within: str,
    rng: np.random.Generator,
    generations: int = 4,
) -> None:
    """Paint a tree of vessels that stay inside a named structure.

    Args:
        canvas: to paint on.
        root: where it begins.
        heading: where to.
        length_mm: of the first branch; each later one is shorter by a fifth or so.
        radius_mm: of the first branch.
        hu: of the blood.
        within: the structure.
        rng: the patient.
        generations: how often it branches.
    """
    direction = np.asarray(heading, float)
    direction /= np.linalg.norm(direction)
    stack = [(np.asarray(root, float), direction, length_mm, radius_mm, generations)]
    while stack:
        start, direction, length, radius, left = stack.pop()
        side = rng.standard_normal(3)
        end = start + length * (direction + 0.15 * side)
        at, distance = canvas.tube([(start[0], start[1], start[2]), (end[0], end[1], end[2])], (radius, 0.78 * radius))
        canvas.paint(at, np.maximum(distance, canvas.distance_mm[within][at.place] + 4), hu)
        if left == 1:
            continue
        across = np.cross(direction, side)
        across /= np.linalg.norm(across) + 1e-9
        for sign in (-1, 1):
            turned = direction + sign * rng.uniform(0.3, 0.8) * across
            stack.append(
                (end, turned / np.linalg.norm(turned), rng.uniform(0.65, 0.95) * length, 0.72 * radius, left - 1)
            )


def draw_great_vessels(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    """Paint the abdomen's great vessels."""
    age = rng.random()
    lean = 4 * rng.standard_normal()
    aorta: list[PointXYZ] = [
        (18, -14, 175),
        (13, -18, 90),
        (9, -27, 10),
        (8 + lean / 2, -34, -70),
        (3 + lean, -36, -150),
    ]
    wide = 9.5 + 3 * age
    calcium = 600.0 if age > 0.5 else 0.0
    draw_vessel(canvas, aorta, (1.15 * wide, 1.1 * wide, wide, 0.9 * wide, 0.8 * wide), hu["aorta"], wall_hu=calcium)
    for side in (-1, 1):
        points = [(3 + lean, -36.0, -150.0), (side * 28.0, -38.0, -195.0), (side * 52.0, -48.0, -255.0)]
        draw_vessel(canvas, points, (7, 6, 5.5), hu["aorta"], wall_hu=calcium)
        vein: list[PointXYZ] = [(-14, -28, -155), (side * 30.0 - 4, -28, -200), (side * 54.0, -36, -255)]
        draw_vessel(canvas, vein, (10, 8, 7), hu["vein"])
    draw_vessel(canvas, [(8, -30, -20), (5, -50, -36), (2, -56, -90)], (5, 4, 3.5), hu["aorta"])
    draw_vessel(
        canvas, [(-16, -28, -155), (-20, -28, -60), (-25, -32, 10), (-26, -42, 75)], (11, 11, 12, 12), hu["vein"]
    )
