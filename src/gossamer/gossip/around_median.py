"""Clipping that is alike at all sites which have the same estimates: for the end of a run, and for a mesh in lockstep.

Nobody's own estimate is in the middle, as it is in ``clipping``: the median is, by coordinate the lower one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan

import torch

from gossamer.gossip.algorithm import GossipState, Mass, Params, Share
from gossamer.gossip.finite import is_finite
from gossamer.gossip.group_norms import group_sizes, norms_between
from gossamer.gossip.guard import NOT_FINITE, Report
from gossamer.gossip.mass_bounds import believed
from gossamer.gossip.tau import clip, factors_of, report_of, usual_of
from gossamer.gossip.topology import SiteId

LAST_FACTOR = 3.0
"""Last words: between two and four sites that agree, some are twice as far from the median as others by chance."""

LEAST_WORDS = 3
"""Of two estimates nobody can say which is off."""


def around_median(
    shares: Mapping[SiteId, Share], most: Mapping[SiteId, Mass], own: Mass, factor: float
) -> tuple[dict[SiteId, Share], tuple[Report, ...]]:
    """Clip estimates around the median of all, so that whoever has the same ones gets the same: for the end of a run.

    The median is by coordinate, the lower one; tau is ``factor`` times the lower median of how far the estimates are
    from it. A mass is cut to what it can be; what is not finite is left out, unless nothing is.

    Args:
        shares: three or more, by sender.
        most: the largest mass that each can have.
        own: names the tensors with a row for each structure.
        factor: how much further than usual comes through.
    """
    reports = {}
    finite: dict[SiteId, Share] = {}
    for sender, share in sorted(shares.items()):
        if all(map(is_finite, share.params.values())):
            finite[sender] = replace(share, mass=believed(share.mass, most[sender], most[sender]))
        else:
            reports[sender] = Report(sender, nan, 0.0, refused=NOT_FINITE)
    if len(finite) < LEAST_WORDS:
        return finite or dict(shares), tuple(reports.values())
    middle = GossipState(_lower_median_of([share.params for share in finite.values()]), own, own)
    norms = {sender: norms_between(middle.params, share.params, own) for sender, share in finite.items()}
    usual = usual_of(list(norms.values()), group_sizes(middle))
    for sender, share in finite.items():
        reports[sender] = report_of(sender, norms[sender], usual, factor)
        if reports[sender].where:
            finite[sender] = clip(middle, share, factors_of(norms[sender], usual, factor))
    return finite, tuple(report for _, report in sorted(reports.items()))


def _lower_median_of(params: Sequence[Params]) -> Params:
    with torch.no_grad():
        return {name: torch.stack([each[name] for each in params]).median(dim=0).values for name in params[0]}
