"""What all algorithms here have in common: estimates travel with a mass, and merge by mass.

A site j keeps the fraction A[j, j] of its mass and hands A[i, j] to i, each with the same estimate x_j. Site i then
has w_i = sum_j A[i, j] w_j and x_i = sum_j A[i, j] w_j x_j / w_i (push-sum, Kempe et al., FOCS 2003, with x the ratio).
Columns of A sum to 1, so the total mass and the weighted mean sum_i w_i x_i / sum_i w_i are the same before and after.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from math import isfinite

from gossamer.errors import ScheduleError
from gossamer.gossip.algorithm import GossipAlgorithm, GossipState, Mass, Params, Share
from gossamer.gossip.merge import merge
from gossamer.gossip.topology import SiteId


class WeightedGossip(GossipAlgorithm):
    """Exchange by mass; what happens between exchanges is the algorithm's own."""

    @abstractmethod
    def start_mass(self, own: Mass) -> Mass:
        """The mass a site starts with."""

    def init(self, params: Params, own: Mass) -> GossipState:
        """The state before the first exchange.

        Raises:
            ScheduleError: a tensor holds no floating-point numbers (counters cannot be averaged), or a mass is
                negative, not finite, or does not fit its tensor.
        """
        _check_averageable(params)
        _check_mass(own, params)
        return GossipState(params, self.start_mass(own), own)

    def compose(
        self, state: GossipState, mixing: Mapping[SiteId, float], me: SiteId
    ) -> tuple[GossipState, dict[SiteId, Share]]:
        """Split the mass; the tensors themselves are handed on, uncopied."""
        shares = {
            receiver: Share(state.params, state.mass.scaled(fraction))
            for receiver, fraction in sorted(mixing.items())
            if receiver != me and fraction > 0
        }
        return replace(state, mass=state.mass.scaled(mixing.get(me, 0.0))), shares

    def absorb(
        self, state: GossipState, inbox: Mapping[SiteId, Share], mixing: Mapping[SiteId, float], me: SiteId
    ) -> GossipState:
        """Merge what came with what stayed, in sorted order of all sites, ``me`` among them.

        So two sites that swapped halves fold the same values in the same order and hold the same bits.
        """
        shares = {**inbox, me: Share(state.params, state.mass)}
        senders = sorted(shares)
        masses = [shares[sender].mass for sender in senders]
        params = merge([shares[sender].params for sender in senders], masses, senders.index(me))
        return replace(state, params=params, mass=reduce(Mass.plus, masses))

    def estimate(self, state: GossipState) -> Params:
        """x_i itself."""
        return state.params


def _check_averageable(params: Params) -> None:
    for name, tensor in params.items():
        if not tensor.is_floating_point():
            raise ScheduleError(
                f"wanted tensors of floating-point numbers, which can be averaged; found {tensor.dtype} in '{name}'; "
                "leave it out of the parameters (a network with instance norm has no such buffers)"
            )


def _check_mass(own: Mass, params: Params) -> None:
    for name, row in own.rows.items():
        if name not in params or not params[name].ndim or len(row) != len(params[name]):
            shape = list(params[name].shape) if name in params else "no such tensor"
            raise ScheduleError(
                f"wanted a mass for each row of '{name}'; found {len(row)} masses and {shape}; "
                "give as many as the output layer has structures"
            )
    for mass in (own.body, *(mass for row in own.rows.values() for mass in row)):
        if not isfinite(mass) or mass < 0:
            raise ScheduleError(f"wanted masses that are finite and >= 0; found {mass}; a mass is a number of cases")
