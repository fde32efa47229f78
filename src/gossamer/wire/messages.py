"""What sites say to each other.

Two messages are enough for gossip: a share, and the receipt that promises it is on disk. Both name the
federation, the sender, the receiver and the exchange, so that nothing can be taken for something else.

A notice is what one site tells all others, once: what its data are like, the plan it found, how its model scored. It
is signed, so that sites pass it on to those that its author does not reach.
"""

from __future__ import annotations

from dataclasses import dataclass

from gossamer.gossip.algorithm import Share
from gossamer.gossip.topology import SiteId


@dataclass(frozen=True)
class Envelope:
    """On every message.

    Attributes:
        federation: SHA-256 (hex) of the federation's agreed settings.
        sender: who says it; must be who the transport says it comes from.
        receiver: for whom it is.
        exchange: index of the exchange it belongs to, counted from 0 over the whole run.
    """

    federation: str
    sender: SiteId
    receiver: SiteId
    exchange: int


@dataclass(frozen=True)
class ShareMessage:
    """A share on its way. ``attempt`` counts how often it was sent, from 0."""

    envelope: Envelope
    share: Share
    attempt: int = 0


@dataclass(frozen=True)
class Receipt:
    """The promise that the share of ``envelope.exchange`` is kept on the sender's disk."""

    envelope: Envelope


@dataclass(frozen=True)
class Notice:
    """What its author tells everyone.

    Attributes:
        federation: SHA-256 (hex) of the federation file.
        topic: what it is about.
        author: whose it is.
        content: JSON, as its author wrote it.
        signature: by the author's identity, over all of the above.
    """

    federation: str
    topic: str
    author: SiteId
    content: bytes
    signature: bytes


Message = ShareMessage | Receipt
