"""The trunk around the abdominal organs: skin, fat, muscle, ribs, lungs, heart, spine, pelvis, great vessels.

Places are (x, y, z) in LPS mm. x = 0 is the spine, y = 0 the middle of its vertebral bodies, z = 0 the height of the
liver's centroid in a typical patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gossamer.data.phantom.canvas import Canvas, Window
from gossamer.data.phantom.fields import FloatGrid
from gossamer.data.phantom.shapes import ellipsoid, intersection, oval_section, rounded_section, union
from gossamer.data.phantom.spine import Spine, draw_spine

LOW_MM, HIGH_MM = -262.0, 172.0
"""Lower and upper end of what is drawn: from the hip bones to the heart."""

BACK_MM = 50.0
"""From the middle of the vertebral bodies back to the cavity's hindmost wall."""


@dataclass(frozen=True)
class Build:
    """Size of a trunk.

    Attributes:
        cavity_x: half width of the cavity in mm.
        cavity_y: half depth of the cavity in mm.
        wall_mm: thickness of the muscle at the flank.
        fat_mm: thickness of the fat under the skin at the flank.
        dome_mm: z of the top of the right diaphragm.
        scale: of lengths, against a typical patient.
    """

    cavity_x: float
    cavity_y: float
    wall_mm: float
    fat_mm: float
    dome_mm: float
    scale: float

    @property
    def centre_y(self) -> float:
        """Where the cavity's middle lies along y, in mm."""
        return BACK_MM - self.cavity_y


def draw_build(rng: np.random.Generator) -> Build:
    """The build of one patient."""
    tall, stout = np.clip(rng.standard_normal(2), -1.8, 1.8)
    return Build(
        cavity_x=float(132 + 5 * tall + 7 * stout),
        cavity_y=float(89 + 3 * tall + 9 * stout),
        wall_mm=float(13 + 1.5 * tall),
        fat_mm=float(max(5.0, 15 + 8 * stout + 2 * rng.standard_normal())),
        dome_mm=float(88 + 5 * tall + 4 * rng.standard_normal()),
        scale=float(1 + 0.04 * tall),
    )


@dataclass(frozen=True, eq=False)
class Cavity:
    """Distances in mm to the surfaces on which organs lean; float32 [z, y, x] of the whole canvas.

    Attributes:
        wall: the inside of chest and abdomen, negative inside.
        diaphragm: negative below.
    """

    wall: FloatGrid
    diaphragm: FloatGrid


def draw_trunk(canvas: Canvas, build: Build, hu: Mapping[str, float], rng: np.random.Generator) -> Cavity:
    """Paint everything but the organs of the abdomen."""
    at = canvas.whole
    widening = 1 + 0.05 * np.clip((at.z + 60) / -140, -1, 1.2) ** 2
    half_x, half_y = build.cavity_x * widening, build.cavity_y * (0.98 + 0.02 * widening)
    cage = rounded_section(at.x, at.y - build.centre_y, half_x, half_y)
    back = oval_section(np.abs(at.x) - 26, at.y - 56, 36, 25)  # the long muscles beside the spine
    wall = intersection(cage, -back, 12)
    thick, fat = build.wall_mm, build.fat_mm
    muscle = rounded_section(at.x, at.y - build.centre_y, half_x + thick, half_y + thick - 3)
    muscle = union(muscle, back, 22)
    skin = rounded_section(
        at.x, at.y - build.centre_y - 8 + 0.4 * fat, half_x + thick + fat, half_y + thick + 8 + 0.9 * fat
    )
    skin = union(skin, muscle - max(4.0, 0.45 * fat), 15)
    canvas.paint(at, skin, hu["skin"])
    canvas.paint(at, skin + 2.6, hu["fat"] + 6 * canvas.coarse)
    canvas.paint(at, muscle, _muscle(canvas, hu))
    canvas.paint(at, wall, hu["fat"] + 5 * canvas.coarse)
    _draw_ribs(canvas, build, (cage, muscle), hu)
    cavity = Cavity(wall, _diaphragm(at, build))
    _draw_chest(canvas, build, cavity, hu, rng)
    spine = _spine(build, rng)
    _draw_back_muscles(canvas, spine, hu)
    draw_spine(canvas, spine, hu)
    _draw_pelvis(canvas, build, hu)
    return cavity


def _muscle(canvas: Canvas, hu: Mapping[str, float]) -> FloatGrid:
    """Muscle with seams of fat."""
    seams = np.clip(1 - np.abs(canvas.coarse) / 0.12, 0, 1) * (canvas.fine > 0.2)
    return np.asarray(hu["muscle"] + 4 * canvas.fine - 70 * seams, np.float32)


def _diaphragm(at: Window, build: Build) -> FloatGrid:
    right = build.dome_mm - 118 * (((at.x + 66) / 112) ** 2 + ((at.y + 48) / 108) ** 2)
    left = build.dome_mm - 14 - 118 * (((at.x - 72) / 100) ** 2 + ((at.y + 38) / 108) ** 2)
    middle = build.dome_mm - 26 - 118 * ((at.x / 60) ** 2 + ((at.y + 80) / 90) ** 2)
    height = -union(-union_up(right, left), -middle, 14)
    slope = 2 * 118 * np.hypot((np.abs(at.x) - 69) / 106**2, (at.y + 43) / 108**2)
    return np.asarray((at.z - height) / np.sqrt(1 + slope * slope), np.float32)


def union_up(a: FloatGrid, b: FloatGrid) -> FloatGrid:
    """The higher of two heights, the edge between them rounded."""
    return -union(-a, -b, 14)


def _draw_ribs(canvas: Canvas, build: Build, surfaces: tuple[FloatGrid, FloatGrid], hu: Mapping[str, float]) -> None:
    at = canvas.window((-230, -260, -90), (230, 100, HIGH_MM))
    cage, muscle = (surface[at.place] for surface in surfaces)
    turn = np.arctan2(np.abs(at.x), at.y - (build.centre_y + 15))  # 0 at the spine, pi at the breastbone
    pitch = 25 * build.scale
    level = (at.z + 42 * turn - 12 * np.sin(2 * turn)) / pitch
    which = np.rint(level)
    up = pitch * (level - which)
    depth = cage - 6.0
    end = np.clip(0.95 + 0.34 * (which + 1), 0.7, 2.3)  # the lowest ribs end in the flank
    rib = np.sqrt((up / 6.2) ** 2 + (depth / 3.8) ** 2) * 4.6 - 4.6
    rib = np.maximum(rib, ((-1.4) - which) * 10)
    bone = np.maximum(rib, (turn - end) * 90)
    gristle = np.maximum(np.maximum(rib, (end - turn) * 90), (2.2 - which) * 10)
    spongy = hu["spongy bone"] + 60 + 0 * bone
    canvas.paint(at, np.maximum(gristle, muscle + 2), hu["cartilage"])
    canvas.paint(at, bone, np.where(bone > -2, 0.95 * hu["hard bone"], spongy))
    breastbone = ellipsoid(at, (0, build.centre_y - build.cavity_y - 6, 150), (19, 6, 75))
    canvas.paint(at, breastbone, np.where(breastbone > -2, hu["hard bone"], hu["spongy bone"]))


def _draw_chest(
    canvas: Canvas, build: Build, cavity: Cavity, hu: Mapping[str, float], rng: np.random.Generator
) -> None:
    at = canvas.window((-170, -220, -90), (170, 70, HIGH_MM))
    above = np.maximum(2 - cavity.diaphragm[at.place], cavity.wall[at.place] + 1)
    vessels = np.clip(1 - np.hypot(canvas.coarse[at.place], canvas.fine[at.place]) / 0.4, 0, 1)
    depth = np.clip((at.y + 60) / 100, 0, 1)
    air = hu["lung"] + 60 * depth + 15 * canvas.coarse[at.place] + 500 * vessels
    between = rounded_section(at.x - 6, at.y + 22, 26, 46)
    canvas.paint(at, np.maximum(above, -between), air)
    canvas.paint(at, intersection(above, between, 6), hu["fat"])
    heart_at = canvas.around((30, -95, 140), (80, 75, 70))
    beat = 0.95 + 0.1 * rng.random()
    heart = ellipsoid(heart_at, (32, -90, build.dome_mm + 42), (60 * beat, 44 * beat, 50 * beat), roll=-0.5)
    heart = np.maximum(heart, 4 - cavity.diaphragm[heart_at.place])
    canvas.paint(heart_at, heart - 4, hu["fat"])
    canvas.paint(heart_at, heart, hu["muscle"] + 30)
    canvas.paint(heart_at, heart + 9, hu["heart"])
    canvas.paint(heart_at, np.abs(heart_at.x - 0.6 * heart_at.y - 85) - 3 + np.maximum(heart + 9, 0), hu["muscle"] + 30)
    muscle = np.maximum(np.abs(cavity.diaphragm[at.place] - 1.0) - 1.0, cavity.wall[at.place] + 1)
    canvas.paint(at, muscle, hu["muscle"])


def _spine(build: Build, rng: np.random.Generator) -> Spine:
    phase = rng.uniform(-16, 16)
    curve = 1 + 0.25 * rng.standard_normal()

    def bow(z: FloatGrid) -> FloatGrid:
        return np.asarray(curve * (20 * ((z + 110) / 240) ** 2 - 8), np.float32)

    return Spine(
        pitch_mm=33 * build.scale,
        first_mm=phase,
        half_width_mm=22 * build.scale,
        half_depth_mm=16 * build.scale,
        process_mm=34 * build.scale,
        wing_mm=36 * build.scale,
        cord_radii_mm=(5.6 * build.scale, 4.4 * build.scale),
        bow=bow,
        low_mm=LOW_MM,
        high_mm=HIGH_MM,
        conus_mm=float(-38 + 10 * np.clip(rng.standard_normal(), -2, 2)),
    )


def _draw_back_muscles(canvas: Canvas, spine: Spine, hu: Mapping[str, float]) -> None:
    for side in (-1, 1):
        points = [(side * x, float(float(spine.bow(np.array(z)))) + y, float(z)) for x, y, z in
                  ((24, 2, -10), (31, 2, -55), (40, -2, -110), (50, -10, -170), (62, -28, -255))]  # fmt: skip
        at, psoas = canvas.tube(points, (5, 11, 19, 23, 22))
        canvas.paint(at, psoas, hu["muscle"] + 4 * canvas.fine[at.place], solid=True)
        canvas.fill((side * 58, 26, -95), (20, 9, 75), hu["muscle"], solid=True)
        at = canvas.window((side * 36 - 40, 20, LOW_MM), (side * 36 + 40, 110, HIGH_MM))
        erector = oval_section(at.x - side * 33, at.y - 56, 29, 20)
        canvas.paint(at, np.abs(erector + 2 * canvas.coarse[at.place]) - 0.8, hu["fat"], opacity=0.55)


def _draw_pelvis(canvas: Canvas, build: Build, hu: Mapping[str, float]) -> None:
    """The wings of the hip bones and the sacrum's upper part."""
    at = canvas.window((-170, -120, LOW_MM), (170, 110, -120))
    bowl = ellipsoid(at, (0, -40, -235), (135 * build.scale, 105, 105))
    plate = np.abs(bowl) - 5 - np.clip((at.y - 20) / 10, 0, 5)
    plate = np.maximum(plate, np.maximum(42 - np.abs(at.x), -at.y - 40 - 0.6 * (at.z + 180)))
    plate = np.maximum(plate, at.z + 150 + 0.004 * (np.abs(at.x) - 95) ** 2)
    canvas.paint(at, plate, np.where(plate > -2.2, hu["hard bone"], hu["spongy bone"]))
    iliacus = np.maximum(np.maximum(bowl + 4, -16 - bowl), np.maximum(45 - np.abs(at.x), at.z + 160))
    canvas.paint(at, iliacus, hu["muscle"])
