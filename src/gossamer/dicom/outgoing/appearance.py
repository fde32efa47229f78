"""How structures look and what they are: colours, and codes of SNOMED CT.

A structure has one colour, whichever model found it and whatever else was found: the right one of a pair is darker.
"""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Mapping

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

Colour = tuple[int, int, int]
"""Red, green and blue, 0-255."""

DARKER = 0.72
"""The right one of a pair; 28 % less is seen beside the left one, and still bright on a dark ground."""

ORGANS: Mapping[str, tuple[Colour, str]] = {
    "A_Aorta": ((230, 60, 60), "Aorta"),
    "A_Pulmonary": ((90, 140, 230), "PulmonaryArtery"),
    "Bladder": ((240, 210, 80), "Bladder"),
    "Bone_Mandible": ((240, 225, 170), "Mandible"),
    "Bowel_Large": ((190, 130, 80), "LargeIntestine"),
    "Bowel_Small": ((230, 160, 110), "SmallIntestine"),
    "BrachialPlex": ((255, 240, 100), "BrachialPlexus"),
    "Brain": ((220, 190, 200), "Brain"),
    "Brainstem": ((180, 90, 220), "BrainStem"),
    "Breast": ((250, 180, 190), "Breast"),
    "Cavity_Oral": ((240, 120, 120), "OralCavity"),
    "Cerebellum": ((150, 130, 230), "Cerebellum"),
    "Chestwall": ((170, 150, 130), "ChestWall"),
    "Colon": ((190, 130, 80), "Colon"),
    "Colon_Sigmoid": ((160, 110, 60), "SigmoidColon"),
    "Duodenum": ((250, 190, 60), "Duodenum"),
    "Ear_Internal": ((120, 220, 200), "InnerEar"),
    "Esophagus": ((200, 140, 60), "Esophagus"),
    "Eye": ((90, 210, 250), "Eye"),
    "Femur_Head": ((220, 220, 150), "HeadOfFemur"),
    "Gallbladder": ((90, 190, 70), "Gallbladder"),
    "Glnd_Adrenal": ((240, 170, 40), "AdrenalGland"),
    "Glnd_Lacrimal": ((150, 200, 250), "LacrimalGland"),
    "Glnd_Submand": ((240, 140, 50), "SubmandibularGland"),
    "Glnd_Thyroid": ((250, 100, 160), "Thyroid"),
    "Heart": ((240, 80, 100), "Heart"),
    "Hippocampus": ((110, 230, 150), "Hippocampus"),
    "Kidney": ((200, 110, 60), "Kidney"),
    "Larynx": ((60, 210, 220), "Larynx"),
    "Lens": ((140, 250, 230), "Lens"),
    "Lips": ((230, 90, 130), "Lip"),
    "Liver": ((170, 80, 60), "Liver"),
    "Lobe_Temporal": ((200, 160, 240), "TemporalLobe"),
    "Lung": ((110, 170, 250), "Lung"),
    "Nasopharynx": ((230, 130, 190), "Nasopharynx"),
    "OpticChiasm": ((250, 250, 90), "OpticChiasm"),
    "OpticNrv": ((220, 240, 60), "OpticNerve"),
    "Oropharynx": ((210, 100, 150), "Oropharynx"),
    "Pancreas": ((250, 220, 130), "Pancreas"),
    "Parotid": ((60, 210, 90), "ParotidGland"),
    "Pharynx": ((220, 120, 160), "Pharynx"),
    "Pituitary": ((120, 110, 250), "Pituitary"),
    "Prostate": ((120, 180, 220), "Prostate"),
    "Rectum": ((170, 100, 70), "Rectum"),
    "SeminalVes": ((180, 200, 110), "SeminalVesicle"),
    "Skin": ((250, 210, 180), "Skin"),
    "SpinalCord": ((240, 230, 50), "SpinalCord"),
    "Spleen": ((150, 70, 130), "Spleen"),
    "Sternum": ((230, 215, 190), "Sternum"),
    "Stomach": ((220, 130, 150), "Stomach"),
    "Tongue": ((230, 110, 90), "Tongue"),
    "Trachea": ((170, 220, 240), "Trachea"),
    "Uterus": ((220, 100, 180), "Uterus"),
    "V_Venacava_I": ((70, 110, 200), "InferiorVenaCava"),
    "V_Venacava_S": ((90, 130, 220), "SuperiorVenaCava"),
}
"""Colour, and name in pydicom's dictionary of SNOMED CT (PS3.16), by the structure without its side."""

CATEGORY = codes.SCT.AnatomicalStructure
"""Segmented Property Category (PS3.16 CID 7150): all of them are parts of the body."""

SIDES: Mapping[str, Code] = {"_L": codes.SCT.Left, "_R": codes.SCT.Right}


def colour_of(structure: str) -> Colour:
    """The colour of a structure; one that is not in ``ORGANS`` has one that follows from its name."""
    root, side = _parted(structure)
    if root in ORGANS:
        colour = ORGANS[root][0]
    else:
        hue = int.from_bytes(hashlib.sha256(root.encode()).digest()[:2]) / 2**16
        red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.6, 0.95))
        colour = red, green, blue
    if side != "_R":
        return colour
    red, green, blue = (round(DARKER * part) for part in colour)
    return red, green, blue


def type_of(structure: str) -> Code:
    """Segmented Property Type: the organ where it is one of ``ORGANS``, else no more than that it is an organ."""
    root, _ = _parted(structure)
    found = getattr(codes.SCT, ORGANS[root][1]) if root in ORGANS else codes.SCT.Organ
    return Code(found.value, found.scheme_designator, found.meaning)


def side_of(structure: str) -> Code | None:
    """Left or right, as a modifier of the type (PS3.16 CID 244); None for what has no side."""
    _, side = _parted(structure)
    return SIDES.get(side)


def _parted(structure: str) -> tuple[str, str]:
    side = structure[-2:]
    return (structure[:-2], side) if side in SIDES else (structure, "")
