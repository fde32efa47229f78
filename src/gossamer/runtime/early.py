"""What a site hears before it has a node: notices go to the board, shares wait for the node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gossamer.errors import NoticeError, WireError
from gossamer.gossip.topology import SiteId
from gossamer.runtime.board import Board
from gossamer.transport.base import Transport
from gossamer.wire.codec import decode
from gossamer.wire.frame import Buffer, Frame
from gossamer.wire.limits import Limits
from gossamer.wire.messages import Notice

UNKNOWN_NETWORK = Limits({}, {})
"""Nobody knows yet how large a share is, so none is read."""


class EarlyHearing:
    """Listens until there is a node."""

    def __init__(self, transport: Transport, board: Board, on_refusal: Callable[[str, NoticeError], None]) -> None:
        """Not listening yet.

        Args:
            transport: lines to the peers.
            board: takes the notices.
            on_refusal: told of a notice that is refused: of whom, and why.
        """
        self._transport = transport
        self._board = board
        self._on_refusal = on_refusal
        self._frames: dict[SiteId, tuple[Frame | Buffer, ...]] = {}

    @property
    def frames(self) -> tuple[tuple[SiteId, Frame | Buffer], ...]:
        """For the node: each peer's first share and its last, and from whom they came."""
        return tuple((peer, frame) for peer, frames in self._frames.items() for frame in frames)

    async def listen(self) -> None:
        """Until cancelled; what was begun then is kept whole."""
        async for sender, frame in self._transport.receive():
            await asyncio.shield(self._hear(sender, frame))

    async def _hear(self, sender: SiteId, frame: Frame | Buffer) -> None:
        try:
            message = decode(frame, UNKNOWN_NETWORK)
            if isinstance(message, Notice):
                await self._board.take(sender, message)
        except NoticeError as refusal:
            self._on_refusal(sender, refusal)
        except WireError:
            self._frames[sender] = (*self._frames.get(sender, ())[:1], frame)
