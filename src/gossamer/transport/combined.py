"""Several transports as one: each peer is reached by one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from gossamer.errors import ResourceError
from gossamer.gossip.topology import SiteId
from gossamer.transport.base import PeerState, Transport
from gossamer.transport.peer_lines import InboxTransport
from gossamer.wire.frame import Frame
from gossamer.wire.limits import Limits


class CombinedTransport(InboxTransport):
    """Lines to some peers, a mailbox to others."""

    def __init__(self, parts: Sequence[Transport]) -> None:
        """Make one of them; each brings its own peers.

        Args:
            parts: not started.
        """
        super().__init__(room=1)
        self._parts = parts
        self._part_of = {peer: part for part in parts for peer in part.states}
        self._receiving: list[asyncio.Task[None]] = []
        for part in parts:
            part.on_peer_started = self._note_start

    @property
    def states(self) -> Mapping[SiteId, PeerState]:
        """See ``Transport``."""
        return {peer: state for part in self._parts for peer, state in part.states.items()}

    async def start(self) -> int | None:
        """See ``Transport``."""
        ports = [await part.start() for part in self._parts]
        self._receiving = [asyncio.create_task(self._receive_from(part)) for part in self._parts]
        return next((port for port in ports if port is not None), None)

    async def send(self, to: SiteId, frame: Frame) -> None:
        """See ``Transport``."""
        await self._part_of[to].send(to, frame)

    def expect(self, limits: Limits) -> None:
        """See ``Transport``."""
        for part in self._parts:
            part.expect(limits)

    async def close(self) -> None:
        """See ``Transport``."""
        for task in self._receiving:
            task.cancel()
        await asyncio.gather(*self._receiving, return_exceptions=True)
        for part in self._parts:
            await part.close()

    async def _receive_from(self, part: Transport) -> None:
        try:
            async for sender, frame in part.receive():
                await self._deliver(sender, frame)
        except ResourceError as error:
            await self._fail(error)
