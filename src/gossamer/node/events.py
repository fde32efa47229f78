"""What can happen to a node, and what it can ask for: frozen values, no behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gossamer.gossip.algorithm import Mass, Params
from gossamer.gossip.guard import Report
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
        began: where training began instead, if the site did not trust that.
    """

    round_index: int
    params: Params
    start: Params | None = None
    began: Params | None = None


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


@dataclass(frozen=True)
class PeerJoined:
    """A site that joins later has told how many training cases it has."""

    peer: SiteId
    own: Mass


Event = Started | Trained | Received | Woke | PeerStarted | PeerJoined


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


@dataclass(frozen=True)
class Judged:
    """For the record: of a peer's share not all was let in. It is a report; nothing is to be done.

    Attributes:
        exchange: to which the share belonged.
        report: the guard's.
    """

    exchange: int
    report: Report


Action = Persist | Send | Train | Finish | Judged
