"""One-peer rotation: at exchange t site j sends half of its mass 1 + (t mod n - 1) places on: each peer in turn.

It mixes more slowly than the exponential graph, but after n - 1 exchanges of its own a site has spoken with everyone,
at whatever pace the others are. So it suits sites that do not wait for each other.
"""

from __future__ import annotations

from gossamer.gossip.one_peer import OnePeer


class Rotation(OnePeer):
    """One receiver a site, the next one at every exchange."""

    name = "rotation"

    @staticmethod
    def _turn(count: int) -> int:
        return count - 1

    @staticmethod
    def _places_on(place_in_turn: int) -> int:
        return 1 + place_in_turn
