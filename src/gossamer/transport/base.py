"""The seam between a site and what carries its frames.

Law: best effort. A transport may lose, repeat and reorder frames; it never alters one, and the sender it names is the
one who proved to be it. What must not be lost is the node's to send again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from gossamer.errors import GossamerError
from gossamer.gossip.topology import SiteId
from gossamer.wire.frame import Buffer, Frame
from gossamer.wire.limits import Limits


@dataclass
class PeerState:
    """What the way to a peer is like, for people.

    Attributes:
        is_up: whether something gets through.
        since_s: when that last changed (Unix time).
        bytes_sent: what was sent again included.
        bytes_received: likewise.
        refusal: why the two do not speak: one of them refuses, or nothing gets through; None where no reason is known.
    """

    is_up: bool = False
    since_s: float = 0.0
    bytes_sent: int = 0
    bytes_received: int = 0
    refusal: GossamerError | None = None


class Transport(ABC):
    """Carries frames between this site and its peers."""

    def __init__(self) -> None:
        self.on_peer_started: Callable[[SiteId], None] = lambda peer: None
        """Told when a peer's process is another than the one this site spoke with before."""

    @property
    @abstractmethod
    def states(self) -> Mapping[SiteId, PeerState]:
        """Of the way to each peer."""

    @abstractmethod
    async def start(self) -> int | None:
        """Begin; returns the port it listens on, if it does.

        Raises:
            ConnectionError: the address to listen on is taken or not this machine's.
        """

    @abstractmethod
    async def send(self, to: SiteId, frame: Frame) -> None:
        """Hand a frame over; returns when the peer has all of it, however long that takes. Cancelling gives it up."""

    @abstractmethod
    def receive(self) -> AsyncIterator[tuple[SiteId, Frame | Buffer]]:
        """Whole frames as they come in, each with its authenticated sender.

        Raises:
            ResourceError: what comes cannot be kept; a transport may also try again until it can.
        """

    @abstractmethod
    def expect(self, limits: Limits) -> None:
        """From now on frames are as these limits have them: the network is known."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of all lines."""
