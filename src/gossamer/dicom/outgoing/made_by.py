"""What made a structure set or a segmentation: written into each of them, and read from any file.

It stands in Manufacturer, Manufacturer's Model Name and Software Versions (DICOM PS3.3 C.7.5.1), where archives and
planning systems show it; names of persons or hospitals' machines never do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from gossamer.dicom.files.elements import ascii_of
from gossamer.dicom.files.open_file import foreign_errors_mapped, open_dicom
from gossamer.errors import UnreadableImageError, UsageError

MODEL_NAME = "Gossamer organ segmentation"
"""Manufacturer's Model Name of what is written here, by which ``read_made_by`` knows it."""

DRAWN = frozenset({RTStructureSetStorage, SegmentationStorage})
"""SOP classes of what is written here."""

MAX_LO = 64
"""Characters that a LO may have (PS3.5 6.2)."""


@dataclass(frozen=True)
class MadeBy:
    """What made the masks; each text is at most 64 ASCII characters.

    Attributes:
        software: its name.
        version: its release.
        model_hash: SHA-256 of the model, 64 hexadecimal digits.
        federation: whose model it is: a title or the SHA-256 of the federation's file; "" if none.
    """

    software: str
    version: str
    model_hash: str
    federation: str = ""

    @property
    def sentence(self) -> str:
        """For a description that people read."""
        whose = f", federation {self.federation}" if self.federation else ""
        what = f"{self.software} {self.version}, model {self.model_hash}{whose}"
        return f"Drawn by software, not reviewed: {what}."


def is_plain(text: str) -> bool:
    """Whether every character set has the characters, and none of them ends a value (PS3.5 6.1.2)."""
    return text.isascii() and text.isprintable() and "\\" not in text


def check_text(text: str, what: str, fewest: int, most: int) -> None:
    """Raise UsageError unless a text is plain and as long as ``what`` may be."""
    if not fewest <= len(text) <= most or not is_plain(text):
        raise UsageError(
            f"wanted {what} of {fewest} to {most} ASCII characters; found {len(text)}"
            f"{'' if is_plain(text) else ', not all of them ASCII'}; shorten it"
        )


def check_made_by(made_by: MadeBy) -> None:
    """Raise UsageError unless its texts fit."""
    check_text(made_by.software, "the software's name", 1, MAX_LO)
    check_text(made_by.version, "the software's version", 1, MAX_LO)
    check_text(made_by.model_hash, "the model's hash", 1, MAX_LO)
    check_text(made_by.federation, "the federation's name", 0, MAX_LO)


def put_made_by(file: Dataset, made_by: MadeBy) -> None:
    """Write it where ``read_made_by`` looks."""
    file.Manufacturer, file.ManufacturerModelName = made_by.software, MODEL_NAME
    file.SoftwareVersions = [text for text in (made_by.version, made_by.model_hash, made_by.federation) if text]


def read_made_by(path: Path) -> MadeBy | None:
    """What made a structure set or segmentation, if Gossamer wrote it; else None.

    Raises:
        UnreadableImageError: it is no DICOM file, or damaged.
    """
    with foreign_errors_mapped():
        file = open_dicom(path, ["SOPClassUID", "Manufacturer", "ManufacturerModelName", "SoftwareVersions"])
        if not (kind := ascii_of(file, "SOPClassUID")):
            raise UnreadableImageError(
                "wanted a structure set or segmentation; found no DICOM object; choose the RTSTRUCT or SEG file"
            )
        versions = ascii_of(file, "SoftwareVersions").split("\\")
        if kind not in DRAWN or ascii_of(file, "ManufacturerModelName") != MODEL_NAME or len(versions) < 2:
            return None
        return MadeBy(ascii_of(file, "Manufacturer"), *(text.strip() for text in versions[:3]))
