"""The trimmed mean, where so many estimates meet that the outermost can be left out; see ``TrimmingGuard``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from gossamer.gossip.algorithm import GossipState, Mass, Params, Share
from gossamer.gossip.clipping import FACTOR, ClippingGuard
from gossamer.gossip.guard import GuardState, MixingGuard, Screened
from gossamer.gossip.topology import SiteId

LEAST_TO_TRIM = 4
"""Estimates: of three, taking one off each end leaves no mean."""


class TrimmingGuard(MixingGuard):
    """Coordinate-wise trimmed mean (Yin et al., ICML 2018, definition 2), where four estimates or more meet.

    Of the k estimates of an exchange, this site's among them, each coordinate loses its f smallest and f largest
    values, f = floor((k - 1) / 3); all shares then say the mean of the rest, weighted by mass. So what they say lies,
    in every coordinate, between honest values as long as at most f senders lie, and no mass changes that. The price: it
    is not the mean of honest sites either, even where nobody lies. With fewer estimates it clips; strikes are by
    clipping too.
    """

    def __init__(self, factor: float = FACTOR) -> None:
        """Trim; ``factor`` is that of clipping."""
        self._clipping = ClippingGuard(factor)

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
        """See ``MixingGuard``."""
        clipped = self._clipping.screen(state, mine, inbox, most=most, handed=handed, in_pairs=in_pairs)
        heard = [report.sender for report in clipped.reports if not report.refused]
        if len(heard) < LEAST_TO_TRIM - 1:
            return clipped
        params = _trimmed([Share(mine.params, mine.mass), *(inbox[sender] for sender in heard)])
        return replace(clipped, inbox={sender: Share(params, share.mass) for sender, share in clipped.inbox.items()})


def _trimmed(shares: Sequence[Share]) -> Params:
    """By coordinate the mean by mass of the values in the middle; where these have no mass, the first share's value."""
    cut = (len(shares) - 1) // 3
    trimmed = {}
    with torch.no_grad():
        for name, tensor in shares[0].params.items():
            masses = [share.mass.rows.get(name, (share.mass.body,)) for share in shares]
            values_KRE = torch.stack([share.params[name].reshape(len(masses[0]), -1) for share in shares])
            masses_KRE = torch.tensor(masses, dtype=tensor.dtype).unsqueeze(-1).expand_as(values_KRE)
            middle_KRE = values_KRE.argsort(dim=0)[cut : len(shares) - cut]
            part_KRE = masses_KRE.gather(0, middle_KRE)
            total_RE = part_KRE.sum(0)
            mean_RE = (values_KRE.gather(0, middle_KRE) * part_KRE).sum(0) / total_RE
            trimmed[name] = torch.where(total_RE > 0, mean_RE, values_KRE[0]).reshape(tensor.shape)
    return trimmed
