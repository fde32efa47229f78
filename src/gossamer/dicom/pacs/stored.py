"""Files on their way to a PACS: looked at before the first one goes, and what became of them counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from gossamer.bounded_pool import Bounds, Lost, outcomes
from gossamer.data.foreign_files import bounds, too_much
from gossamer.dicom.files.elements import UNDEFINED_LENGTH, ascii_of
from gossamer.dicom.files.open_file import MARK, MARK_AT, foreign_errors_mapped, open_dicom, start_of
from gossamer.dicom.pacs.base import is_uid
from gossamer.errors import NotStoredError, UnreadableImageError


@dataclass(frozen=True)
class Outgoing:
    """What a file is.

    Attributes:
        path: where it lies; never shown.
        sop_class_uid: what kind of object it is.
        sop_instance_uid: its own.
        transfer_syntax_uid: how it is written.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def check_files(files: Iterable[Path]) -> list[Outgoing]:
    """What files are; they are read apart, within bounds of memory and time.

    Raises:
        UnreadableImageError: one is no DICOM file with preamble and header (PS3.10 7.1), or exceeds its bounds.
        WorkerError: no process that reads them can be started.
    """
    outgoing = []
    jobs = list(enumerate(files, start=1))
    for (number, _), found in zip(jobs, outcomes(_outgoing, jobs, _bounds, workers=1), strict=True):
        if isinstance(found, Lost):
            raise too_much(f"file {number} to store, one", found)
        outgoing.append(found)
    return outgoing


class Verdicts:
    """What a PACS said of each file."""

    def __init__(self) -> None:
        self._count = self._warned = 0
        self._failed: Counter[str] = Counter()

    def add(self, taken: bool, words: str = "") -> None:
        """Count a file.

        Args:
            taken: whether the PACS has it.
            words: what it said, in the standard's words; "" if nothing.
        """
        self._count += 1
        if not taken:
            self._failed[words] += 1
        elif words:
            self._warned += 1

    def end(self) -> int:
        """How many were taken with a warning.

        Raises:
            NotStoredError: some were not taken.
        """
        if self._failed:
            reasons = "; ".join(f"{count} × {words}" for words, count in self._failed.most_common())
            raise NotStoredError(
                f"wanted the PACS to take {self._count} files; found that it did not take {self._failed.total()}: "
                f"{reasons}; the others are there; ask its administrator"
            )
        return self._warned


def _bounds(job: tuple[int, Path]) -> Bounds:
    return bounds([job[1]])


def _outgoing(job: tuple[int, Path]) -> Outgoing:
    number, path = job
    uids: tuple[str, ...] = ()
    with foreign_errors_mapped():
        if start_of(path)[MARK_AT:] == MARK:
            file = open_dicom(path, None)
            syntax = str(file.file_meta.get("TransferSyntaxUID", ""))
            uids = (ascii_of(file, "SOPClassUID"), ascii_of(file, "SOPInstanceUID"), syntax)
            if _is_cut(file):
                uids = ()
    if not uids or not all(map(is_uid, uids)):
        raise UnreadableImageError(
            f"file {number}: wanted a whole DICOM file with preamble, SOP class, SOP instance and transfer syntax "
            "(PS3.10 7.1); found another file, or one that is cut off; nothing was stored: leave it out"
        )
    return Outgoing(path, *uids)


def _is_cut(file: Dataset) -> bool:
    """Whether a file ends within an element; pydicom goes on without a word there, and so would the PACS."""
    return any(
        isinstance(element, RawDataElement) and element.length not in (UNDEFINED_LENGTH, len(element.value or b""))
        for element in file.values()
    )
