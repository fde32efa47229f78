"""What can be wrong with a CT on its way to a model, done to CTs that are well: rescaled, turned, cut, brightened.

Each alteration is what some program or person does: an intercept that is left out, an export for viewing, a coronal
series taken for an axial one, a scan that ends in the middle of an organ. None of them knows the checks that are to
find it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.data.frame import Frame
from gossamer.data.image import Image
from gossamer.units import ZYX

Masks = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Alteration:
    """One thing that goes wrong.

    Attributes:
        what: in words.
        apply: from a CT and the contours drawn on it to the altered CT.
        findable: whether the checks claim to find it; what they do not is measured all the same, and reported apart.
    """

    what: str
    apply: Callable[[Image, Masks], Image]
    findable: bool = True


def _hu(rule: Callable[[NDArray[np.float32]], NDArray[Any]]) -> Callable[[Image, Masks], Image]:
    def apply(image: Image, _masks: Masks) -> Image:
        return Image(rule(image.voxels.astype(np.float32)).astype(np.float32), image.frame)

    return apply


def _turned(rule: Callable[[NDArray[Any]], NDArray[Any]], axes: tuple[int, int, int] = (0, 1, 2)) -> Any:
    def apply(image: Image, _masks: Masks) -> Image:
        voxels = np.ascontiguousarray(rule(image.voxels.transpose(axes)))
        spacing = image.frame.spacing_mm
        return _framed(voxels, (spacing[axes[0]], spacing[axes[1]], spacing[axes[2]]))

    return apply


def _flipped(*axes: int) -> Any:
    return _turned(lambda voxels: np.flip(voxels, axes))


def _spaced(factor: float) -> Callable[[Image, Masks], Image]:
    def apply(image: Image, _masks: Masks) -> Image:
        z, y, x = (s * factor for s in image.frame.spacing_mm)
        return _framed(image.voxels, (z, y, x))

    return apply


def _every_fourth_slice(image: Image, _masks: Masks) -> Image:
    z, y, x = image.frame.spacing_mm
    return _framed(image.voxels[::4], (4 * z, y, x))


def _cut_above(image: Image, masks: Masks) -> Image:
    """The scan ends half-way up the parotids."""
    return _framed(image.voxels[: _middle(_parotids(masks), 0)], image.frame.spacing_mm)


def _cut_below(image: Image, masks: Masks) -> Image:
    """The scan begins half-way up the parotids."""
    return _framed(image.voxels[_middle(_parotids(masks), 0) :], image.frame.spacing_mm)


def _cut_at_the_side(image: Image, masks: Masks) -> Image:
    """The field of view ends in the middle of a parotid, the left one where it is drawn."""
    if "Parotid_L" in masks:
        kept = slice(None, _middle(masks["Parotid_L"], 2))
    else:
        kept = slice(_middle(masks["Parotid_R"], 2), None)
    return _framed(image.voxels[:, :, kept], image.frame.spacing_mm)


def _parotids(masks: Masks) -> NDArray[np.bool_]:
    drawn = [masks[name] for name in ("Parotid_L", "Parotid_R") if name in masks]
    assert drawn, "patients are chosen so that a parotid is drawn"
    return np.asarray(np.logical_or.reduce(drawn))


def _middle(mask: NDArray[np.bool_], axis: int) -> int:
    places = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
    return int(places[0] + places[-1] + 1) // 2


def _framed(voxels: NDArray[Any], spacing_mm: ZYX) -> Image:
    z, y, x = voxels.shape
    return Image(np.ascontiguousarray(voxels), Frame.canonical((z, y, x), spacing_mm))


def _unit(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((hu - hu.min()) / (hu.max() - hu.min()))


def _as_on_a_screen(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """A window of 400 HU around 40, in 8 bits."""
    return np.rint(255 * (hu.clip(-160, 240) + 160) / 400)


def _more_contrast(image: Image, masks: Masks) -> Image:
    """Iodine in the organs that are drawn: fat, muscle and glands 100 HU brighter, bone and gas as they were."""
    hu = image.voxels.astype(np.float32)
    soft = np.logical_or.reduce([*masks.values()]) & (hu > -150) & (hu < 150)
    return Image(np.where(soft, hu + 100, hu), image.frame)


def _low_energy(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bone at 80 kV instead of 120, roughly; what is near water hardly changes."""
    return np.where(hu > 100, 100 + 1.5 * (hu - 100), hu)


def _like_mr(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Air and bone dark, fat bright, soft tissue between: T1-weighted MR, roughly."""
    return np.interp(hu, (-1000, -300, -100, 40, 150, 400, 1500), (0, 20, 900, 450, 350, 80, 0)).astype(np.float32)


ALTERATIONS: dict[str, Alteration] = {
    "no intercept": Alteration("stored values taken for HU: 1024 too high", _hu(lambda hu: hu + 1024)),
    "intercept twice": Alteration("1024 too low", _hu(lambda hu: hu - 1024)),
    "half slope": Alteration("stored values halved: 0.5 (HU + 1024) - 1024", _hu(lambda hu: 0.5 * hu - 512)),
    "double slope": Alteration("HU times 2", _hu(lambda hu: 2 * hu)),
    "per mille": Alteration("HU divided by 1000", _hu(lambda hu: hu / 1000)),
    "0 to 1": Alteration("from lowest to highest as 0 to 1", _hu(_unit)),
    "0 to 255": Alteration("a window of 400 HU around 40 in 8 bits, as on a screen", _hu(_as_on_a_screen)),
    "like MR": Alteration("air and bone dark, fat bright", _hu(_like_mr)),
    "head down": Alteration("flipped along z", _flipped(0)),
    "back to front": Alteration("flipped along y", _flipped(1)),
    "face down": Alteration("turned by 180 degrees about z", _flipped(1, 2)),
    "quarter turn": Alteration("turned by 90 degrees about z", _turned(np.flip, (0, 2, 1))),
    "coronal": Alteration("planes along y taken for slices", _turned(lambda v: v, (1, 0, 2))),
    "sagittal": Alteration("planes along x taken for slices", _turned(lambda v: v, (2, 1, 0))),
    "thick slices": Alteration("every fourth slice only", _every_fourth_slice),
    "half size": Alteration("spacing halved in the header", _spaced(0.5)),
    "double size": Alteration("spacing doubled in the header", _spaced(2.0)),
    "cut above": Alteration("the scan ends half-way up the parotids", _cut_above),
    "cut below": Alteration("the scan begins half-way up the parotids", _cut_below),
    "cut at the side": Alteration("the field of view ends half-way through a parotid", _cut_at_the_side),
    "more contrast": Alteration("the organs' soft tissue 100 HU brighter", _more_contrast, findable=False),
    "low energy": Alteration("bone half as bright again, as at 80 kV", _hu(_low_energy), findable=False),
    "mirrored": Alteration("left and right exchanged: flipped along x", _flipped(2), findable=False),
}
"""By name; the order is that of the table."""
