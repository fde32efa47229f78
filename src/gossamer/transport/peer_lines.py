"""What transports have in common: one place where all that comes in is waited for, and a line for each peer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from cryptography import x509

from gossamer.atomic import make_folder
from gossamer.errors import ResourceError
from gossamer.gossip.topology import SiteId
from gossamer.transport.base import PeerState, Transport
from gossamer.transport.identity import site_id_of
from gossamer.wire.frame import Buffer, Frame
from gossamer.wire.limits import Limits


class PeerLine(Protocol):
    """The way to one peer."""

    @property
    def state(self) -> PeerState:
        """What it is like, for people."""

    async def send(self, frame: Frame) -> None:
        """See ``Transport``."""

    def expect(self, limits: Limits) -> None:
        """See ``Transport``."""


AnyLine = TypeVar("AnyLine", bound=PeerLine)


class InboxTransport(Transport):
    """Frames of all peers come out of one inbox, in the order in which they came."""

    def __init__(self, room: int) -> None:
        """Empty.

        Args:
            room: how many frames wait in it; whoever brings another waits too.
        """
        super().__init__()
        self._inbox: asyncio.Queue[tuple[SiteId, Frame | Buffer] | ResourceError] = asyncio.Queue(maxsize=room)

    async def receive(self) -> AsyncIterator[tuple[SiteId, Frame | Buffer]]:
        """See ``Transport``."""
        while True:
            received = await self._inbox.get()
            if isinstance(received, ResourceError):
                raise received
            yield received

    async def _deliver(self, sender: SiteId, frame: Frame | Buffer) -> None:
        await self._inbox.put((sender, frame))

    async def _fail(self, error: ResourceError) -> None:
        """Tell whoever receives; where it came up it would end one line, for ever, and nobody would know."""
        await self._inbox.put(error)

    def _note_start(self, peer: SiteId) -> None:
        self.on_peer_started(peer)


class LinesTransport(InboxTransport, Generic[AnyLine]):
    """A line of the same kind to each peer."""

    def __init__(self, peers: int) -> None:
        """Without lines; whoever inherits makes them.

        Args:
            peers: how many there will be.
        """
        super().__init__(peers)
        self.lines: dict[SiteId, AnyLine] = {}

    @property
    def states(self) -> Mapping[SiteId, PeerState]:
        """See ``Transport``."""
        return {peer: line.state for peer, line in self.lines.items()}

    async def send(self, to: SiteId, frame: Frame) -> None:
        """See ``Transport``."""
        await self.lines[to].send(frame)

    def expect(self, limits: Limits) -> None:
        """See ``Transport``."""
        for line in self.lines.values():
            line.expect(limits)


def folder_of_line(folder: Path, certificate: x509.Certificate) -> Path:
    """Where one peer's line keeps what is coming in; made if need be.

    Raises:
        StorageError: it cannot be made.
    """
    own = folder / site_id_of(certificate)[:32]
    make_folder(own, "wanted a folder for what peers send")
    return own
