"""Head and neck: the order in which its parts are painted, and the salivary glands between them.

Volumes follow OpenKBP's complete contours (median, 5th and 95th percentile).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gossamer.data.phantom.canvas import Canvas
from gossamer.data.phantom.face import draw_face
from gossamer.data.phantom.head import draw_head, head_outline
from gossamer.data.phantom.neck import draw_neck, draw_shoulders, draw_soft_tissue, draw_spine_course
from gossamer.data.phantom.shapes import ellipsoid, union
from gossamer.data.phantom.spine import draw_spine
from gossamer.data.phantom.volume import draw_volume, grow_to

STRUCTURES = ("Brainstem", "SpinalCord", "Parotid_L", "Parotid_R", "Bone_Mandible", "Larynx", "Esophagus")

PAROTID_ML = (25.6, 12.9, 45.7)


def draw_head_neck(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    """Paint a head, neck and shoulders and name their structures."""
    spine = draw_spine_course(rng)
    draw_soft_tissue(canvas, spine, hu, rng)
    draw_shoulders(canvas, spine, hu)
    draw_head(canvas, hu, rng)
    draw_face(canvas, hu, rng)
    draw_spine(canvas, spine, hu)
    draw_neck(canvas, spine, hu, rng)
    _draw_glands(canvas, hu, rng)


def _draw_glands(canvas: Canvas, hu: Mapping[str, float], rng: np.random.Generator) -> None:
    alike = rng.standard_normal()
    for side, name in ((1, "Parotid_L"), (-1, "Parotid_R")):
        at = canvas.around((side * 58, -14, -12), 52)
        outer = ellipsoid(at, (side * 63, -20, -12), (11, 26, 29), yaw=-side * 0.1)
        deep = ellipsoid(at, (side * 53, -9, -12), (12, 10, 21))
        gland = union(outer, deep, 8) + 1.5 * canvas.coarse[at.place]
        limit = np.maximum(canvas.cut(at, gland - 9), np.maximum(head_outline(at) + 4, at.z - 12))
        volume = draw_volume(*PAROTID_ML, 0.9 * alike + 0.3 * rng.standard_normal())
        parotid = grow_to(volume, gland, limit, canvas.spacing_mm)
        lobules = 14 * canvas.fine[at.place] + 8 * canvas.coarse[at.place]
        canvas.paint(at, parotid, hu["parotid"] + lobules, solid=True)
        canvas.name(name, at, parotid)
        below = canvas.around((side * 30, -46, -48), 25)
        small = canvas.cut(below, ellipsoid(below, (side * 30, -46, -48), (10, 15, 12)))
        canvas.paint(below, small, hu["gland"] + 8 * canvas.fine[below.place], solid=True)
