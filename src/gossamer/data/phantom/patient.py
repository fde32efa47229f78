"""One synthetic patient of a hospital, from a seed: CT, contours, what was drawn and what lies in the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.data.phantom import abdomen, head_neck, neck, trunk
from gossamer.data.phantom.canvas import Canvas, Pose
from gossamer.data.phantom.contour import draw_contour
from gossamer.data.phantom.fields import AxesZYX
from gossamer.data.phantom.hospital import Hospital, Region, Scanner
from gossamer.data.phantom.metal import add_streaks
from gossamer.data.phantom.scan import scan
from gossamer.data.phantom.table import draw_table
from gossamer.data.phantom.tissue import draw_tissue
from gossamer.units import AIR_HU, ZYX

COMPLETE_SHARE = 0.9
"""An organ of which at least this much lies in the image is scored."""

VISIBLE_SHARE = 0.05
"""Nobody draws the last sliver of an organ at the edge of the image."""

AIR_MARGIN_MM = 12.0
"""Air that is kept in front of the body."""

TABLE_MM = 40.0
"""Depth that is kept behind the body: the table."""


@dataclass(frozen=True)
class Anatomy:
    """A part of the body that can be drawn.

    Attributes:
        structures: by standard names.
        draw: paints it.
        low_mm: least x, y, z of what is drawn; y without the table.
        high_mm: greatest.
        cord_from: the end of the cord from which its drawn length is counted.
    """

    structures: tuple[str, ...]
    draw: Callable[[Canvas, Mapping[str, float], np.random.Generator], None]
    low_mm: tuple[float, float, float]
    high_mm: tuple[float, float, float]
    cord_from: Literal["below", "above"]


ANATOMIES: Mapping[Region, Anatomy] = {
    "abdomen": Anatomy(
        abdomen.STRUCTURES,
        abdomen.draw_abdomen,
        (-225.0, -240.0, trunk.LOW_MM + 8),
        (225.0, 110.0, trunk.HIGH_MM - 8),
        "below",
    ),
    "head-neck": Anatomy(
        head_neck.STRUCTURES,
        head_neck.draw_head_neck,
        (-232.0, -142.0, neck.LOW_MM + 8),
        (232.0, 145.0, neck.HIGH_MM - 8),
        "above",
    ),
}


class Patient(NamedTuple):
    """A synthetic patient."""

    image: Image
    """CT in HU, int16."""
    masks: dict[str, NDArray[np.bool_]]
    """What the hospital drew, by structure bool [z, y, x]."""
    annotated: tuple[str, ...]
    """The structures that were drawn."""
    complete: tuple[str, ...]
    """Those of them of which at least 90 % of what would be drawn lies in the image."""


def draw_patient(region: Region, hospital: Hospital, seed: int | Sequence[int]) -> Patient:
    """Draw a patient; the same seed gives the same voxels.

    The body depends on the seed and the contrast phase alone: two hospitals see the same patient differently.

    Args:
        region: of the body.
        hospital: who scans and contours.
        seed: one or several numbers, not negative.
    """
    anatomy, scanner = ANATOMIES[region], hospital.scanner
    bend, grain, tissue, body, machine, hand, choice = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(7)
    )
    axes = _axes(anatomy, scanner.spacing_mm)
    canvas = Canvas(axes, _draw_pose(bend), bend, grain)
    anatomy.draw(canvas, draw_tissue(scanner.phase, tissue), body)
    view = _draw_view(canvas, scanner, region, machine)
    add_streaks(canvas.hu, canvas.axes_mm, canvas.metal, machine)
    image = np.ascontiguousarray(scan(canvas.hu, view.axes_mm, scanner, machine)[view.field])
    origin = [float(axis[part.start]) for axis, part in zip(view.axes_mm, view.field, strict=True)]
    frame = Frame.canonical(image.shape, scanner.spacing_mm, (origin[0], origin[1], origin[2]))

    masks: dict[str, NDArray[np.bool_]] = {}
    complete = []
    hands = dict(zip(anatomy.structures, hand.spawn(len(anatomy.structures)), strict=True))
    for name in _chosen(anatomy.structures, hospital, choice):
        whole = draw_contour(canvas.distance_mm[name], canvas.spacing_mm, hospital.habit, hands[name])
        if name == "SpinalCord":
            whole = _of_length(whole, hospital.habit.cord_mm / canvas.spacing_mm[0], anatomy.cord_from)
        mask = (whole & view.circle)[view.field]
        share = int(np.count_nonzero(mask)) / max(1, int(np.count_nonzero(whole)))
        if share >= VISIBLE_SHARE:
            masks[name] = mask
        if share >= COMPLETE_SHARE:
            complete.append(name)
    return Patient(Image(image, frame), masks, tuple(masks), tuple(complete))


@dataclass(frozen=True, eq=False)
class _View:
    """What of the canvas is seen.

    Attributes:
        axes_mm: of the canvas, from the middle of the scanner.
        field: the part that becomes the image.
        circle: what of a slice is reconstructed; bool [y, x].
    """

    axes_mm: AxesZYX
    field: tuple[slice, slice, slice]
    circle: NDArray[np.bool_]


def _draw_view(canvas: Canvas, scanner: Scanner, region: Region, rng: np.random.Generator) -> _View:
    """Put the patient on the table and choose what is scanned."""
    z, y, x = canvas.axes_mm
    step = canvas.spacing_mm[1]
    body = np.flatnonzero((canvas.hu > AIR_HU / 2).any(axis=(0, 2)))
    draw_table(canvas, float(y[body[-1]]))
    from_middle_y = y - np.float32(y[body[[0, -1]]].mean() + rng.uniform(-12, 12))
    from_middle_x = x - np.float32(rng.uniform(-12, 12))
    radius = scanner.field_of_view_mm / 2
    reach = scanner.reach_mm[region] + scanner.reach_sd_mm * np.clip(rng.standard_normal(2), -2, 2)
    low, high = np.searchsorted(z, reach)
    front, back = np.searchsorted(from_middle_y, [-radius, radius])
    right, left = np.searchsorted(from_middle_x, [-radius, radius])
    front = max(int(front), body[0] - round(AIR_MARGIN_MM / step))
    back = min(int(back), body[-1] + round(TABLE_MM / step))
    return _View(
        (z, from_middle_y, from_middle_x),
        (slice(int(low), int(high)), slice(int(front), int(back)), slice(int(right), int(left))),
        np.hypot(from_middle_y[:, None], from_middle_x[None, :]) <= radius,
    )


def _axes(anatomy: Anatomy, spacing_mm: ZYX) -> AxesZYX:
    """Voxel centres around all of the anatomy and the table."""
    low, high = anatomy.low_mm[::-1], (anatomy.high_mm[2], anatomy.high_mm[1] + TABLE_MM, anatomy.high_mm[0])
    z, y, x = (
        np.arange(least + step / 2, most, step, dtype=np.float32)
        for least, most, step in zip(low, high, spacing_mm, strict=True)
    )
    return z, y, x


def _draw_pose(rng: np.random.Generator) -> Pose:
    roll, tilt, yaw = np.radians([1.5, 2.0, 2.5]) * np.clip(rng.standard_normal(3), -2, 2)
    return Pose(float(roll), float(tilt), float(yaw), bend_mm=3.5, bend_wavelength_mm=160.0)


def _chosen(structures: tuple[str, ...], hospital: Hospital, rng: np.random.Generator) -> list[str]:
    """Which structures are drawn in a patient; the partners of a pair share their luck."""
    roots = {name: name.removesuffix("_L").removesuffix("_R") for name in structures}
    luck = {root: rng.random() for root in dict.fromkeys(roots.values())}
    return [name for name in structures if luck[roots[name]] < hospital.coverage.get(name, 1.0)]


def _of_length(mask: NDArray[np.bool_], slices: float, end: Literal["below", "above"]) -> NDArray[np.bool_]:
    """The first ``slices`` slices of a mask, counted from one of its ends."""
    there = np.flatnonzero(mask.any(axis=(1, 2)))
    if there.size:
        count = round(slices)
        if end == "below":
            mask[there[0] + count :] = False
        else:
            mask[: max(0, there[-1] + 1 - count)] = False
    return mask
