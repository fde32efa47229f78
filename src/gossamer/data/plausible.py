"""Whether a structure is as large as in adults: ranges so wide that what lies beyond is mostly another structure.

Law: a range follows from its source by one rule, stated beside it, and never from what a model predicted. Only what has
a source is looked at. A structure that the image cuts has no smallest volume.

Sources:

- ``o``: contours of the OpenKBP set (200 patients here, several clinics; Babier et al., Medical Physics 48, 5549-5561,
  2021), only those within the CT: 2.5th and 97.5th percentile.
- ``d``: contours of an oncologist on 35 head-and-neck CTs of TCIA (Nikolov et al., J Med Internet Res 23(7):e26151,
  2021): 5th and 95th percentile.
- ``b``: training labels of the challenge "Beyond the Cranial Vault" (BTCV, 30 abdominal CTs): 5th and 95th percentile.
- ``i``: reference masses of woman and man (ICRP Publication 89, 2002), at 1 g/ml, the smaller and the larger.

Plausible are volumes from the lower number divided by 2.5 to the upper one times 2.5 where volumes were measured, and
by 4 where there is a reference mass only: it is of one average person, and of no contour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from gossamer.data.arrangement import misplaced
from gossamer.data.body import find_body
from gossamer.data.image import Image
from gossamer.data.places import Place, places

FACTORS = {"o": 2.5, "d": 2.5, "b": 2.5, "i": 4.0}
"""By source: what the lower number is divided, and the upper one multiplied by."""

WIDEST_CUT = 0.05
"""Of a structure's largest slice: so small a cut by the image's end takes hardly any volume away."""

_MEASURED_ML = """
    Brain d 1086 1672
    Brainstem o 8.2 36.7
    SpinalCord o 12.0 48.4
    SpinalCanal d 49 110
    Parotid_* o 11.3 48.5
    Glnd_Submand_* d 6.2 13.3
    Glnd_Lacrimal_* d 0.3 1.0
    Glnd_Thyroid i 17 20
    Bone_Mandible o 36.4 90.7
    Larynx o 2.2 62.7
    Tongue i 60 73
    Eye_* d 7.0 10.2
    Lens_* d 0.1 0.3
    OpticNrv_* d 0.5 1.1
    Esophagus o 4.7 30.5
    Heart i 620 840
    Liver b 1100 2508
    Spleen b 83 418
    Kidney_* b 81 250
    Pancreas b 51 116
    Gallbladder b 4.1 77.5
    Stomach b 149 1058
    Glnd_Adrenal_* i 6.5 7.0
"""


def _rows() -> Iterator[tuple[str, str, float, float]]:
    for row in _MEASURED_ML.split("\n"):
        if row.strip():
            name, source, low, high = row.split()
            for side in ("L", "R") if "*" in name else ("",):
                yield name.replace("*", side), source, float(low), float(high)


VOLUMES_ML: Mapping[str, tuple[float, float]] = {
    name: (low / FACTORS[source], high * FACTORS[source]) for name, source, low, high in _rows()
}
"""Smallest and largest plausible volume in ml by standard name."""

USUAL = 1.2
"""What percentiles are widened by for ``usual_ml``: a model's contours are not those of the clinics measured."""

_USUAL_ML = {name: (low / USUAL, high * USUAL) for name, source, low, high in _rows() if source != "i"}


def usual_ml(name: str) -> tuple[float, float] | None:
    """Between which volumes in ml nearly all whole structures are; None where that was not measured.

    Several structures beyond say that something is wrong with the whole; a single one says little.
    """
    return _USUAL_ML.get(name)


def implausible(masks: Mapping[str, NDArray[np.bool_]], image: Image) -> tuple[str, ...]:
    """What no adult's organs look like: volumes, and positions among each other and in the body.

    Whether sides are right is asked by ``data.laterality``.

    Args:
        masks: by standard name bool [z, y, x] on the image's grid; other names, and empty masks, are passed over.
        image: the CT they belong to, in canonical orientation.

    Returns:
        A sentence for each finding, in the order volumes, positions; () if all is plausible. They hold standard names
        and numbers only.
    """
    found, body = places(masks, image.frame), find_body(image)
    thinned = {name: body.thinned(masks[name]) for name in found}
    return (*implausible_volumes(found), *misplaced(with_body(found), thinned, body))


def implausible_volumes(found: Mapping[str, Place]) -> tuple[str, ...]:
    """A sentence for each structure smaller or larger than plausible.

    Args:
        found: the structures, by standard name.
    """
    return tuple(
        f"{name}: wanted {_number(low)} to {_number(high)} ml, as in adults; found {_number(place.volume_ml)} ml"
        for name, place in found.items()
        for low, high in [VOLUMES_ML.get(name, (0.0, np.inf))]
        if place.volume_ml > high or (place.volume_ml < low and is_whole(place))
    )


def with_body(found: Mapping[str, Place]) -> dict[str, Place]:
    """The structures of which enough was found to say where they are: the smallest plausible volume."""
    return {name: place for name, place in found.items() if place.volume_ml >= VOLUMES_ML.get(name, (0.0, 0.0))[0]}


def is_whole(place: Place) -> bool:
    """Whether hardly anything of a structure is cut off by the image."""
    return max(*place.ends, place.at_faces) <= WIDEST_CUT


def _number(volume_ml: float) -> str:
    return f"{volume_ml:.3g}" if volume_ml < 100 else f"{volume_ml:.0f}"
