"""What gossip without a common clock adds to push-sum: steps that come late, and estimates that are old.

Asynchronous SGD: Lian et al., arXiv 1710.06952 (AD-PSGD); Assran et al., arXiv 1811.10792 (SGP). Discount by
staleness: Xie et al., arXiv 1903.03934 (FedAsync, its hinge function with a = 1, b = ``FRESH_ROUNDS``). There the
server scales what comes late; here the mass is kept whole, as push-sum needs, and only counts less in one mean.

Notation: x_i, w_i, m_i as in ``algorithm``; c_i local phases of site i; lag in rounds of the federation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce

import torch

from gossamer.gossip.algorithm import GossipAlgorithm, GossipState, Mass, Params, Share
from gossamer.gossip.topology import SiteId

FRESH_ROUNDS = 2.0
"""So many rounds behind is what slow lines do; it is not counted as old."""

MOST_PACE = 2.0
"""A slow site's steps count at most so many times, a fast one's at least its inverse: longer ones overshoot."""

PRIOR_PHASES = 2.0
"""Local phases that every site is taken to have done before the first, so that the first does not count double."""


LONGEST_STEP = 8.0
"""Push-sum scales a step by m_i / w_i; where all hold the same weight that is n p_i, eight for a site with eight times
the mean number of cases. A site whose peers are away has handed out its weight and would step without bound."""


def trust_in(lag_rounds: float) -> float:
    """How much of its mass an estimate counts with, that is so many rounds behind the other: 1 down to 0."""
    return 1.0 if lag_rounds <= FRESH_ROUNDS else 1.0 / (1.0 + lag_rounds - FRESH_ROUNDS)


def step_part(own_phases: int, mean_phases: float, state: GossipState, longest: float = LONGEST_STEP) -> float:
    """By what a local phase is scaled, so that patients count alike, not machines: mean over own, within bounds.

    Args:
        own_phases: c_i, this one among them.
        mean_phases: over all sites.
        state: before the phase; push-sum will scale what comes of it by its m_i / w_i.
        longest: what is left of a step of length 1 then, at most.
    """
    part = (mean_phases + PRIOR_PHASES) / (own_phases + PRIOR_PHASES)
    bound = longest * state.mass.body / state.own.body if state.own.body else MOST_PACE
    return min(MOST_PACE, max(1.0 / MOST_PACE, part), bound)


def carried_over(start: Params, end: Params, now: Params, part: float = 1.0) -> Params:
    """What training from ``start`` to ``end`` makes of ``now``, which has moved on meanwhile.

    Args:
        start: where the local phase began.
        end: where it ended.
        now: the estimate to which its step is added.
        part: how much of the step.
    """
    with torch.no_grad():
        return {
            name: end[name]
            if part == 1.0 and same_memory(tensor, now[name])
            else torch.add(now[name], end[name] - tensor, alpha=part)
            for name, tensor in start.items()
        }


def absorb_by_trust(
    algorithm: GossipAlgorithm,
    state: GossipState,
    inbox: Mapping[SiteId, Share],
    me: SiteId,
    trust: Mapping[SiteId, float],
) -> GossipState:
    """Absorb shares, each estimate counting with a part of its mass; the masses themselves are taken in whole.

    With w' = sum_j w_j, the new estimate is sum_j t_j w_j x_j / sum_j t_j w_j: an old estimate gives way to a fresh
    one, no mass is lost, and nobody is pulled back.

    Args:
        algorithm: any that merges by mass and needs no row of the mixing matrix for it.
        state: this site's.
        inbox: the shares, by sender.
        me: this site.
        trust: the parts t_j, this site's own among them, above 0; 1 where a site is not named.
    """
    if all(part == 1.0 for part in trust.values()):
        return algorithm.absorb(state, inbox, {}, me)
    counted = {
        sender: replace(share, mass=share.mass.scaled(trust.get(sender, 1.0))) for sender, share in inbox.items()
    }
    kept = replace(state, mass=state.mass.scaled(trust.get(me, 1.0)))
    whole = reduce(Mass.plus, (share.mass for share in inbox.values()), state.mass)
    return replace(algorithm.absorb(kept, counted, {}, me), mass=whole)


def same_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are one: nothing was changed in place, so they hold the same numbers."""
    return one is other or (one.data_ptr() == other.data_ptr() and one.shape == other.shape)
