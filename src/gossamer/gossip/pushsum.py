"""Push-sum: stochastic gradient push, Assran et al., arXiv 1811.10792, algorithm 1, weighted by cases.

Needs no symmetry: mass may go one way, at random, late. Masses are never set back, so a local phase that moved the
estimate by d_i must be scaled. Let M = sum_i w_i, constant, and z = sum_i w_i x_i / M, which exchanges leave as it is.
Wanted: z moves by sum_i p_i d_i with p_i = m_i / sum_j m_j, as FedAvg's mean does. If x_i moves by s_i d_i, then z
moves by sum_i w_i s_i d_i / M. At the start w_i = m_i, hence M = sum_j m_j, and s_i = m_i / w_i gives it. The same
holds for each row with its own masses; a row that is not drawn at a site (m_i = 0) is never moved by that site.

(The paper keeps w_i x_i and w_i with all m_i = 1, and applies its gradients to w_i x_i: s_i = 1 / w_i.)

Where a site is not sent to for a while, w_i becomes small and its steps long; they weigh little in the mean, but its
estimate can overshoot. Topologies in which everyone receives as often as it sends keep w_i from falling.
"""

from __future__ import annotations

from dataclasses import replace

from gossamer.gossip.algorithm import GossipState, Mass, Params
from gossamer.gossip.merge import scaled_step
from gossamer.gossip.weighted import WeightedGossip


class PushSum(WeightedGossip):
    """Converges to the mean weighted by cases on any topology that mixes."""

    name = "pushsum"
    asynchronous = True

    def start_mass(self, own: Mass) -> Mass:
        """m_i."""
        return own

    def replace(self, state: GossipState, params: Params) -> GossipState:
        """The estimate becomes x + (m / w)(params - x)."""
        return replace(state, params=in_proportion(state, params))


def in_proportion(state: GossipState, params: Params) -> Params:
    """What a local phase made, scaled so that the weighted mean of all sites moves by sum_i p_i d_i."""
    own, weight = state.own, state.mass
    rows = {
        name: tuple(_scale(m, w) for m, w in zip(row, weight.rows[name], strict=True)) for name, row in own.rows.items()
    }
    return scaled_step(state.params, params, _scale(own.body, weight.body), rows)


def _scale(own: float, weight: float) -> float:
    """Part of the step to take, m / w. Without weight nothing needs proportion: the estimate follows the training."""
    if own == 0:
        return 0.0
    return own / weight if weight > 0 else 1.0
