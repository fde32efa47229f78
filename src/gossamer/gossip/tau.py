"""How far an estimate may differ: from what is usual, by group of parameters, to the part of a difference that counts.

A difference d is taken ``min(1, tau / |d|) d`` (arXiv 2202.01545), group by group; tau is some times what is usual,
which witnesses say: their lower median, so that no one of them decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

from torch import Tensor

from gossamer.gossip.algorithm import GossipState, Share
from gossamer.gossip.group_norms import Norms, group_of, length
from gossamer.gossip.guard import Report
from gossamer.gossip.merge import scaled_step
from gossamer.gossip.topology import SiteId


def usual_of(said: Sequence[Norms], sizes: Mapping[str, int]) -> Norms:
    """What is usual by the word of these witnesses, by group; who says 0 says nothing.

    Per entry it is at least the network's root mean square: small norms are often chance.

    Args:
        said: how far each of them goes.
        sizes: entries in one row of each group.
    """
    said = [norms for norms in said if norms]
    median = {
        group: tuple(
            _lower_median([norm for norm in row if norm > 0])
            for row in zip(*(norms[group] for norms in said), strict=True)
        )
        for group in (said[0] if said else ())
    }
    entries = sum(sizes[group] * len(row) for group, row in median.items())
    an_entry = length(median) / sqrt(entries) if entries else 0.0
    return {group: tuple(max(norm, an_entry * sqrt(sizes[group])) for norm in row) for group, row in median.items()}


def _lower_median(numbers: Sequence[float]) -> float:
    return sorted(numbers)[(len(numbers) - 1) // 2] if numbers else 0.0


def factors_of(norms: Norms, usual: Norms, times: float) -> Norms:
    """min(1, tau / norm), with tau = times * usual."""
    return {
        group: tuple(
            min(1.0, times * allowed / norm) if norm > 0 else 1.0
            for norm, allowed in zip(row, usual[group], strict=True)
        )
        for group, row in norms.items()
    }


def part_through(norms: Norms, usual: Norms, times: float) -> float:
    """The part of a difference that would come through."""
    factors, whole = factors_of(norms, usual, times), length(norms)
    let_in = {group: tuple(n * f for n, f in zip(row, factors[group], strict=True)) for group, row in norms.items()}
    return length(let_in) / whole if whole > 0 else 1.0


def report_of(sender: SiteId, norms: Norms, usual: Norms, times: float) -> Report:
    """What comes of a sender's difference."""
    least, where = min((min(row), group) for group, row in factors_of(norms, usual, times).items())
    if least == 1:
        return Report(sender, length(norms), 1.0)
    return Report(sender, length(norms), part_through(norms, usual, times), where)


def clip(mine: GossipState, share: Share, factors: Norms) -> Share:
    """A share of whose difference from ``mine`` so much is left, group by group."""
    clipped: dict[str, Tensor] = {}
    for name, tensor in mine.params.items():
        row, theirs = factors[group_of(name, tensor, mine.own)], {name: share.params[name]}
        rows = {name: row} if name in mine.own.rows else {}
        clipped |= scaled_step({name: tensor}, theirs, row[0], rows) if min(row) < 1 else theirs
    return Share(clipped, share.mass)
