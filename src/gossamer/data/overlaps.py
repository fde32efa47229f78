"""Structures that share voxels which should not: drawn twice under two names, or one drawn into the other.

Both are said, never mended: who drew the contours has to say what is right. Clinical contours of neighbours cross by a
voxel or two all along their border, so only a good part of an organ in another one is worth a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from gossamer.data.boxed_mask import BoxedMask

SAME_DSC = 0.99
"""From here on two structures are one contour: two drawings of one organ by the same person agree less."""

NOTED_SHARE = 0.25
"""Of the smaller organ in the other; less is a border drawn twice."""

_HOLDS = """
    Brain: Brainstem Cerebellum Hippocampus_* Hippocampi Lobe_Temporal_* Pituitary OpticChiasm
    Lobe_Temporal_*: Hippocampus_* Hippocampi
    Eye_*: Lens_* Retina_*
    Eyes: Eye_* Lens_* Retina_*
    Ear_Internal_*: Cochlea_*
    Glnd_Submands: Glnd_Submand_*
    Parotids: Parotid_*
    Hippocampi: Hippocampus_*
    BrachialPlexs: BrachialPlex_*
    Larynx: Larynx_SG Glottis Musc_Constrict* Cricopharyngeus Bone_Hyoid
    Larynx_SG: Glottis
    Musc_Constrict: Musc_Constrict_? Cricopharyngeus
    Esophagus: Cricopharyngeus
    Oropharynx: Tongue_Base
    Tongue: Tongue_Base
    SpinalCanal: SpinalCord CaudaEquina
    SpinalCord: CaudaEquina
    VB_*: SpinalCanal SpinalCord CaudaEquina
    Sacrum: VB_S1 SpinalCanal CaudaEquina
    Trachea: Carina
    Heart: Atrium_* Ventricle_* A_LAD A_Pulmonary A_Aorta V_Venacava_?
    Pericardium: Heart Atrium_* Ventricle_* A_LAD A_Pulmonary A_Aorta V_Venacava_?
    Lungs: Lung_*
    Lung_L: Lung_L*
    Lung_R: Lung_R*
    Ribs: Rib*
    Breasts: Breast_*
    Bowel: Bowel_* Colon* Duodenum Rectum
    Bowel_Large: Colon* Rectum
    Bowel_Small: Duodenum
    Colon: Colon_Sigmoid
    Kidneys: Kidney_*
    Glnd_Adrenals: Glnd_Adrenal_*
    Bone_Pelvic: Sacrum Femur_*
    Femur_L: Femur_Head_L
    Femur_R: Femur_Head_R
    Anorectum: Rectum Canal_Anal
    Rectum: Canal_Anal
    Bladder: Urethra Ureter_*
    Prostate: Urethra
    PenileBulb: Urethra
    Uterus: Cervix
    Cervix: Vagina
"""
"""What is part of what, or drawn into it by custom; ``*`` and ``?`` stand for letters."""

_SPACES = "Bag_Bowel Cavity_Oral Chestwall* Genitals GreatVes Pharynx Skin Skull"
"""Of these no two hospitals have the same borders: they hold whatever lies there."""


def overlapping(masks: Mapping[str, NDArray[np.bool_]]) -> tuple[str, ...]:
    """What shares more voxels than it should.

    Args:
        masks: by standard name bool [z, y, x], on one grid; each is asked for once.

    Returns:
        For each pair a sentence; () if all is well.
    """
    boxed = {name: BoxedMask.of(mask) for name, mask in masks.items()}
    found = []
    for (one, a), (other, b) in combinations(boxed.items(), 2):
        shared = a.shared(b)
        if not shared:
            continue
        dsc, share = 2 * shared / (a.count + b.count), shared / min(a.count, b.count)
        smaller, larger = (one, other) if a.count <= b.count else (other, one)
        if dsc == 1.0:
            found.append(f"{one} and {other} are the same contour, voxel for voxel; drawn twice, or named wrongly?")
        elif dsc > SAME_DSC:
            found.append(f"{one} and {other} look like the same contour twice (DSC {dsc:.4f}); named wrongly?")
        elif share > NOTED_SHARE and not may_overlap(one, other):
            found.append(f"{share:.0%} of {smaller} lies in {larger}; drawn into it, or named wrongly?")
    return tuple(found)


def may_overlap(one: str, other: str) -> bool:
    """Whether one structure is part of the other, or is drawn into it by custom."""
    if any(fnmatchcase(name, space) for space in _SPACES.split() for name in (one, other)):
        return True
    return any(
        fnmatchcase(a, whole) and any(fnmatchcase(b, part) for part in parts)
        for whole, parts in _rules()
        for a, b in ((one, other), (other, one))
    )


def _rules() -> list[tuple[str, list[str]]]:
    lines = (line.partition(": ") for line in _HOLDS.strip().splitlines())
    return [(whole.strip(), parts.split()) for whole, _, parts in lines]
