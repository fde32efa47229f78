"""Planes of a CT with contours, as inline SVG in mm: so their sides are as long as in the patient, whatever the voxels.

Law: pictures are as radiologists hang them. Axial planes are seen from the feet, coronal ones from the front: the
patient's right is on the left. Sagittal planes have the front on the left. Heads are up.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from colorsys import hls_to_rgb

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from gossamer.data.boxed_mask import BoxedMask
from gossamer.data.image import Image
from gossamer.data.laterality import DENSE_HU
from gossamer.dicom.rtstruct.rings import trace
from gossamer.png import grey_png
from gossamer.qa.planes import AXIAL, Plane

WINDOW_HU = (-160.0, 240.0)
"""Soft tissue, as a planning system shows it."""

FINEST_MM = 0.8
"""Of a picture's pixels; finer ones are averaged, since a page shows no more."""

FEW_VOXELS = 0.02
"""Of the fullest row: a row with less of the body is air with a wire of the couch, and is cut off."""

MARGIN_MM = 8.0

LEAST_MM = 160.0
"""Side of a picture, at least: a child's neck needs no magnifying glass."""

BAR_MM = 50.0

ENDS = (("R", "L", "A", "P"), ("R", "L", "H", "F"), ("A", "P", "H", "F"))
"""What lies to the left, to the right, above and below in each kind of plane."""

FEW_COLOURS = ("#E69F00", "#56B4E9", "#2FD6A3", "#F0E442", "#FF7F50", "#E79AC6", "#8FA8FF", "#FFFFFF")
"""Those of the study's report: Okabe and Ito's, lightened where they would be lost on black."""

GOLDEN_TURN = 0.381966
"""Of the circle of hues; however many there are, neighbours in a list lie far apart."""


def colours_of(structures: Sequence[str]) -> dict[str, str]:
    """A colour for each structure."""
    colours = list(FEW_COLOURS)
    for n in range(len(structures) - len(colours)):
        rgb = hls_to_rgb(0.03 + n * GOLDEN_TURN, (0.62, 0.78)[n % 2], 0.9)
        colours.append("#" + "".join(f"{round(255 * part):02X}" for part in rgb))
    return dict(zip(structures, colours, strict=False))


def shown_part(image: Image, plane: Plane, masks: Mapping[str, NDArray[np.bool_]]) -> tuple[slice, slice]:
    """Rows and columns of a plane to show: those with the body and all contours, whatever the scan shows beside it.

    Args:
        image: the CT.
        plane: of it.
        masks: of the structures in the plane, bool [row, column].
    """
    rest = [axis for axis in range(3) if axis != plane.axis]
    body = np.take(image.voxels, plane.index, plane.axis) > DENSE_HU
    sides = []
    for place, axis in enumerate(rest):
        step_mm, n = image.frame.spacing_mm[axis], body.shape[place]
        count = np.count_nonzero(body, axis=1 - place)
        seen = count > FEW_VOXELS * count.max(initial=0)
        for mask in masks.values():
            seen |= mask.any(axis=1 - place)
        if axis == 0 or not seen.any():  # every slice is shown
            sides.append(slice(0, n))
            continue
        places = np.flatnonzero(seen)
        short_mm = max(0.0, LEAST_MM - (places[-1] - places[0] + 1) * step_mm) / 2
        margin = math.ceil(max(MARGIN_MM, short_mm) / step_mm)
        sides.append(slice(max(int(places[0]) - margin, 0), min(int(places[-1]) + 1 + margin, n)))
    return sides[0], sides[1]


def plane_svg(
    image: Image,
    plane: Plane,
    drawn: Mapping[str, BoxedMask],
    *,
    found: Mapping[str, BoxedMask],
    colours: Mapping[str, str],
    title: str,
) -> Markup:
    """A plane in grey, with contours as drawn (solid) and as predicted (dashed).

    Args:
        image: the CT.
        plane: of it.
        drawn: structures on the image's grid.
        found: the same as a model found them; may be empty.
        colours: of the structures.
        title: what it shows, for those who hear the page.
    """
    shape, upright = image.frame.shape, plane.axis != AXIAL  # z grows to the head, and rows grow downwards
    dy, dx = (step_mm for axis, step_mm in enumerate(image.frame.spacing_mm) if axis != plane.axis)
    parts = {
        (name, css): mask.plane(plane.axis, plane.index, shape)
        for masks, css in ((drawn, "drawn"), (found, "found"))
        for name, mask in masks.items()
    }
    rows, columns = shown_part(image, plane, {name: part for (name, css), part in parts.items() if css == "drawn"})
    hu = np.take(image.voxels, plane.index, plane.axis)[rows, columns]
    height, width = hu.shape[0] * dy, hu.shape[1] * dx
    grey, (pixel_y, pixel_x) = _pooled(hu[::-1] if upright else hu, (dy, dx))
    shapes = [
        Markup(
            '<image x="0" y="0" width="{:.2f}" height="{:.2f}" preserveAspectRatio="none" '
            'href="data:image/png;base64,{}"/>'
        ).format(grey.shape[1] * pixel_x, grey.shape[0] * pixel_y, base64.b64encode(grey_png(grey)).decode())
    ]
    for (name, css), whole in parts.items():
        part = whole[rows, columns]
        if part.any():
            shapes.append(
                Markup('<path d="{}" style="stroke:{}" class="{}"><title>{}{}</title></path>').format(
                    _outline(part[::-1] if upright else part, dy, dx),
                    colours[name], css, name, ", predicted" if css == "found" else "",
                )
            )  # fmt: skip
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="ct" viewBox="0 0 {:.2f} {:.2f}" role="img">'
        "<title>{}</title>{}{}</svg>"
    ).format(width, height, title, Markup("").join(shapes), _letters(plane.axis, width, height))


def _pooled(
    hu: NDArray[np.int16] | NDArray[np.float32], spacing_mm: tuple[float, float]
) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Grey levels of a plane, over whole blocks of voxels where these are very fine; and the pixels' sides in mm."""
    low, high = WINDOW_HU
    grey = np.clip((hu.astype(np.float32) - low) / (high - low) * 255, 0, 255)
    sides_mm = list(spacing_mm)
    for axis, step_mm in enumerate(spacing_mm):
        block = min(max(1, int(FINEST_MM / step_mm)), grey.shape[axis])
        starts = np.arange(0, grey.shape[axis] // block * block, block)
        grey = np.add.reduceat(grey.take(range(len(starts) * block), axis), starts, axis) / block
        sides_mm[axis] *= block
    return grey.astype(np.uint8), (sides_mm[0], sides_mm[1])


def _outline(mask: NDArray[np.bool_], dy: float, dx: float) -> str:
    """A mask's outline in mm, half way between the voxels within and those without."""
    rings = ("L".join(f"{(x + 0.5) * dx:.1f} {(y + 0.5) * dy:.1f}" for y, x in ring) for ring in trace(mask))
    return "".join(f"M{points}Z" for points in rings)


def _letters(axis: int, width: float, height: float) -> Markup:
    """Which side is which, and a bar of 5 cm."""
    size = max(width, height) / 26
    left, right, above, below = ENDS[axis]
    places = (
        (left, 0.35 * size, height / 2, "start"),
        (right, width - 0.35 * size, height / 2, "end"),
        (above, width / 2, size, "middle"),
        (below, width / 2, height - 0.35 * size, "middle"),
    )
    letter = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" style="font-size:{:.1f}px">{}</text>')
    marks = [letter.format(x, y, anchor, size, text) for text, x, y, anchor in places]
    if width > BAR_MM + size:
        bar = Markup('<path class="bar" d="M{:.1f} {:.1f}h{:.0f}"/>')
        marks.append(bar.format(size / 2, height - size / 2, BAR_MM))
    return Markup("").join(marks)
