"""What can happen to a node, and what it can ask for: frozen values, no behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gossamer.gossip.algorithm import Params
from gossamer.gossip.topology import SiteId
from gossamer.wire.messages import Message

if TYPE_CHECKING:
    from gossamer.node.snapshot import Snapshot


@dataclass(frozen=True)
class Started:
    """The site is up: for the first time, or again after a stop."""


@dataclass(frozen=True)
class Trained:
    """A local phase is over.

    Attributes:
        round_index: says which, so that a late answer is not taken for another.
        params: what training made.
        start: what ``Train`` asked to begin from; a node that has moved on meanwhile needs it.
    """

    round_index: int
    params: Params
    start: Params | None = None


@dataclass(frozen=True)
class Received:
    """A message came in; ``sender`` is who the transport authenticated."""

    sender: SiteId
    message: Message


@dataclass(frozen=True)
class Woke:
    """The time in ``node.wake_at_s`` has come."""


@dataclass(frozen=True)
class PeerStarted:
    """A peer is up again after a stop; what had come to it and was not on its disk is lost."""

    peer: SiteId


Event = Started | Trained | Received | Woke | PeerStarted


@dataclass(frozen=True)
class Persist:
    """Keep this snapshot, durably, before the next action is performed."""

    snapshot: Snapshot


@dataclass(frozen=True)
class Send:
    """Hand a message to the transport; it may be lost."""

    to: SiteId
    message: Message


@dataclass(frozen=True)
class Train:
    """Run local phase ``round_index`` from ``params``; answer with ``Trained``."""

    round_index: int
    params: Params
    teachers: Sequence[Params] = ()


@dataclass(frozen=True)
class Finish:
    """The run is over for this site; ``params`` is its model. The node goes on answering late peers."""

    params: Params


Action = Persist | Send | Train | Finish
