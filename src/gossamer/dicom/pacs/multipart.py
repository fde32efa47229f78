"""One DICOM file as a part of an HTTP message (PS3.18 8.6.1, RFC 2387): taken from an answer, put in a request.

Files travel as they are and piece by piece: dicomweb-client would hold them whole, decode them (inflating whatever a
deflated one claims) and encode them again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

from gossamer.errors import NotFetchedError

MAX_HEADER_BYTES = 2**14
"""Of a part's own lines."""

PIECE_BYTES = 2**18


def boundary_of(content_type: str) -> bytes | None:
    """What separates the parts of an answer; None if it is a bare DICOM file, as some servers send it.

    Raises:
        NotFetchedError: it is something else.
    """
    message = Message()
    message["Content-Type"] = content_type
    if message.get_content_type() == "application/dicom":
        return None
    boundary = message.get_boundary()
    if message.get_content_type() != "multipart/related" or not boundary:
        raise NotFetchedError(
            "wanted a DICOM file in a multipart answer; found another type of content; is the address in pacs.toml "
            "that of DICOMweb?"
        )
    return boundary.encode("ascii", "replace")


def single_part(pieces: Iterator[bytes], boundary: bytes) -> Iterator[bytes]:
    """The content of an answer with one part, piece by piece.

    Args:
        pieces: of the answer.
        boundary: that it names.

    Raises:
        NotFetchedError: it is cut off, has no header's end, or more than one part.
    """
    delimiter = b"\r\n--" + boundary
    held = b""
    while b"\r\n\r\n" not in held:
        if len(held) > MAX_HEADER_BYTES:
            raise _broken("a part without an end of its header")
        held += _next(pieces)
    held = held.partition(b"\r\n\r\n")[2]
    while (end := held.find(delimiter)) < 0:
        keep = max(0, len(held) - len(delimiter) + 1)
        yield held[:keep]
        held = held[keep:] + _next(pieces)
    yield held[:end]
    rest = held[end + len(delimiter) :]
    while len(rest) < 2:
        rest += _next(pieces)
    if not rest.startswith(b"--"):
        raise _broken("more than one file")


class Upload:
    """A file as the body of a request with one part, of a length that is known before it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        boundary = secrets.token_hex(16)
        self.content_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
        self._head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._head) + self._path.stat().st_size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        with self._path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
        yield self._tail


def _next(pieces: Iterator[bytes]) -> bytes:
    piece = next(pieces, None)
    if piece is None:
        raise _broken("one that is cut off")
    return piece


def _broken(found: str) -> NotFetchedError:
    return NotFetchedError(f"wanted an answer with one DICOM file; found {found}; try again")
