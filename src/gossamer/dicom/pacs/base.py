"""The seam to a PACS: what a series is found by, what is said of it, and four things that can be asked.

Law
    1. A folder of a fetched series appears by one rename, when every image that the PACS announced lies in it.
    2. Nothing that a PACS says becomes a name or a piece of an address: a UID is checked, and names are hashes.
    3. What is shown of a series is its key, its modality and counts. Dates and a hospital's texts serve to choose.
    4. No call waits for ever: a PACS that says nothing is given up after ``ANSWER_S``.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Self

from gossamer.dicom.series.key import series_key
from gossamer.errors import ConfigurationError, NotFetchedError, UsageError

CONNECT_S = 10.0
"""Within a hospital a connection takes milliseconds."""

ANSWER_S = 60.0
"""A PACS that searches a large archive, or fetches from tape, may think for a while; longer silence is an outage."""

MAX_SERIES = 100_000
"""Of one search; a hospital makes fewer in a year."""

MAX_INSTANCES = 2**14
"""Of a series: as many slices as a multi-frame CT may have frames."""

UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
"""PS3.5 9.1."""

MAX_UID = 64

DATE_TEXT = "%Y%m%d"
"""A DA (PS3.5 6.2)."""


def is_uid(text: str) -> bool:
    """Whether a text is a UID by PS3.5 9.1."""
    return len(text) <= MAX_UID and UID.fullmatch(text) is not None


@dataclass(frozen=True)
class Query:
    """What series are wanted; "" and None leave it open.

    Attributes:
        patient_id: Patient ID, to the letter.
        study_uid: Study Instance UID.
        series_uid: Series Instance UID.
        modality: CT, RTSTRUCT and so on.
        since: first Study Date.
        until: last Study Date.

    Raises:
        UsageError: a UID is none, or the patient's ID holds a wildcard.
    """

    patient_id: str = field(default="", repr=False)
    study_uid: str = ""
    series_uid: str = ""
    modality: str = ""
    since: date | None = None
    until: date | None = None

    def __post_init__(self) -> None:
        for uid, what in ((self.study_uid, "Study"), (self.series_uid, "Series")):
            if uid and not is_uid(uid):
                raise UsageError(f"wanted a {what} Instance UID, digits and dots; found another text; copy it again")
        if any(character in self.patient_id for character in "*?\\"):  # they would match other patients (PS3.4 C.2.2.2)
            raise UsageError("wanted one patient's ID; found one with *, ? or \\; give the ID as the PACS has it")

    @property
    def study_dates(self) -> str:
        """The range as a PACS takes it (PS3.4 C.2.2.2.5.1)."""
        if self.since is None and self.until is None:
            return ""
        return "-".join(day.strftime(DATE_TEXT) if day else "" for day in (self.since, self.until))

    def fits(self, series: SeriesAtPacs) -> bool:
        """Whether a series is among what is wanted: a PACS may ignore what it does not know how to match."""
        day = series.study_date
        return (
            self.patient_id in ("", series.patient_id)
            and self.study_uid in ("", series.study_uid)
            and self.series_uid in ("", series.series_uid)
            and self.modality in ("", series.modality)
            and (self.since is None or day is None or day >= self.since)
            and (self.until is None or day is None or day <= self.until)
        )

    def chosen(self, found: Iterable[SeriesAtPacs]) -> list[SeriesAtPacs]:
        """Those that fit, in the order of their studies and UIDs."""
        return sorted((one for one in found if self.fits(one)), key=lambda one: (one.study_uid, one.series_uid))


@dataclass(frozen=True)
class SeriesAtPacs:
    """What a PACS says of a series; texts are "" where it says nothing.

    Attributes:
        study_uid: Study Instance UID, not checked.
        series_uid: Series Instance UID, not checked.
        modality: CT, RTSTRUCT and so on.
        instances: Number of Series Related Instances; None if it does not say.
        patient_id: Patient ID.
        study_date: Study Date.
        description: Series Description.
        station: Station Name.
        body_part: Body Part Examined.
        institution: Institution Name.
    """

    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    modality: str
    instances: int | None
    patient_id: str = field(default="", repr=False)
    study_date: date | None = field(default=None, repr=False)
    description: str = field(default="", repr=False)
    station: str = field(default="", repr=False)
    body_part: str = field(default="", repr=False)
    institution: str = field(default="", repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of its UID, by which it is remembered."""
        return hashlib.sha256(self.series_uid.encode()).hexdigest()

    @property
    def key(self) -> str:
        """What it is called in messages and names."""
        return series_key(self.series_uid)


class Pacs(ABC):
    """A PACS, by calls that block; for one thread at a time.

    All raise PacsAwayError if it cannot be reached or falls silent, and PacsRefusedError if it does not let us in.
    """

    @abstractmethod
    def check(self) -> str:
        """Ask for a sign of life and for the right to search; returns what it answered to."""

    @abstractmethod
    def find_series(self, query: Query) -> list[SeriesAtPacs]:
        """The series that are wanted, in the order of their studies and UIDs.

        Raises:
            PacsError: it says something that is no answer, or too much.
        """

    def count_images(self, series: SeriesAtPacs) -> int:
        """How many images a series has, counted one by one; for a PACS that does not say (``SeriesAtPacs.instances``).

        Raises:
            PacsError: it says something that is no answer, or too much.
        """
        return len(self._images_of(series))

    @abstractmethod
    def _images_of(self, series: SeriesAtPacs) -> set[str]:
        """SOP Instance UIDs of a series' images, not checked."""

    @abstractmethod
    def fetch(
        self, series: SeriesAtPacs, folder: Path, on_image: Callable[[int, int], None] = lambda n, of: None
    ) -> int:
        """Fetch all images of a series.

        Args:
            series: as it was found.
            folder: where they are put; it must not exist, its parent must.
            on_image: called as ``on_image(done, of)`` after each.

        Returns:
            How many there are.

        Raises:
            NotFetchedError: it gave fewer than it announced, or others; no folder is left.
            StorageError: they cannot be written; likewise.
        """

    @abstractmethod
    def store(self, files: Sequence[Path], on_file: Callable[[int, int], None] = lambda n, of: None) -> int:
        """Store DICOM files as they are.

        Args:
            files: each is DICOM with the preamble of PS3.10.
            on_file: called as ``on_file(done, of)`` after each.

        Returns:
            How many of them it took with a warning: coerced, or elements discarded (PS3.4 B.2.3).

        Raises:
            NotStoredError: it did not take some, and how many, by the status that it gave; the others are there.
            UnreadableImageError: a file is no DICOM; nothing is stored.
        """

    def close(self) -> None:  # noqa: B027  most have nothing to let go of
        """Let go of connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_uids(*uids: str) -> None:
    """Raise NotFetchedError unless what a PACS gave as UIDs is that: they go into addresses and queries."""
    if not all(map(is_uid, uids)):
        raise NotFetchedError(
            "wanted UIDs of digits and dots, of at most 64 characters; found another text in the PACS's answer; have "
            "the series mended there"
        )


def day_of(text: str) -> date | None:
    """A DA as a date; None if it is none."""
    try:
        return datetime.strptime(text.strip(), DATE_TEXT).date()
    except ValueError:
        return None


def require_packages() -> None:
    """Raise ConfigurationError unless what speaks with a PACS is installed: it comes with an extra."""
    for module in ("dicomweb_client", "pynetdicom"):
        try:
            import_module(module)
        except ImportError as error:
            raise ConfigurationError(
                f"wanted what speaks with a PACS; found that package {module} is not installed, on this machine; "
                "install it with: pip install 'gossamer[pacs]'"
            ) from error
