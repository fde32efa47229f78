"""One-peer exponential graph: Assran et al., arXiv 1811.10792, appendix A; Ying et al., arXiv 2110.13363.

At exchange t site j sends half of its mass to the site 2^(t mod h) places on, h = ceil(log2 n): one message each,
directed. For n = 2^h sites h exchanges give the exact mean; for other n they only come close.
"""

from __future__ import annotations

from math import ceil, log2

from gossamer.gossip.one_peer import OnePeer


class Exponential(OnePeer):
    """One receiver a site, twice as far along at every exchange."""

    name = "exponential"

    @staticmethod
    def _turn(count: int) -> int:
        return ceil(log2(max(count, 1)))

    @staticmethod
    def _places_on(place_in_turn: int) -> int:
        return int(2**place_in_turn)
