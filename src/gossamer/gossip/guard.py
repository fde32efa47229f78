"""What stands before every mean at a site, as a value and an interface; ``clipping`` and ``trimming`` are the kinds.

Law
    1. Where nothing is clipped or refused, shares are handed on as they are: the bits are those without a guard.
    2. A guard holds settings only; what it remembers is a value, passed in and returned.

Notation: i this site, j a sender.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from gossamer.gossip.algorithm import GossipState, Mass, Share
from gossamer.gossip.group_norms import Norms
from gossamer.gossip.topology import SiteId

NOT_FINITE = "its parameters are no finite numbers, or far too large"


@dataclass(frozen=True)
class PeerRecord:
    """What a site remembers of a peer.

    Attributes:
        differences: what its differences from this site suggest that a site moves in a local phase: a mean, by group.
        heard: how many local phases this site had made when the peer's last share came.
        strikes: how often it was hard to believe, of late.
        muted: of how many further shares nothing is let in.
    """

    differences: Norms = field(default_factory=dict)
    heard: int = 0
    strikes: int = 0
    muted: int = 0


@dataclass(frozen=True)
class GuardState:
    """What a guard carries from one exchange to the next.

    Attributes:
        moved: how far the last local phase went, by group; empty before the first.
        phases: how many there were.
        reach: which part of the mean came from others in the exchanges before it, summed up.
        reached: since then.
        peers: by sender.
    """

    moved: Norms = field(default_factory=dict)
    phases: int = 0
    reach: float = 1.0
    reached: float = 0.0
    peers: Mapping[SiteId, PeerRecord] = field(default_factory=dict)


GUARD_KINDS: tuple[type, ...] = (GuardState, PeerRecord)
"""The classes in a guard's state, for ``wire.values.pack`` and ``unpack``."""


@dataclass(frozen=True)
class Report:
    """What was done with one sender's share.

    Attributes:
        sender: whose it is.
        difference: ``|x_j - x_i|`` over all parameters; nan where it was not looked at or is no number.
        factor: how much of that comes through: 1 all, 0 nothing.
        where: the group that was clipped most; empty where none was.
        refused: why nothing comes through; empty otherwise.
    """

    sender: SiteId
    difference: float
    factor: float
    where: str = ""
    refused: str = ""


@dataclass(frozen=True, eq=False)
class Screened:
    """What a guard makes of an exchange.

    Attributes:
        state: for the next one.
        inbox: what may be absorbed.
        reports: one for each sender, sorted.
    """

    state: GuardState
    inbox: Mapping[SiteId, Share]
    reports: tuple[Report, ...]


class MixingGuard(ABC):
    """Stands before ``absorb``. Holds settings only; all state is passed in and returned."""

    @abstractmethod
    def screen(
        self,
        state: GuardState,
        mine: GossipState,
        inbox: Mapping[SiteId, Share],
        *,
        most: Mapping[SiteId, Mass],
        handed: Mapping[SiteId, Mass],
        in_pairs: bool = False,
    ) -> Screened:
        """Judge the shares of one exchange.

        Args:
            state: the guard's.
            mine: the algorithm's, as ``compose`` left it.
            inbox: what came, by sender; names, shapes and dtypes are those of ``mine``.
            most: the largest mass that each sender's share can have (``most_by_total``, ``most_by_schedule``).
            handed: what this site handed to others in the same exchange (``handed_over``).
            in_pairs: whether sites swap halves with one another by turns, without a common clock. Half of what a site
                takes in is one peer's then, so tau depends neither on reach nor on when the peer was last heard. A
                strike depends on the latter.
        """
