"""All that a site must find again after a power cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gossamer.gossip.algorithm import GossipState, Mass, Share
from gossamer.gossip.guard import GUARD_KINDS, GuardState
from gossamer.gossip.topology import SiteId
from gossamer.wire.messages import NO_NEWS, News, Role

Phase = Literal["training", "exchanging", "lingering", "finished"]
"""See the laws of the nodes (``lockstep``, ``asynchronous``)."""


@dataclass(frozen=True, eq=False)
class Outgoing:
    """A share that was handed to the transport and has no receipt yet.

    Attributes:
        exchange: to which it belongs.
        receiver: for whom it is.
        share: itself; its tensors are the sender's own, not a copy.
        attempt: how often it was sent again.
        due_s: when it will be sent again.
        role: what it is for.
        news: what goes with it.
    """

    exchange: int
    receiver: SiteId
    share: Share
    attempt: int
    due_s: float
    role: Role = "step"
    news: News = NO_NEWS


@dataclass(frozen=True, eq=False)
class Last:
    """What a peer holds now that its local phases are over.

    Attributes:
        share: its estimate, with all its mass.
        news: what it knew then.
    """

    share: Share
    news: News


@dataclass(frozen=True, eq=False)
class Afoot:
    """What a node without a common clock knows besides; see ``asynchronous``.

    Attributes:
        next_number: of the next share it makes.
        taken: by sender, the number of the latest share taken from it.
        is_void: whether the local phase that goes on began from an estimate that has been given up since.
        waits: for whom it waits, and until when.
        wait_ends_s: until when it waits between this local phase and the next, at most.
        lasts: by site, what it held at its end, this site among them.
        known: what this site knew when it first heard such a last word; its estimate has no more in it.
        census: how far everyone is: ``Census.record``.
        patience: ``Patience.record``.
    """

    next_number: int
    taken: Mapping[SiteId, int]
    is_void: bool
    waits: Mapping[SiteId, float]
    wait_ends_s: float
    lasts: Mapping[SiteId, Last]
    known: News | None
    census: tuple[Mapping[SiteId, int], ...]
    patience: tuple[float | Mapping[SiteId, float], ...]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A node's whole state; a value, never changed in place. Tensors are referred to, so taking one costs nothing.

    Attributes:
        site: whose it is.
        federation: the agreement's hash.
        phase: where in a round the node stands.
        round_index: the current round, from 0.
        exchange: the exchange that comes next, or is going on.
        state: the algorithm's.
        inbox: shares that are promised by a receipt and not yet absorbed, by exchange and sender.
        outstanding: shares without a receipt, in the order in which they were made.
        absorbed: how many shares of each peer were absorbed.
        afoot: what a node without a common clock knows besides; None in lockstep.
        guard: what the guard remembers; None where there is none.
    """

    site: SiteId
    federation: str
    phase: Phase
    round_index: int
    exchange: int
    state: GossipState
    inbox: Mapping[int, Mapping[SiteId, Share]]
    outstanding: tuple[Outgoing, ...]
    absorbed: Mapping[SiteId, int]
    afoot: Afoot | None = None
    guard: GuardState | None = None


SNAPSHOT_KINDS: tuple[type, ...] = (Snapshot, Outgoing, Afoot, Last, News, GossipState, Share, Mass, *GUARD_KINDS)
"""The classes in a snapshot, for ``wire.values.pack`` and ``unpack``."""
