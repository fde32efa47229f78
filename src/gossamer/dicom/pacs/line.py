"""The line to a PACS that speaks DIMSE: an association for each question, by TLS unless the settings say plain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext

from gossamer.dicom.pacs.base import ANSWER_S, CONNECT_S
from gossamer.dicom.pacs.bounds import MAX_MESSAGE_BYTES, bounded
from gossamer.dicom.pacs.checkpoint import hold_reactor
from gossamer.dicom.pacs.promptness import prompt_handlers
from gossamer.dicom.pacs.settings import DimseSettings
from gossamer.dicom.pacs.tls import Tls
from gossamer.errors import PacsAwayError, PacsError, PacsRefusedError

MAX_PDU_BYTES = 2**17
"""Ours; a PACS has its own, and the smaller one counts (PS3.8 D.1)."""

REJECTED = (1, 2)
"""For good, or for now (PS3.8 table 9-21)."""


@dataclass(frozen=True)
class Line:
    """To one PACS.

    Attributes:
        settings: of the file.
        tls: None where they say ``plain_dimse``.
    """

    settings: DimseSettings
    tls: Tls | None

    @contextmanager
    def associate(
        self,
        contexts: Sequence[PresentationContext],
        *,
        silence_s: float | None = None,
        roles: Sequence[Any] = (),
        handlers: Sequence[Any] | None = None,
    ) -> Iterator[Association]:
        """An association, released at the end and aborted where something goes wrong.

        Args:
            contexts: that are asked for.
            silence_s: how long an answer may take; ``ANSWER_S`` without it.
            roles: that are asked for, as ``AE.associate`` takes them.
            handlers: of events, bounds of its messages among them; of an answer's alone without them.

        Raises:
            PacsAwayError: nobody listens.
            PacsRefusedError: it is rejected, or nothing of what is asked for is offered.
            PacsNotTlsError, PacsCertificateError: TLS is wanted, and does not come about.
        """
        settings, tls = self.settings, self.tls
        if tls is not None:
            tls.forget()
        ae = AE(settings.own_ae_title)
        ae.connection_timeout = ae.acse_timeout = CONNECT_S
        ae.dimse_timeout = ae.network_timeout = silence_s or ANSWER_S
        if handlers is None:
            handlers = bounded(ANSWER_S, MAX_MESSAGE_BYTES)
        association = ae.associate(
            settings.host,
            settings.port,
            list(contexts),
            settings.ae_title,
            max_pdu=MAX_PDU_BYTES,
            ext_neg=list(roles),
            evt_handlers=[*prompt_handlers(), *handlers],
            tls_args=None if tls is None else (tls.outward, tls.host),
        )
        if not association.is_established:
            raise (tls and tls.failure()) or _not_established(association, settings)
        hold_reactor(association)
        try:
            yield association
        except BaseException:
            association.abort()
            raise
        if association.is_established:
            association.release()


def _not_established(association: Association, settings: DimseSettings) -> PacsError:
    if (rejection := _rejection(association)) is not None:
        return PacsRefusedError(
            f"wanted an association with {settings.ae_title!r} as {settings.own_ae_title!r}; found it rejected: "
            f"{rejection.reason_str}; compare ae_title and own_ae_title in pacs.toml with what the PACS's "
            "administrator has entered"
        )
    if refused := association.rejected_contexts:
        services = ", ".join(sorted({context.abstract_syntax.name for context in refused if context.abstract_syntax}))
        return PacsRefusedError(
            f"wanted of the PACS: {services}; found that it offers none of that to us; have it allowed there (with "
            "own_port in pacs.toml series are fetched by C-MOVE, without by C-GET)"
        )
    return PacsAwayError(
        "wanted to reach the PACS; found that nobody listens at host and port in pacs.toml, or that somebody "
        "there hangs up, who speaks no DICOM, or wants TLS; does it run, and are they right?"
    )


def _rejection(association: Association) -> A_ASSOCIATE | None:
    """The answer by which an association was rejected; None if it was not.

    pynetdicom looks whether the line stands before it looks for an answer: of a PACS that hangs up at once it does not
    see the one that has come (of 300 associations with Orthanc, 23).
    """
    primitive: Any = association.acceptor.primitive
    while not isinstance(primitive, A_ASSOCIATE):
        if (primitive := association.dul.receive_pdu()) is None:
            return None
    return primitive if primitive.result in REJECTED else None
