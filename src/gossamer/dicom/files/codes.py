"""Codes that DICOM defines, and how a message may show what a file has in their place.

What stands where a code belongs is a hospital's text until it is found to be one: a message shows it only then.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.config import IGNORE
from pydicom.uid import UID

_COLOURS = "RGB|PALETTE COLOR|YBR_FULL|YBR_FULL_422|YBR_PARTIAL_420|YBR_ICT|YBR_RCT|XYB|HSV|ARGB|CMYK"

_TERMS = {
    "Modality": "CT|MR|PT|NM|US|CR|DX|MG|XA|RF|OT|SC|SEG|REG|SR|PR|KO|DOC|RTSTRUCT|RTDOSE|RTPLAN|RTIMAGE|RTRECORD",
    "PhotometricInterpretation": f"MONOCHROME1|MONOCHROME2|{_COLOURS}",
    "RescaleType": "HU|HU_MOD|US|OD|Z_EFF|ED|EDW|PCT|MGML",
    "ContourGeometricType": (
        "POINT|OPEN_PLANAR|OPEN_NONPLANAR|CLOSED_PLANAR|CLOSEDPLANAR_XOR|INTERPOLATED_PLANAR"  # the last one a vendor's
    ),
    "ApprovalStatus": "APPROVED|UNAPPROVED|REJECTED",
    "DoseUnits": "GY|RELATIVE",
    "DoseType": "PHYSICAL|EFFECTIVE|ERROR",
    "DoseSummationType": (
        "PLAN|MULTI_PLAN|PLAN_OVERVIEW|FRACTION|BEAM|BRACHY|FRACTION_SESSION|BEAM_SESSION|BRACHY_SESSION|CONTROL_POINT"
        "|RECORD"
    ),
}

CODES: Mapping[str, frozenset[str]] = {keyword: frozenset(terms.split("|")) for keyword, terms in _TERMS.items()}
"""Defined terms by keyword (PS3.3 C.7.3.1, C.7.6.3, C.11.1, C.8.8)."""


def shown_code(keyword: str, text: str, *, absent: str = "none") -> str:
    """What a message says of the value of an element: a code, "another code", or what it calls an absent one."""
    return text if text in CODES[keyword] else "another code" if text else absent


def shown_syntax(uid: str) -> str:
    """What a message says of a transfer syntax: its name in the standard (PS3.6 A), or that it has none."""
    return UID(uid, IGNORE).name if is_standard_uid(uid) else "a private transfer syntax"


def is_standard_uid(uid: str) -> bool:
    """Whether a UID stands in the standard's registry (PS3.6 A)."""
    return bool(UID(uid, IGNORE).type)
