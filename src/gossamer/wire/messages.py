"""What sites say to each other.

Two messages are enough for gossip: a share, and the receipt that promises it is on disk. Both name the
federation, the sender, the receiver and the exchange, so that nothing can be taken for something else.

A notice is what one site tells all others, once: what its data are like, the plan it found, how its model scored. It
is signed, so that sites pass it on to those that its author does not reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

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


Role = Literal["step", "swap", "answer", "last"]
"""What a share is for: an exchange of the calendar in lockstep; asynchronously half of a swap, the other half, or what
a site holds when its local phases are over."""


ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class News:
    """How far all sites are, as its sender knows; in the order of the federation's sorted sites.

    Attributes:
        phases: local phases of each.
        heard: local phases all together had done when each was last heard of, by anyone.
    """

    phases: tuple[int, ...] = ()
    heard: tuple[int, ...] = ()


NO_NEWS = News()


@dataclass(frozen=True)
class ShareMessage:
    """A share on its way.

    Attributes:
        envelope: from whom to whom; ``exchange`` is the calendar's in lockstep, and asynchronously counts its sender's
            shares.
        share: itself.
        attempt: how often it was sent before.
        role: what it is for.
        news: empty in lockstep.
    """

    envelope: Envelope
    share: Share
    attempt: int = 0
    role: Role = "step"
    news: News = NO_NEWS


@dataclass(frozen=True)
class Receipt:
    """The promise that the share of ``envelope.exchange`` is kept on the sender's disk.

    Asynchronously that is the latest share taken from this peer; so it tells one that was set back to a backup.
    """

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
