"""How far a surface may lie from the reference and still agree with it, by organ.

A tolerance is what two readers differ by, so that a surface DSC of 1 means *as good as a second reader*. Where
no published value is known, ``DEFAULT_MM`` is used and ``tolerance_of`` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_MM = 3.0
"""About one CT slice in radiotherapy: nobody draws more finely along the body's axis."""

TWO_READERS = "two readers, Nikolov et al., J Med Internet Res 2021, to 0.1 mm"
FLARE = "challenge rules, MICCAI FLARE 2022 abdominal organ segmentation"
DEFAULT = "default: no published tolerance is known here"


@dataclass(frozen=True)
class Tolerance:
    """A tolerance and where it comes from."""

    mm: float
    source: str


_TWO_READERS_MM = {
    "Brainstem": 2.5,
    "SpinalCord": 2.9,
    "Parotid_L": 2.9,
    "Parotid_R": 2.9,
    "Bone_Mandible": 1.0,
    "Glnd_Submand_L": 2.0,
    "Glnd_Submand_R": 2.0,
}

_FLARE_MM = {
    "Liver": 5.0,
    "Spleen": 3.0,
    "Kidney_L": 3.0,
    "Kidney_R": 3.0,
    "Pancreas": 5.0,
    "A_Aorta": 2.0,
    "V_Venacava_I": 2.0,
    "Glnd_Adrenal_L": 2.0,
    "Glnd_Adrenal_R": 2.0,
    "Gallbladder": 2.0,
    "Esophagus": 3.0,
    "Stomach": 5.0,
    "Duodenum": 7.0,
}

TOLERANCES: Mapping[str, Tolerance] = {
    **{organ: Tolerance(mm, TWO_READERS) for organ, mm in _TWO_READERS_MM.items()},
    **{organ: Tolerance(mm, FLARE) for organ, mm in _FLARE_MM.items()},
}
"""By TG-263 name."""


def tolerance_of(organ: str) -> Tolerance:
    """The tolerance of an organ (TG-263 name), or the default."""
    return TOLERANCES.get(organ, Tolerance(DEFAULT_MM, DEFAULT))


def tolerance_mm(organ: str) -> float:
    """The tolerance of an organ (TG-263 name) in mm, or the default."""
    return tolerance_of(organ).mm
