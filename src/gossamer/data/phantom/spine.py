"""The spine with its canal and cord, for any region: the same shapes repeat from level to level."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gossamer.data.phantom.canvas import Canvas, Window
from gossamer.data.phantom.fields import FloatGrid
from gossamer.data.phantom.shapes import oval_section


@dataclass(frozen=True)
class Spine:
    """Size and course of a spine.

    Attributes:
        pitch_mm: from one vertebra to the next.
        first_mm: z of the middle of any one vertebra.
        half_width_mm: of a vertebral body.
        half_depth_mm: of a vertebral body.
        process_mm: length of the spinous processes.
        wing_mm: how far the transverse processes reach from the middle.
        cord_radii_mm: half width and half depth of the cord.
        bow: y in mm of the middle of the vertebral bodies at z in mm.
        low_mm: z below which there is none.
        high_mm: z above which there is none.
        conus_mm: lower end of the cord.
    """

    pitch_mm: float
    first_mm: float
    half_width_mm: float
    half_depth_mm: float
    process_mm: float
    wing_mm: float
    cord_radii_mm: tuple[float, float]
    bow: Callable[[FloatGrid], FloatGrid]
    low_mm: float
    high_mm: float
    conus_mm: float

    @property
    def canal_mm(self) -> float:
        """From the middle of a vertebral body back to the middle of the canal."""
        return self.half_depth_mm + 8.8 * math.pow(self.half_width_mm / 22, 0.4)


def draw_spine(canvas: Canvas, spine: Spine, hu: Mapping[str, float]) -> None:
    """Paint vertebrae, discs, canal and cord; the cord is named ``SpinalCord``."""
    back = spine.canal_mm + spine.process_mm
    reach = max(spine.wing_mm, spine.half_width_mm) + 4
    rows = np.linspace(spine.low_mm, spine.high_mm, 9, dtype=np.float32)
    bow = spine.bow(rows)
    at = canvas.window(
        (-reach, float(bow.min()) - spine.half_depth_mm - 4, spine.low_mm),
        (reach, float(bow.max()) + back + 6, spine.high_mm),
    )
    y = at.y - spine.bow(at.z)
    level = (at.z - spine.first_mm) / spine.pitch_mm
    from_middle = spine.pitch_mm * (level - np.rint(level))
    ends = np.maximum(spine.low_mm - at.z, at.z - spine.high_mm)

    bone = _bone(spine, at.x, y, from_middle)
    column = np.maximum(oval_section(at.x, y, spine.half_width_mm, spine.half_depth_mm), ends)
    bone = np.maximum(bone, ends)
    canvas.paint(at, column, hu["disc"], solid=True)
    spongy = hu["spongy bone"] + 0.25 * hu["spongy bone"] * canvas.fine[at.place]
    canvas.paint(at, bone, np.where(bone > -2.2, hu["hard bone"], spongy), solid=True)
    _draw_canal(canvas, spine, at, y, hu)


def _bone(spine: Spine, x: FloatGrid, y: FloatGrid, from_middle: FloatGrid) -> FloatGrid:
    """Distance to the vertebrae, discs left out."""
    half_height = 0.37 * spine.pitch_mm
    above, side = np.abs(from_middle), np.abs(x)
    waist = 1.5 * (above / half_height) ** 2 - 1
    body = np.maximum(oval_section(x, y, spine.half_width_mm + waist, spine.half_depth_mm + waist), above - half_height)
    scale = spine.half_width_mm / 22
    canal_y = y - spine.canal_mm
    canal = oval_section(x, canal_y, 11.5 * scale**0.4, 8.5 * scale**0.4)
    arch = np.maximum(np.maximum(-canal, canal - (5.5 * scale)), above - (0.33 * spine.pitch_mm))
    wing_y = canal_y + 2.0 - 0.25 * (side - (14 * scale))
    wing = np.sqrt(wing_y**2 + (from_middle - 3) ** 2) - (4.2 * scale)
    wing = np.maximum(wing, np.maximum(side - spine.wing_mm, (12 * scale) - side))
    process = np.maximum(side - (3.2 * scale + 0.5), np.abs(from_middle + 6 * scale) - (9 * scale))
    start, end = spine.canal_mm + 11 * scale, spine.canal_mm + spine.process_mm
    process = np.maximum(process, np.maximum(start - y, y - end))
    return np.asarray(np.minimum(np.minimum(body, arch), np.minimum(wing, process)), np.float32)


def _draw_canal(canvas: Canvas, spine: Spine, at: Window, y: FloatGrid, hu: Mapping[str, float]) -> None:
    scale = (spine.half_width_mm / 22) ** 0.4
    canal_y = y - spine.canal_mm
    ends = np.maximum(spine.low_mm - at.z, at.z - spine.high_mm)
    canal = np.maximum(oval_section(at.x, canal_y, 10.5 * scale, 7.5 * scale), ends)
    canvas.paint(at, canal, hu["canal"], solid=True)
    half_x, half_y = spine.cord_radii_mm
    taper = np.clip((at.z - spine.conus_mm) / 25, 0.25, 1)
    cord = np.maximum(oval_section(at.x, canal_y, half_x * taper, half_y * taper), ends)
    cord = np.maximum(cord, spine.conus_mm - at.z)
    canvas.paint(at, cord, hu["cord"])
    canvas.name("SpinalCord", at, cord)
