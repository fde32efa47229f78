"""How much mass a share can hold, and what takes the place of a mass that cannot be.

A peer that claims too much would own the mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce

from gossamer.gossip.algorithm import Mass
from gossamer.gossip.topology import SiteId, Topology

ROUNDING = 1e-9
"""Masses are sums of 64-bit numbers: so much more than there can be is no lie."""


def handed_over(kept: Mass, mixing: Mapping[SiteId, float], me: SiteId) -> dict[SiteId, Mass]:
    """What a site handed to each other one, by what it kept; nothing where it kept nothing."""
    stayed = mixing.get(me, 0.0)
    return {to: kept.scaled(part / stayed) for to, part in mixing.items() if to != me} if stayed > 0 else {}


def most_by_total(total: Mass, kept: Mass, senders: Iterable[SiteId]) -> dict[SiteId, Mass]:
    """Bounds where only the whole federation's mass is known: a share holds no more than this site does not."""
    return dict.fromkeys(senders, total.plus(kept.scaled(-1.0)))


def most_by_schedule(
    topology: Topology, own: Mapping[SiteId, Mass], me: SiteId, *, first: int, exchange: int
) -> dict[SiteId, Mass]:
    """Bounds where all sites' own masses are known, and all began with them: what the shares hold if nobody lies.

    Args:
        topology: the schedule.
        own: by site its own mass.
        me: the receiver.
        first: the exchange before which all had their own: 0, or the first of a round that set masses back.
        exchange: the one that is judged.
    """
    held = dict(own)
    for t in range(first, exchange):
        rows = {site: topology.mixing(site, t) for site in topology.sites}
        held = {
            to: reduce(Mass.plus, [held[site].scaled(row.get(to, 0.0)) for site, row in rows.items()])
            for to in topology.sites
        }
    senders = topology.senders(me, exchange)
    return {sender: held[sender].scaled(topology.mixing(sender, exchange)[me]) for sender in senders}


def can_be(mass: Mass, most: Mass) -> bool:
    """Whether a mass lies between 0 and the most there can be; what is no number does not."""
    claims = [(mass.body, most.body)]
    for name, row in most.rows.items():
        claims += zip(mass.rows[name], row, strict=True)
    return all(0 <= claimed <= bound * (1 + ROUNDING) + ROUNDING for claimed, bound in claims)


def at_least(claimed: Mass, least: Mass) -> Mass:
    """A mass, each part of it no smaller than the least that is believed."""
    rows = {name: tuple(map(max, row, least.rows[name])) for name, row in claimed.rows.items()}
    return Mass(max(claimed.body, least.body), rows)


def at_most(claimed: Mass, most: Mass) -> Mass:
    """A mass, each part of it no larger than the most that is believed."""
    rows = {name: tuple(map(min, row, most.rows[name])) for name, row in claimed.rows.items()}
    return Mass(min(claimed.body, most.body), rows)


def believed(claimed: Mass, most: Mass, instead: Mass) -> Mass:
    """The mass of a refused share; for one that cannot be another one, unless that were too much as well."""
    if can_be(claimed, most):
        return claimed
    return at_most(instead, most)
