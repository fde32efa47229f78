"""CT slices with contours: the best, the median and the worst patient of each hospital.

Only for public or synthetic data; :func:`gossamer.study.report.write_report` refuses anything else.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from gossamer.dicom.rtstruct.rings import trace
from gossamer.evaluate.score import mean_of
from gossamer.png import grey_png
from gossamer.study.scores import VALIDATION_SET, CaseScore
from gossamer.units import ZYX

YX = tuple[float, float]

Which = Literal["best", "median", "worst"]

WINDOW_HU = (-160.0, 240.0)
"""Soft tissue, as a planning system shows it."""

MARGIN_MM = 20.0
"""Around the contours, so that one sees where in the body they lie."""

ORGAN_COLOURS = ("#E69F00", "#56B4E9", "#2FD6A3", "#F0E442", "#FF7F50", "#E79AC6", "#8FA8FF", "#FFFFFF")
"""Okabe and Ito's, lightened where they would be lost on black."""


@dataclass(frozen=True)
class ChosenCase:
    """A patient to be shown, and under which run.

    Attributes:
        dsc: mean over the organs drawn.
    """

    arm: str
    seed: int
    site: str
    case: str
    which: Which
    dsc: float


@dataclass(frozen=True)
class SlicePicture:
    """One axial slice.

    Attributes:
        image_hu: [y, x].
        spacing_mm: along y and x.
        position_mm: along z from the lowest slice.
        reference: mask [y, x] of each organ as drawn.
        predicted: mask [y, x] of each organ as predicted.
    """

    image_hu: NDArray[np.floating | np.integer]
    spacing_mm: YX
    position_mm: float
    reference: Mapping[str, NDArray[np.bool_]]
    predicted: Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class CasePicture:
    """A patient with one or two slices.

    Attributes:
        chosen: who he is.
        dsc: by organ.
    """

    chosen: ChosenCase
    dsc: Mapping[str, float]
    slices: tuple[SlicePicture, ...]


def choose_cases(
    cases: Sequence[CaseScore], *, arm: str, schedule: str, seed: int, set_name: str = VALIDATION_SET
) -> tuple[ChosenCase, ...]:
    """The best, the median and the worst patient of each hospital, by mean DSC over the organs drawn.

    A hospital of one patient gives him as the median, one of two gives best and worst.
    """
    by_patient: dict[tuple[str, str], list[CaseScore]] = {}
    for row in cases:
        if (row.set, row.arm, row.schedule, row.seed) == (set_name, arm, schedule, seed):
            by_patient.setdefault((row.site, row.case), []).append(row)
    by_site: dict[str, list[tuple[float, str]]] = {}
    for (site, case), rows in by_patient.items():
        mean = mean_of(row.dsc for row in rows)
        if mean is not None:
            by_site.setdefault(site, []).append((mean, case))
    return tuple(
        ChosenCase(arm, seed, site, case, which, mean)
        for site, patients in sorted(by_site.items())
        for which, (mean, case) in _three(sorted(patients, reverse=True)).items()
    )


def _three(ranked: Sequence[tuple[float, str]]) -> dict[Which, tuple[float, str]]:
    if len(ranked) == 1:
        return {"median": ranked[0]}
    chosen: dict[Which, tuple[float, str]] = {"best": ranked[0]}
    if len(ranked) > 2:
        chosen["median"] = ranked[len(ranked) // 2]
    return {**chosen, "worst": ranked[-1]}


def picture_of(
    chosen: ChosenCase,
    *,
    image_hu: NDArray[np.floating | np.integer],
    spacing_mm: ZYX,
    reference: Mapping[str, NDArray[np.bool_]],
    predicted: Mapping[str, NDArray[np.bool_]],
    dsc: Mapping[str, float],
) -> CasePicture:
    """Take the slices of a patient that show most.

    The first shows as many organs as one slice can; the second, where there is need of one, those it left out.

    Args:
        chosen: the patient.
        image_hu: [z, y, x].
        spacing_mm: along z, y, x.
        reference: mask [z, y, x] of each organ as drawn and complete.
        predicted: mask [z, y, x] of each organ.
        dsc: by organ.
    """
    planes = _planes({organ: mask.sum(axis=(1, 2)) for organ, mask in reference.items()})
    slices = tuple(
        SlicePicture(
            image_hu=image_hu[z],
            spacing_mm=(spacing_mm[1], spacing_mm[2]),
            position_mm=z * spacing_mm[0],
            reference={organ: mask[z] for organ, mask in reference.items()},
            predicted={organ: predicted[organ][z] for organ in reference if organ in predicted},
        )
        for z in planes
    )
    return CasePicture(chosen, dict(dsc), slices)


def _planes(areas: Mapping[str, NDArray[np.int_]]) -> list[int]:
    """At most two slices: each shows the most organs not yet shown, and among such the largest part of them."""
    left = {organ: area / area.max() for organ, area in areas.items() if area.any()}
    planes: list[int] = []
    while left and len(planes) < 2:
        shares = np.stack(list(left.values()))
        z = int(np.argmax((shares > 0.25).sum(axis=0) + shares.mean(axis=0)))
        planes.append(z)
        left = {organ: share for organ, share in left.items() if share[z] <= 0.25}
    return planes


def field_mm(pictures: Sequence[CasePicture]) -> float:
    """Side of the square that holds what is drawn in any slice, so that all slices are shown at one scale."""
    sides = [0.0]
    for part in (part for picture in pictures for part in picture.slices):
        low, high = _extent_mm(part)
        sides += [high[0] - low[0], high[1] - low[1]]
    return max(sides) + 2 * MARGIN_MM


def slice_svg(picture: SlicePicture, colours: Mapping[str, str], title: str, field_mm: float) -> Markup:
    """A slice in grey, its reference contours solid and its predicted ones dashed; lengths are mm."""
    dy, dx = picture.spacing_mm
    low, high = _extent_mm(picture)
    top, left = ((a + b - field_mm) / 2 for a, b in zip(low, high, strict=True))
    rows = slice(max(math.floor(top / dy), 0), max(math.ceil((top + field_mm) / dy), 1))
    columns = slice(max(math.floor(left / dx), 0), max(math.ceil((left + field_mm) / dx), 1))
    grey = _grey(picture.image_hu[rows, columns])
    image = Markup(
        '<image x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}" preserveAspectRatio="none" '
        'href="data:image/png;base64,{}"/>'
    ).format(
        columns.start * dx, rows.start * dy, grey.shape[1] * dx, grey.shape[0] * dy,
        base64.b64encode(grey_png(grey)).decode(),
    )  # fmt: skip
    contours = [
        Markup('<path d="{}" style="stroke:{}" class="{}"><title>{}, {}</title></path>').format(
            path, colours[organ], css, organ, words
        )
        for masks, css, words in ((picture.reference, "drawn", "reference"), (picture.predicted, "found", "predicted"))
        for organ, mask in masks.items()
        if (path := _contour_path(mask, dy, dx))
    ]
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="ct" viewBox="{:.2f} {:.2f} {:.2f} {:.2f}" role="img">'
        "<title>{}</title>{}{}</svg>"
    ).format(left, top, field_mm, field_mm, title, image, Markup("").join(contours))


def organ_colours(organs: Sequence[str]) -> dict[str, str]:
    """A colour for each organ."""
    return {organ: ORGAN_COLOURS[i % len(ORGAN_COLOURS)] for i, organ in enumerate(organs)}


def _extent_mm(picture: SlicePicture) -> tuple[YX, YX]:
    """Corners (y, x) around the reference contours; around the whole slice where there are none."""
    drawn = np.any([*picture.reference.values(), np.zeros(picture.image_hu.shape, dtype=bool)], axis=0)
    places = np.argwhere(drawn if drawn.any() else ~drawn)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    dy, dx = picture.spacing_mm
    return (low[0] * dy, low[1] * dx), (high[0] * dy, high[1] * dx)


def _grey(image_hu: NDArray[np.floating | np.integer]) -> NDArray[np.uint8]:
    low, high = WINDOW_HU
    return np.asarray(np.clip((image_hu.astype(np.float64) - low) / (high - low) * 255, 0, 255), dtype=np.uint8)


def _contour_path(mask: NDArray[np.bool_], dy: float, dx: float) -> str:
    """The mask's outline in mm, half way between the voxels within and those without."""
    parts = []
    for ring in trace(mask):
        points = "L".join(f"{(x + 0.5) * dx:.1f} {(y + 0.5) * dy:.1f}" for y, x in ring)
        parts.append(f"M{points}Z")
    return "".join(parts)
