"""How organs lie to each other and in the body, in every patient: above, in front, to the right, apart, inside.

Law: a rule holds for adults on their back, front or side, with any neck and any filling of organs, because it is about
the patient's own axes. Middles are compared, and only beyond a slack: organs bend, and scans cut them. Known exceptions
are rare (situs inversus, 1 in 10,000; a transplanted or pelvic kidney; organs moved by surgery), which is why these are
warnings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from gossamer.data.body import Body
from gossamer.data.network_input import BODY_HU
from gossamer.data.places import Place

SLACK_MM = 5.0
"""By how much a middle may lie on the wrong side: two coarse slices, or a neck bent far."""

OUTSIDE = 0.25
"""Share of a structure that may lie in the air around the body: contours are drawn with a wide brush at the skin."""

_ABOVE = """
    Brain: Brainstem SpinalCord Bone_Mandible Larynx
    Brainstem: SpinalCord Larynx Esophagus Glnd_Submand_L Glnd_Submand_R Glnd_Thyroid
    Eye_L Eye_R: Bone_Mandible Larynx SpinalCord Glnd_Submand_L Glnd_Submand_R
    Parotid_L Parotid_R: Larynx Esophagus Glnd_Thyroid Trachea
    Bone_Mandible: Larynx Esophagus Glnd_Thyroid Trachea
    Glnd_Submand_L Glnd_Submand_R: Glnd_Thyroid Esophagus
    Larynx: Esophagus Heart Lung_L Lung_R Lungs
    Glnd_Thyroid: Heart Liver
    Heart: Liver Kidney_L Kidney_R Pancreas Bladder
    Lung_L Lung_R Lungs: Liver Stomach Kidney_L Kidney_R Bladder
    Liver Spleen Stomach Pancreas: Bladder Prostate Rectum Uterus
    Kidney_L Kidney_R: Bladder Prostate Rectum Femur_Head_L Femur_Head_R
    Bladder: Prostate PenileBulb
"""
"""Each of the left above each of the right."""

_IN_FRONT = """
    Bone_Mandible: SpinalCord Brainstem
    Larynx: SpinalCord Esophagus
    Eye_L Eye_R: Brainstem SpinalCord Cerebellum
    Parotid_L Parotid_R Glnd_Submand_L Glnd_Submand_R Glnd_Thyroid: SpinalCord
    Esophagus Trachea Heart A_Aorta Liver Stomach Pancreas Gallbladder: SpinalCord
    Trachea: Esophagus
    Bladder Prostate Uterus: Rectum Sacrum
"""
"""Each of the left in front of each of the right: in the slices that hold both, or in all where none does."""

_RIGHT_OF = """
    Liver Gallbladder: Spleen Stomach
    V_Venacava_I: A_Aorta
"""
"""Each of the left further to the patient's right than each of the right."""

_APART_MM = {"Parotid": (70.0, 173.0), "Eye": (40.0, 90.0), "Kidney": (60.0, 260.0)}
"""How far the middles of a left and a right organ lie apart along x. Parotids: OpenKBP has 93 to 138 mm, a quarter
added. Eyes: pupils are 45 to 80 mm apart in almost all adults (Dodgson, Proc. SPIE 5291, 36-46, 2004). Kidneys: BTCV
has 139 mm with a spread of about 25."""

_SOLID = """
    Brain Brainstem Cerebellum SpinalCord SpinalCanal Parotid_L Parotid_R Glnd_Submand_L Glnd_Submand_R Glnd_Thyroid
    Bone_Mandible Tongue Eye_L Eye_R Lens_L Lens_R OpticNrv_L OpticNrv_R OpticChiasm Pituitary Heart Liver Spleen
    Pancreas Kidney_L Kidney_R Gallbladder Glnd_Adrenal_L Glnd_Adrenal_R A_Aorta Bladder Prostate Uterus Femur_Head_L
    Femur_Head_R Sacrum
"""
"""Solid organs: hollow ones hold air, which the edge of a cropped CT may join to the air around."""

SOLID = frozenset(_SOLID.split())


def _pairs(table: str) -> tuple[tuple[str, str], ...]:
    rows = [line.strip().split(": ") for line in table.split("\n") if line.strip()]
    return tuple((one, other) for left, right in rows for one in left.split() for other in right.split())


ABOVE, IN_FRONT, RIGHT_OF = _pairs(_ABOVE), _pairs(_IN_FRONT), _pairs(_RIGHT_OF)


def misplaced(found: Mapping[str, Place], thinned: Mapping[str, NDArray[np.bool_]], body: Body) -> tuple[str, ...]:
    """A sentence for each pair or structure that lies as in no patient.

    Args:
        found: the structures, by standard name.
        thinned: their masks on the body's grid (``Body.thinned``); may hold more.
        body: of the CT.
    """
    return (*disarranged(found), *_outside(found, thinned, body))


def disarranged(found: Mapping[str, Place]) -> tuple[str, ...]:
    """A sentence for each pair of structures that do not lie to each other as in patients."""
    return (
        *_wrong(found, ABOVE, _below_mm, "above", "below"),
        *_wrong(found, IN_FRONT, _behind_mm, "in front of", "behind"),
        *_wrong(found, RIGHT_OF, _left_of_mm, "to the right of", "to the left of"),
        *_not_apart(found),
    )


def _wrong(
    found: Mapping[str, Place],
    pairs: tuple[tuple[str, str], ...],
    by_mm: Callable[[Place, Place], float],
    wanted: str,
    instead: str,
) -> Iterator[str]:
    for one, other in pairs:
        if one in found and other in found and (wrong_mm := by_mm(found[one], found[other])) > SLACK_MM:
            yield f"{one}: wanted {wanted} {other}; found {wrong_mm:.0f} mm {instead} it"


def _below_mm(one: Place, other: Place) -> float:
    return other.middle_mm[0] - one.middle_mm[0]


def _behind_mm(one: Place, other: Place) -> float:
    """Spines bend: what lies in the same slices is compared there."""
    both = ~np.isnan(one.middle_y_mm) & ~np.isnan(other.middle_y_mm)
    if both.any():
        return float((one.middle_y_mm[both] - other.middle_y_mm[both]).mean())
    return one.middle_mm[1] - other.middle_mm[1]


def _left_of_mm(one: Place, other: Place) -> float:
    return one.middle_mm[2] - other.middle_mm[2]


def _not_apart(found: Mapping[str, Place]) -> Iterator[str]:
    for root, (least_mm, most_mm) in _APART_MM.items():
        left, right = found.get(f"{root}_L"), found.get(f"{root}_R")
        if left is not None and right is not None:
            apart_mm = abs(_left_of_mm(left, right))
            if not least_mm <= apart_mm <= most_mm:
                yield (
                    f"{root}_L, {root}_R: wanted {least_mm:.0f} to {most_mm:.0f} mm from left to right; "
                    f"found {apart_mm:.0f} mm"
                )


def _outside(found: Mapping[str, Place], thinned: Mapping[str, NDArray[np.bool_]], body: Body) -> Iterator[str]:
    for name in found:
        mask = thinned[name]
        if name in SOLID and (voxels := np.count_nonzero(mask)):
            share = np.count_nonzero(mask & ~body.inside & (body.hu < BODY_HU)) / voxels
            if share > OUTSIDE:
                yield f"{name}: wanted in the body; found {100 * share:.0f} % of it in the air around"
