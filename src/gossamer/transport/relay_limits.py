"""What a relay gives at most: nobody who knocks, waits or is joined takes all of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RelayLimits:
    """What a relay gives at most.

    Attributes:
        strangers: connections that have not been let in yet.
        waiting: guests without their peer.
        pairs: joined pairs.
        knocks_per_minute: of one end of a meeting; a site that is well knocks once in two minutes at most.
        bytes_per_s: of one pair, both directions together; None for as fast as it goes.
        knock_s: for a caller to say what it wants.
        wait_s: after which a guest that waits is sent away: a live one comes again at once, a dead one does not.
        idle_s: without a byte in either direction, after which a pair is parted; sites say something every 15 s.
    """

    strangers: int = 256
    waiting: int = 64
    pairs: int = 32
    knocks_per_minute: int = 30
    bytes_per_s: float | None = None
    knock_s: float = 10.0
    wait_s: float = 120.0
    idle_s: float = 120.0


DEFAULT_LIMITS = RelayLimits()
