"""Where a site's service stands, for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gossamer.gossip.topology import SiteId
from gossamer.node.snapshot import Phase


@dataclass(frozen=True)
class Heard:
    """The last message of a peer: from which of its rounds it is, and when it came (Unix time)."""

    round_index: int | None
    at_s: float


@dataclass
class Progress:
    """Where a site stands.

    Attributes:
        phase: of the node.
        round_index: the local phase that goes on or comes next.
        loss: of the last local phase.
        phase_s: how long that took.
        refusals: messages that were refused, by error code.
        waits_for: sites without whose message this one cannot go on.
        heard: of each peer, what came last.
    """

    phase: Phase = "training"
    round_index: int = 0
    loss: float = 0.0
    phase_s: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)
    waits_for: tuple[SiteId, ...] = ()
    heard: dict[SiteId, Heard] = field(default_factory=dict)
