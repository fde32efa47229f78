"""What a PACS says: of a series it has, by keyword; of a file it was given, by the standard's status."""

from __future__ import annotations

from collections.abc import Mapping

from gossamer.dicom.pacs.base import SeriesAtPacs, day_of

RETURNED = (
    *("StudyInstanceUID", "SeriesInstanceUID", "Modality", "NumberOfSeriesRelatedInstances", "PatientID", "StudyDate"),
    *("SeriesDescription", "StationName", "BodyPartExamined", "InstitutionName"),
)
"""Elements that are asked for with each series (PS3.4 C.6.2.1; PS3.18 10.6.3.3)."""

MOST_CHARACTERS = 256
"""Of a text that is kept; those that are asked for have at most 64 (PS3.5 6.2), and a search brings many."""

DUPLICATE = 0x0111
"""Status of an instance that a PACS has already (PS3.7 C.5.8); to us as good as success."""

WARNINGS = {0xB000: "coerced elements", 0xB006: "discarded elements", 0xB007: "data set does not match its SOP class"}
"""Statuses of a file that was taken all the same (PS3.4 table B.2-1, PS3.18 10.5.3)."""

FAILURES = (
    (0xFFFF, 0xA801, "the destination of the move is unknown: have this machine's AE title, address and port entered"),
    (0xFF00, 0xA700, "refused: out of resources"),
    (0xFF00, 0xA900, "data set does not match its SOP class"),
    (0xFFFF, 0xC122, "transfer syntax not supported"),
    (0xF000, 0xC000, "cannot understand or process it"),
    (0xFFFF, 0x0110, "processing failure"),
    (0xFFFF, 0x0117, "invalid SOP instance"),
    (0xFFFF, 0x0122, "SOP class not supported"),
    (0xFFFF, 0x0124, "not authorised"),
    (0xFFFF, 0x0213, "resource limitation"),
)
"""Bits that count, their value, and what it means: of C-STORE and C-MOVE (PS3.4 tables B.2-1 and C.4-2, PS3.7 C) and of
STOW-RS (PS3.18 table 10.5.3-1)."""


def meaning_of(status: int) -> str:
    """A status as the standard has it, with its number."""
    if status in WARNINGS:
        return f"{WARNINGS[status]} ({status:04X})"
    words = next((text for bits, value, text in FAILURES if status & bits == value), "a status of its own")
    return f"{words} ({status:04X})"


def verdict_on(status: int) -> tuple[bool, str]:
    """Whether a file with this status lies in the PACS, and what is to be said of it; "" if nothing."""
    if status in (0, DUPLICATE):
        return True, ""
    return status in WARNINGS, meaning_of(status)


def kept(value: object) -> str:
    """A value of an answer as a text; "" of one that is longer than any may be."""
    text = str(value).strip()
    return text if len(text) <= MOST_CHARACTERS else ""


def series_of(texts: Mapping[str, str]) -> SeriesAtPacs:
    """A series from what a PACS said of it.

    Args:
        texts: first values by keyword; what is absent is left open.
    """
    count = texts.get("NumberOfSeriesRelatedInstances", "")
    return SeriesAtPacs(
        study_uid=texts.get("StudyInstanceUID", ""),
        series_uid=texts.get("SeriesInstanceUID", ""),
        modality=texts.get("Modality", ""),
        instances=int(count) if count.isdecimal() and len(count) < 9 else None,
        patient_id=texts.get("PatientID", ""),
        study_date=day_of(texts.get("StudyDate", "")),
        description=texts.get("SeriesDescription", ""),
        station=texts.get("StationName", ""),
        body_part=texts.get("BodyPartExamined", ""),
        institution=texts.get("InstitutionName", ""),
    )
