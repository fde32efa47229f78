"""The grid on which one patient is drawn: HU, and for each structure how far every voxel is from its surface.

Tissue is painted part by part, the later over the earlier, with soft edges of a voxel's width (partial volume). What
is painted solid claims its place: later parts can be cut to leave it free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gossamer.data.phantom.fields import AxesZYX, FloatGrid, texture, waves
from gossamer.data.phantom.shapes import PointXYZ, ellipsoid, segment
from gossamer.units import AIR_HU, ZYX, ShapeZYX

FAR_MM = 999.0

Place = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Window:
    """A part of the canvas.

    Attributes:
        place: which part.
        x: to the patient's left, in mm; float32 [z, y, x].
        y: to the back.
        z: to the head.
    """

    place: Place
    x: FloatGrid
    y: FloatGrid
    z: FloatGrid


@dataclass(frozen=True)
class Pose:
    """How a patient lies and differs from the typical one: turned, bent, stretched.

    Attributes:
        roll: in radians about y.
        tilt: about x.
        yaw: about z.
        bend_mm: standard deviation of a smooth displacement.
        bend_wavelength_mm: of that displacement.
        stretch: along x, y, z.
    """

    roll: float
    tilt: float
    yaw: float
    bend_mm: float
    bend_wavelength_mm: float
    stretch: PointXYZ = (1.0, 1.0, 1.0)

    @property
    def world_from_patient(self) -> NDArray[np.float64]:
        """Matrix [3, 3] for points (x, y, z)."""
        (cr, sr), (ct, st), (cy, sy) = ((np.cos(a), np.sin(a)) for a in (self.roll, self.tilt, self.yaw))
        about_y = np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]])
        about_x = np.array([[1, 0, 0], [0, ct, st], [0, -st, ct]])
        about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
        return np.asarray(about_z @ about_x @ about_y @ np.diag(self.stretch))


class Canvas:
    """What one patient is painted on.

    Args:
        axes_mm: world coordinates of the voxel centres along z, y, x.
        pose: how the patient lies in the world.
        bend_rng: bends the patient.
        grain_rng: makes the texture of tissue.

    Attributes:
        hu: float32 [z, y, x].
        distance_mm: by structure, from its surface, negative inside; float32 [z, y, x].
        whole: the window of everything.
        metal: world points (x, y, z) in mm of fillings in teeth.
        fine: texture of 2.5 mm grains, unit variance.
        coarse: texture of 7 mm grains, unit variance.
    """

    def __init__(
        self, axes_mm: AxesZYX, pose: Pose, bend_rng: np.random.Generator, grain_rng: np.random.Generator
    ) -> None:
        self.axes_mm = axes_mm
        z, y, x = (float(axis[1] - axis[0]) for axis in axes_mm)
        self.spacing_mm: ZYX = (z, y, x)
        self.edge_mm = float(np.cbrt(z * y * x))
        self.shape: ShapeZYX = (axes_mm[0].size, axes_mm[1].size, axes_mm[2].size)
        self._pose = pose
        self._margin_mm = 3.0 * pose.bend_mm + 2 * self.edge_mm
        self.whole = self._whole(bend_rng)
        self.hu: FloatGrid = np.full(self.shape, AIR_HU, np.float32)
        self.distance_mm: dict[str, FloatGrid] = {}
        self.claimed_mm: FloatGrid = np.full(self.shape, FAR_MM, np.float32)
        self.metal: list[PointXYZ] = []
        self.fine = texture(self.shape, self.spacing_mm, 2.5, grain_rng)
        self.coarse = texture(self.shape, self.spacing_mm, 7.0, grain_rng)

    def _whole(self, rng: np.random.Generator) -> Window:
        bend = self._pose.bend_mm, self._pose.bend_wavelength_mm
        z, y, x = np.ix_(*self.axes_mm)
        patient_from_world = np.linalg.inv(self._pose.world_from_patient).astype(np.float32)
        turned = [row[0] * x + row[1] * y + row[2] * z for row in patient_from_world]
        bent = [axis + bend[0] * waves(self.axes_mm, bend[1], rng) for axis in turned]
        return Window((slice(None), slice(None), slice(None)), *bent)

    def window(self, low: PointXYZ, high: PointXYZ) -> Window:
        """The part that holds a box of the patient, whatever its pose.

        Args:
            low: least (x, y, z) in mm.
            high: greatest.
        """
        corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), axis=-1).reshape(-1, 3)
        world = corners @ self._pose.world_from_patient.T
        ranges = []
        for axis, least, most in zip(self.axes_mm, world.min(axis=0)[::-1], world.max(axis=0)[::-1], strict=True):
            first = int(np.searchsorted(axis, least - self._margin_mm))
            last = int(np.searchsorted(axis, most + self._margin_mm))
            ranges.append(slice(first, max(last, first)))
        place = (ranges[0], ranges[1], ranges[2])
        return Window(place, self.whole.x[place], self.whole.y[place], self.whole.z[place])

    def around(self, centre: PointXYZ, reach_mm: float | PointXYZ) -> Window:
        """The part within ``reach_mm`` of a point."""
        reach = np.broadcast_to(reach_mm, 3)
        low, high = np.subtract(centre, reach), np.add(centre, reach)
        return self.window((low[0], low[1], low[2]), (high[0], high[1], high[2]))

    def add_metal(self, point: PointXYZ) -> None:
        """Put a filling at a place in the patient."""
        x, y, z = (float(mm) for mm in self._pose.world_from_patient @ point)
        self.metal.append((x, y, z))

    def inside(self, distance_mm: FloatGrid) -> FloatGrid:
        """Share of each voxel that lies inside a surface."""
        return np.asarray(np.clip(0.5 - distance_mm / self.edge_mm, 0, 1), np.float32)

    def paint(
        self, at: Window, distance_mm: FloatGrid, hu: FloatGrid | float, *, solid: bool = False, opacity: float = 1.0
    ) -> None:
        """Fill a shape.

        Args:
            at: the window.
            distance_mm: from the shape's surface, in the window.
            hu: of the tissue, a number or a number for each voxel of the window.
            solid: claim the place.
            opacity: 1 replaces what was there.
        """
        share = self.inside(distance_mm) * opacity
        view = self.hu[at.place]
        view += share * (np.asarray(hu, np.float32) - view)
        if solid:
            self.claim(at, distance_mm)

    def claim(self, at: Window, distance_mm: FloatGrid) -> None:
        """Keep later parts out."""
        view = self.claimed_mm[at.place]
        np.minimum(view, distance_mm, out=view)

    def cut(self, at: Window, distance_mm: FloatGrid, gap_mm: float = 1.0) -> FloatGrid:
        """The shape without what is claimed already."""
        return np.asarray(np.maximum(distance_mm, gap_mm - self.claimed_mm[at.place]))

    def name(self, structure: str, at: Window, distance_mm: FloatGrid) -> None:
        """Say that a shape is a structure."""
        full = np.full(self.shape, FAR_MM, np.float32)
        full[at.place] = distance_mm
        self.distance_mm[structure] = full

    def fill(
        self,
        centre: PointXYZ,
        radii: PointXYZ,
        hu: float,
        *,
        grain_hu: float = 4.0,
        solid: bool = False,
        roll: float = 0.0,
        tilt: float = 0.0,
        yaw: float = 0.0,
    ) -> None:
        """Fill an ellipsoid; see :func:`~gossamer.data.phantom.shapes.ellipsoid`.

        Args:
            centre: in mm.
            radii: half axes in mm.
            hu: of the tissue.
            grain_hu: strength of its texture.
            solid: claim the place.
            roll: see there.
            tilt: see there.
            yaw: see there.
        """
        at = self.around(centre, max(radii))
        distance = ellipsoid(at, centre, radii, roll=roll, tilt=tilt, yaw=yaw)
        self.paint(at, distance, hu + grain_hu * self.fine[at.place], solid=solid)

    def tube(self, points: Sequence[PointXYZ], radii: Sequence[float] | float) -> tuple[Window, FloatGrid]:
        """A rod along points: the window and the distance in it."""
        return self.tubes([(points, radii)])

    def tubes(self, tracks: Sequence[tuple[Sequence[PointXYZ], Sequence[float] | float]]) -> tuple[Window, FloatGrid]:
        """Rods that join: each along its points, with a radius in mm for all or for each of them."""
        rods = []
        for points, radii in tracks:
            widths = [float(r) for r in np.broadcast_to(radii, len(points))]
            rods += list(zip(points[:-1], points[1:], widths[:-1], widths[1:], strict=True))
        ends = np.array([(start, end) for start, end, _, _ in rods])
        widest = np.array([[max(first, last)] for _, _, first, last in rods])
        lows, highs = ends.min(axis=1) - widest, ends.max(axis=1) + widest
        at = self.window(tuple(lows.min(axis=0)), tuple(highs.max(axis=0)))
        distance: FloatGrid = np.full(at.x.shape, FAR_MM, np.float32)
        for rod, low, high in zip(rods, lows, highs, strict=True):
            near = self.window(tuple(low), tuple(high))
            view = distance[
                tuple(
                    slice(inner.start - outer.start, inner.stop - outer.start)
                    for inner, outer in zip(near.place, at.place, strict=True)
                )
            ]
            np.minimum(view, segment(near, *rod), out=view)
        return at, distance
