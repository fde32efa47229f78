"""Series that a PACS sends when it is asked to: by C-MOVE to a port of ours, or by C-GET (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.presentation import build_context, build_role

from gossamer.dicom.pacs.answers import meaning_of
from gossamer.dicom.pacs.base import SeriesAtPacs
from gossamer.dicom.pacs.incoming import Incoming
from gossamer.dicom.pacs.line import Line
from gossamer.dicom.pacs.our_port import CLASSES, SYNTAXES, listening
from gossamer.dicom.pacs.receiver import OnImage, Receiver
from gossamer.errors import PacsAwayError, PacsRefusedError

MOVE, GET = UID("1.2.840.10008.5.1.4.1.2.2.2"), UID("1.2.840.10008.5.1.4.1.2.2.3")
"""Of C-MOVE and C-GET (PS3.4 C.6.2.3)."""

TRANSFER_S = 600.0
"""Of silence on the association that asked: a PACS need not say how it gets on (PS3.4 C.4.2.3.1)."""

SUCCESS, PENDING, SOME_FAILED = 0x0000, 0xFF00, 0xB000
"""Statuses of C-MOVE and C-GET (PS3.4 tables C.4-2 and C.4-3); B000 means something else of C-STORE."""


def fetch_by_move(line: Line, series: SeriesAtPacs, incoming: Incoming, on_image: OnImage) -> str:
    """Let the PACS send a series to our port; returns what it says of images that it did not send.

    Raises:
        ListenError: our port is taken.
        PacsRefusedError: it does not offer C-MOVE to us.
        PacsNotTlsError, PacsCertificateError: it called our port in another way than by TLS with a trusted certificate.
        NotFetchedError: what came is something else.
    """
    receiver = Receiver(incoming, on_image)
    with (
        listening(line, receiver),
        line.associate([build_context(MOVE)], silence_s=TRANSFER_S) as association,
    ):
        _check_offered(association, "C-MOVE", MOVE)
        return _end_of(association.send_c_move(_wanted(series), line.settings.own_ae_title, MOVE), receiver)


def fetch_by_get(line: Line, series: SeriesAtPacs, incoming: Incoming, on_image: OnImage) -> str:
    """Let the PACS send a series over the association that asks for it; see ``fetch_by_move``."""
    receiver = Receiver(incoming, on_image)
    contexts = [build_context(GET)]
    contexts += [build_context(sop_class, list(SYNTAXES)) for sop_class in CLASSES]
    roles = [build_role(sop_class, scp_role=True) for sop_class in CLASSES]
    with line.associate(contexts, silence_s=TRANSFER_S, roles=roles, handlers=receiver.handlers) as association:
        _check_offered(association, "C-GET", GET)
        return _end_of(association.send_c_get(_wanted(series), GET), receiver)


def _wanted(series: SeriesAtPacs) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "SERIES"
    identifier.StudyInstanceUID, identifier.SeriesInstanceUID = series.study_uid, series.series_uid
    return identifier


def _check_offered(association: Association, what: str, model: str) -> None:
    if model not in [context.abstract_syntax for context in association.accepted_contexts]:
        other = "without own_port, C-GET is used" if what == "C-MOVE" else "with own_port, C-MOVE is used"
        raise PacsRefusedError(
            f"wanted to fetch by {what}; found that the PACS does not offer that to us; have it allowed there ({other})"
        )


def _end_of(answers: Iterator[tuple[Dataset, Dataset | None]], receiver: Receiver) -> str:
    """What the last answer says went wrong; "" if nothing did. What the receiver met counts for more."""
    parts: list[str] = []
    for answer, _ in answers:
        if "Status" not in answer:
            receiver.raise_error()
            raise PacsAwayError("wanted a series of the PACS; found that it fell silent, dripped or hung up; try again")
        status, failed = int(answer.Status), int(answer.get("NumberOfFailedSuboperations", 0) or 0)
        parts = [f"{failed} images failed"] if failed else []
        if status == PENDING:
            receiver.check()
        if status not in (SUCCESS, PENDING, SOME_FAILED):
            parts.append(meaning_of(status))
    receiver.raise_error()
    return ", ".join(parts)
