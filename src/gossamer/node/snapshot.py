"""All that a site must find again after a power cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gossamer.gossip.algorithm import GossipState, Mass, Share
from gossamer.gossip.topology import SiteId

Phase = Literal["training", "exchanging", "lingering", "finished"]
"""See the law of the node (``node.py``)."""


@dataclass(frozen=True, eq=False)
class Outgoing:
    """A share that was handed to the transport and has no receipt yet.

    Attributes:
        exchange: to which it belongs.
        receiver: for whom it is.
        share: itself; its tensors are the sender's own, not a copy.
        attempt: how often it was sent again.
        due_s: when it will be sent again.
    """

    exchange: int
    receiver: SiteId
    share: Share
    attempt: int
    due_s: float


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


SNAPSHOT_KINDS: tuple[type, ...] = (Snapshot, Outgoing, GossipState, Share, Mass)
"""The classes in a snapshot, for ``wire.values.pack`` and ``unpack``."""
