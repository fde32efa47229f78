"""Bodies of frames on their way out, in sealed parts.

Law
    1. A part that lies in the box is not put there again, also after a restart: the secret of its seal is kept in the
       site's own folder until the body is taken, and makes the same parts of the same body.
    2. Before another body is put into the box, what is left there of the one before is removed.

A large body and a small one are kept, so that a large one that is half through outlives the small ones between.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gossamer.atomic import storage_error, write_atomically
from gossamer.transport.boxes import Folder, box_of, part_path
from gossamer.transport.letters import Offer
from gossamer.transport.sealing import PART_BYTES, BodySeal, Route
from gossamer.wire.frame import Frame

SECRET_BYTES = 32


class _Kept(BaseModel):
    """What a stopped sender must find again to go on with a body; a secret of this site."""

    model_config = ConfigDict(frozen=True)

    secret: str = Field(pattern="^[0-9a-f]{64}$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    body_bytes: int = Field(ge=0)


@dataclass(frozen=True, eq=False)
class Outgoing:
    """A body on its way out.

    Attributes:
        kept: its secret and what it is of.
        seal: made of that.
        pieces: the body.
    """

    kept: _Kept
    seal: BodySeal
    pieces: tuple[memoryview, ...]

    def offer(self) -> Offer:
        """Offer it, under a token that no other offer has."""
        return Offer(token=secrets.token_hex(16), **self.kept.model_dump())

    def sealed(self, index: int) -> bytes:
        """One of its parts."""
        return self.seal.seal(index, _part_of(self.pieces, index))


class Sender:
    """Puts bodies into the box to one peer."""

    def __init__(self, route: Route, folder: Path, writing: Folder) -> None:
        """Ready to send.

        Args:
            route: from this site to the peer.
            folder: of this site, for this peer alone.
            writing: the mailbox's.
        """
        self._route = route
        self._box = box_of(route.sender, route.receiver)
        self._folder = folder
        self._writing = writing
        self.bytes_sent = 0

    async def prepare(self, frame: Frame) -> Outgoing:
        """The parcel for a frame's body; goes on with the one that is kept if the body is the same.

        Raises:
            StorageError: it cannot be kept; nothing has been sent.
        """
        pieces = tuple(memoryview(piece).cast("B") for piece in list(frame.pieces())[1:])
        sha256 = (await asyncio.to_thread(lambda: frame.body_sha256)).hex()
        kept = self._read(frame.body_bytes)
        if kept is not None and kept.sha256 != sha256:
            with suppress(ConnectionError):  # else its parts stay in the box
                await self._remove(kept)
            kept = None
        if kept is None:
            kept = _Kept(secret=secrets.token_hex(SECRET_BYTES), sha256=sha256, body_bytes=frame.body_bytes)
            await asyncio.to_thread(write_atomically, self._record(frame.body_bytes), kept.model_dump_json(), 0o600)
        return Outgoing(kept, self._seal_of(kept), pieces)

    async def put(self, parcel: Outgoing) -> None:
        """Put all parts into the box that are not there.

        Raises:
            ConnectionError: the folder does not answer; what is there stays there.
        """
        for index in range(parcel.seal.parts):
            path = part_path(self._box, parcel.seal.name, index)
            if await self._writing.size_bytes(path) != parcel.seal.sealed_bytes(index):
                await self.put_again(parcel, [index])

    async def put_again(self, parcel: Outgoing, parts: Iterable[int]) -> None:
        """Put parts into the box, whatever lies there.

        Raises:
            ConnectionError: the folder does not answer.
        """
        for index in parts:
            if 0 <= index < parcel.seal.parts:
                sealed = await asyncio.to_thread(parcel.sealed, index)
                await self._writing.write(part_path(self._box, parcel.seal.name, index), sealed)
                self.bytes_sent += len(sealed)

    async def remove(self, parcel: Outgoing) -> None:
        """Clear the box of a parcel that was taken, and forget its secret.

        Raises:
            ConnectionError: the folder does not answer, or does not allow it.
        """
        await self._remove(parcel.kept)

    async def _remove(self, kept: _Kept) -> None:
        seal = self._seal_of(kept)
        for index in range(seal.parts):
            await self._writing.remove(part_path(self._box, seal.name, index))
        self._record(kept.body_bytes).unlink(missing_ok=True)

    def _read(self, body_bytes: int) -> _Kept | None:
        """What is kept of a body of this kind; a record that cannot be read is of no use, and is none."""
        try:
            return _Kept.model_validate_json(self._record(body_bytes).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        except OSError as error:
            raise storage_error(error, "wanted to read what is kept of a parcel") from error

    def _record(self, body_bytes: int) -> Path:
        return self._folder / f"outgoing-{kind_of(body_bytes)}.json"

    def _seal_of(self, kept: _Kept) -> BodySeal:
        return BodySeal(self._route, bytes.fromhex(kept.secret), bytes.fromhex(kept.sha256), kept.body_bytes)


def kind_of(body_bytes: int) -> str:
    """Large bodies have several parts."""
    return "large" if body_bytes > PART_BYTES else "small"


def _part_of(pieces: Iterable[memoryview], index: int) -> bytes:
    """What of a body lies in one part."""
    begin, end, at = index * PART_BYTES, (index + 1) * PART_BYTES, 0
    inside = []
    for piece in pieces:
        inside.append(piece[max(begin - at, 0) : max(end - at, 0)])
        at += len(piece)
    return b"".join(inside)
