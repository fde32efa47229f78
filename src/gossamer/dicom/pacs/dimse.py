"""A PACS that speaks DIMSE alone: C-ECHO, C-FIND (study root), C-MOVE or C-GET, C-STORE (PS3.4 A, B, C).

Law
    1. Who we are said to be, and whom we speak with, are checked by their AE titles, which prove nothing, and by TLS,
       unless the settings say ``plain_dimse``.
    2. An association is open for one question, and released or aborted after it.
    3. What does not belong to the question is no answer: a PACS may not know how to match.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from gossamer.dicom.files.open_file import foreign_errors_mapped
from gossamer.dicom.pacs.answers import RETURNED, kept, meaning_of, series_of, verdict_on
from gossamer.dicom.pacs.base import (
    ANSWER_S,
    MAX_INSTANCES,
    MAX_SERIES,
    Pacs,
    Query,
    SeriesAtPacs,
    check_uids,
    is_uid,
)
from gossamer.dicom.pacs.incoming import Incoming
from gossamer.dicom.pacs.line import Line
from gossamer.dicom.pacs.pace import Pace, TooSlowError
from gossamer.dicom.pacs.receive import fetch_by_get, fetch_by_move
from gossamer.dicom.pacs.settings import DimseSettings
from gossamer.dicom.pacs.stored import Outgoing, Verdicts, check_files
from gossamer.dicom.pacs.tls import Tls
from gossamer.errors import NotStoredError, PacsAwayError, PacsError, PacsRefusedError, UnreadableImageError

VERIFICATION = UID("1.2.840.10008.1.1")
"""Of C-ECHO (PS3.4 A.4)."""

FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
"""Of C-FIND by study, series, image (PS3.4 C.6.2.3)."""

MAX_CONTEXTS = 128
"""Of an association (PS3.8 9.3.2.2)."""

FEWEST_MATCHES = 30
"""Within ``ANSWER_S``, once the first one has come."""

PENDING = (0xFF00, 0xFF01)
"""Statuses of C-FIND that come with a match (PS3.4 table C.4-1)."""


class DimsePacs(Pacs):
    """See the top of this file."""

    def __init__(self, settings: DimseSettings, home: Path) -> None:
        """Prepare; nothing is dialled before something is asked for.

        Args:
            settings: of the file.
            home: the file's folder.

        Raises:
            ConfigurationError: a certificate or key is not to be had.
        """
        self._line = Line(settings, None if settings.plain_dimse else Tls(settings, home))

    def check(self) -> str:
        """See ``Pacs``."""
        contexts = [build_context(VERIFICATION), build_context(FIND)]
        with self._line.associate(contexts) as association:
            status = _status_of(association.send_c_echo())
            if status:
                raise PacsRefusedError(
                    f"wanted an answer to C-ECHO; found status {meaning_of(status)}; ask its administrator"
                )
            if FIND not in _accepted(association):
                return "C-ECHO"
            self._find(association, _identifier("STUDY", StudyInstanceUID="1.2"), 1)  # of nobody: may we ask at all?
        return "C-ECHO and C-FIND"

    def find_series(self, query: Query) -> list[SeriesAtPacs]:
        """See ``Pacs``."""
        with self._line.associate([build_context(FIND)]) as association:
            studies = _identifier(
                "STUDY",
                StudyInstanceUID=query.study_uid,
                PatientID=query.patient_id,
                StudyDate=query.study_dates,
                ModalitiesInStudy=query.modality,
            )
            found: list[SeriesAtPacs] = []
            for study in self._find(association, studies, MAX_SERIES):
                if not is_uid(uid := study.get("StudyInstanceUID", "")):
                    continue  # it could not be asked for by name
                wanted = dict.fromkeys(RETURNED, "") | {
                    "StudyInstanceUID": uid,
                    "SeriesInstanceUID": query.series_uid,
                    "Modality": query.modality,
                }
                del wanted["PatientID"], wanted["StudyDate"]  # of the level above (PS3.4 C.6.2.1)
                matches = self._find(association, _identifier("SERIES", **wanted), MAX_SERIES - len(found))
                found += [series_of(study | match) for match in matches if match.get("StudyInstanceUID", uid) == uid]
        return query.chosen(found)

    def fetch(
        self, series: SeriesAtPacs, folder: Path, on_image: Callable[[int, int], None] = lambda n, of: None
    ) -> int:
        """See ``Pacs``."""
        with Incoming(series, folder, self._images_of(series)) as incoming:
            fetch_by = fetch_by_get if self._line.settings.own_port is None else fetch_by_move
            said = fetch_by(self._line, series, incoming, on_image)
            return incoming.finish(said)

    def store(self, files: Sequence[Path], on_file: Callable[[int, int], None] = lambda n, of: None) -> int:
        """See ``Pacs``."""
        outgoing = check_files(files)
        verdicts = Verdicts()
        with self._line.associate(_contexts_for(outgoing)) as association:
            for done, file in enumerate(outgoing, start=1):
                verdicts.add(*_store(association, file))
                on_file(done, len(outgoing))
        return verdicts.end()

    def _images_of(self, series: SeriesAtPacs) -> set[str]:
        """See ``Pacs``."""
        check_uids(series.study_uid, series.series_uid)
        images = _identifier(
            "IMAGE", StudyInstanceUID=series.study_uid, SeriesInstanceUID=series.series_uid, SOPInstanceUID=""
        )
        with self._line.associate([build_context(FIND)]) as association:
            return {match.get("SOPInstanceUID", "") for match in self._find(association, images, MAX_INSTANCES)}

    def _find(self, association: Association, identifier: Dataset, most: int) -> list[dict[str, str]]:
        """Matches of a C-FIND: first values by keyword."""
        if FIND not in _accepted(association):
            raise PacsRefusedError(
                "wanted to search the PACS (C-FIND, study root); found that it does not offer that to us; have "
                f"AE title {self._line.settings.own_ae_title!r} allowed to query there"
            )
        found: list[dict[str, str]] = []
        pace, last = Pace(ANSWER_S, FEWEST_MATCHES), time.monotonic()
        for answer, match in association.send_c_find(identifier, FIND):
            status = _status_of(answer)
            now = time.monotonic()
            _check_pace(pace, now - last)
            last = now
            if status in PENDING and match is not None:
                if len(found) >= most:
                    raise PacsError(f"wanted at most {most:,} matches; found that the PACS has more; narrow the search")
                found.append(_texts(match))
            elif status:
                raise PacsError(f"wanted matches of C-FIND; found status {meaning_of(status)}; ask its administrator")
        return found


def _check_pace(pace: Pace, waited_s: float) -> None:
    """A match has come, after so long; raise PacsAwayError if they drip."""
    try:
        pace.note(waited_s, 1)
    except TooSlowError as error:
        raise PacsAwayError(
            f"wanted at least {FEWEST_MATCHES} matches of C-FIND in {ANSWER_S:.0f} s; found fewer; try again, or ask "
            "the PACS's administrator"
        ) from error


def _store(association: Association, file: Outgoing) -> tuple[bool, str]:
    """Whether a file was taken, and what is to be said of it."""
    if file.sop_class_uid not in _accepted(association):
        return verdict_on(0x0122)
    try:
        return verdict_on(_status_of(association.send_c_store(file.path)))
    except ValueError:  # no context for its transfer syntax
        return verdict_on(0xC122)
    except (AttributeError, RuntimeError, OSError) as error:
        raise NotStoredError(
            f"wanted to store a file; found one that cannot be sent ({type(error).__name__}); leave it out"
        ) from error


def _contexts_for(files: Iterable[Outgoing]) -> list[PresentationContext]:
    """One for each class and transfer syntax, and one of each class in the default syntax (PS3.5 10.1)."""
    pairs = {(file.sop_class_uid, file.transfer_syntax_uid) for file in files}
    pairs |= {(sop_class, str(ImplicitVRLittleEndian)) for sop_class, _ in pairs}
    if len(pairs) > MAX_CONTEXTS:
        raise NotStoredError(
            f"wanted at most {MAX_CONTEXTS} kinds of files and syntaxes; found {len(pairs)}; store them in parts"
        )
    return [build_context(UID(sop_class), [UID(syntax)]) for sop_class, syntax in sorted(pairs)]


def _identifier(level: str, **elements: str) -> Dataset:
    identifier = Dataset()
    identifier.SpecificCharacterSet = "ISO_IR 192"
    identifier.QueryRetrieveLevel = level
    for keyword, text in elements.items():
        setattr(identifier, keyword, text)
    return identifier


def _texts(match: Dataset) -> dict[str, str]:
    """First values of a match, by keyword; one that is against the standard is left out, and goes nowhere."""
    texts = {}
    for keyword in (*RETURNED, "SOPInstanceUID"):
        with suppress(UnreadableImageError), foreign_errors_mapped():
            value = match.get(keyword)
            first = value[0] if isinstance(value, MultiValue) and value else value
            if first and (text := kept(first)):
                texts[keyword] = text
    return texts


def _accepted(association: Association) -> set[str]:
    return {str(context.abstract_syntax) for context in association.accepted_contexts}


def _status_of(answer: Dataset) -> int:
    """The status of an answer.

    Raises:
        PacsAwayError: there is none: pynetdicom's word for silence, or for an association that ended.
    """
    if "Status" not in answer:
        raise PacsAwayError(
            f"wanted an answer of the PACS within {ANSWER_S:.0f} s; found silence, or that it hung up; does it know "
            "this machine's AE title, address and port, and may it ask?"
        )
    return int(answer.Status)
