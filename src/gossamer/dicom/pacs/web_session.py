"""Connections to a PACS that speaks DICOMweb, and what can go wrong with them.

Law
    1. TLS certificates are checked. A redirect is not followed: it would carry patients' data, and a password, to an
       address that nobody entered. Proxies and ``.netrc`` of the environment are not used either.
    2. An answer has a bound before it is read, and has to come fast enough (``paced_http``).
    3. A message holds no address and no text of the server's: they hold patients' UIDs.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from gossamer.dicom.pacs.base import ANSWER_S
from gossamer.dicom.pacs.paced_http import PacedAdapter
from gossamer.dicom.pacs.settings import WebSettings, read_secret
from gossamer.errors import (
    ConfigurationError,
    PacsAwayError,
    PacsCertificateError,
    PacsError,
    PacsNotTlsError,
    PacsRefusedError,
)

MAX_ANSWER_BYTES = 2**25
"""Of an answer that is read at once; a page of a search takes less than a thirtieth of it. As JSON that is made to cost
memory, of empty lists, it becomes twenty times as much."""


def open_session(settings: WebSettings, home: Path) -> requests.Session:
    """Connections to a PACS.

    Args:
        settings: of the file.
        home: the file's folder.

    Raises:
        ConfigurationError: a secret is not to be had.
    """
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    for scheme in ("https://", "http://"):
        session.mount(scheme, PacedAdapter())
    session.hooks["response"].append(_bounded)
    if settings.ca_file is not None:
        if not (home / settings.ca_file).is_file():
            raise ConfigurationError(
                f"wanted certificates to trust; found no file {settings.ca_file!r}; correct ca_file in pacs.toml"
            )
        session.verify = str(home / settings.ca_file)
    if settings.password_file is not None:
        password = read_secret(home / settings.password_file)
        user = (settings.user or "").encode()
        # As text requests would send it in Latin-1, or not at all (RFC 7617 2.1).
        session.auth = (user, password.encode())  # type: ignore[assignment]
    if settings.token_file is not None:
        token = read_secret(home / settings.token_file)
        if not (token.isascii() and token.isprintable()):
            raise ConfigurationError(
                "wanted a bearer token, one line of ASCII; found another text, at token_file in pacs.toml; copy it "
                "again"
            )
        session.headers["Authorization"] = f"Bearer {token}"
    return session


def _bounded(answer: requests.Response, **settings: Any) -> None:
    """Give up an answer that is read at once and has no end; those that are streamed have bounds of their own."""
    if settings.get("stream"):
        return
    unbounded = answer.iter_content

    def iter_content(*arguments: Any, **keywords: Any) -> Iterator[bytes]:
        size = 0
        for piece in unbounded(*arguments, **keywords):
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                raise PacsError(
                    f"wanted an answer of at most {MAX_ANSWER_BYTES // 2**20} MiB; found more; is the address in "
                    "pacs.toml that of DICOMweb?"
                )
            yield piece

    answer.iter_content = iter_content  # type: ignore[method-assign]


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Errors of HTTP become ours; their texts, which hold addresses with patients' UIDs, go nowhere."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise _of_tls(error) from error
    except requests.Timeout as error:
        raise PacsAwayError(
            f"wanted an answer of the PACS within {ANSWER_S:.0f} s; found none; is it on, and open to this machine?"
        ) from error
    except requests.TooManyRedirects as error:
        raise PacsError(
            "wanted an answer of the PACS; found that it sends to another address; enter that as url in pacs.toml"
        ) from error
    except requests.HTTPError as error:
        raise _of_status(0 if error.response is None else error.response.status_code) from error
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        raise PacsAwayError(
            "wanted to reach the PACS; found that nobody listens at the address in pacs.toml, or that the line broke; "
            "does it run, and is the address right?"
        ) from error
    except (requests.RequestException, ValueError, RecursionError) as error:  # the last one of JSON nested without end
        raise PacsError(
            f"wanted DICOM JSON of the PACS; found something else ({type(error).__name__}); is the address in "
            "pacs.toml that of DICOMweb?"
        ) from error


def _of_tls(error: BaseException | None) -> PacsError:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__context__  # requests wraps urllib3's, which wraps the one that says more
    if isinstance(error, ssl.SSLCertVerificationError):
        return PacsCertificateError(
            f"wanted a certificate of the PACS that is trusted here; found: {error.verify_message}; name the "
            "hospital's CA as ca_file in pacs.toml, or correct url"
        )
    return PacsNotTlsError(
        "wanted to speak with the PACS by TLS; found plain text, or no version that is new enough, at url in "
        "pacs.toml; is it the port with TLS? nothing was sent"
    )


def _of_status(status: int) -> PacsError:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return PacsRefusedError(
            f"wanted to be let in by the PACS; found HTTP status {status}; check user and password, or token, in "
            "pacs.toml, and what they may do there"
        )
    if status in (
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    ):
        return PacsAwayError(f"wanted an answer of the PACS; found HTTP status {status}, it is overloaded; try later")
    return PacsError(
        f"wanted an answer of the PACS; found HTTP status {status}; is the address in pacs.toml that of DICOMweb?"
    )
