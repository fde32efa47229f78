"""What of its peers' shares a node lets into its mean: the agreed guard, what it remembers, and who has how much.

Law: without a guard all comes in, and the gate holds nothing. With one the bits are the same as without as long as no
share is clipped or refused (``gossip.clipping``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import final

from gossamer.gossip.algorithm import GossipState, Mass, Params, Share
from gossamer.gossip.around_median import LAST_FACTOR, LEAST_WORDS, around_median
from gossamer.gossip.asynchrony import LONGEST_STEP, MOST_PACE
from gossamer.gossip.clipping import FACTOR, after_training
from gossamer.gossip.guard import GuardState
from gossamer.gossip.mass_bounds import at_least, at_most, handed_over, most_by_schedule, most_by_total
from gossamer.gossip.topology import SiteId
from gossamer.node.agreement import Agreement
from gossamer.node.events import Judged

MOST_HANDED_OUT = 0.5
"""Of its mass in one share, where sites do not wait for each other: more would leave the sender without."""

LEAST_HANDED_OUT = 1 / 16
"""Of its own mass, or of the mean site's where that is less; an honest share is about half of it. A liar that claims
less would drain the others, whose steps grow as their mass falls."""


@final
class Gate:
    """Stands before ``absorb`` at one site."""

    def __init__(self, site: SiteId, agreement: Agreement, state: GossipState) -> None:
        """At the beginning of a run, of which ``state`` is the site's first."""
        self._site = site
        self._agreement = agreement
        self._masses: dict[SiteId, Mass] = {}
        self._params, self._own = state.params, state.own
        for peer, own in agreement.masses.items():
            self.learn(peer, own)
        self.state = GuardState() if agreement.guard else None
        self._judged: list[Judged] = []

    def learn(self, peer: SiteId, own: Mass) -> None:
        """Hear how many training cases a site has."""
        self._masses[peer] = self._agreement.algorithm.init(self._params, own).mass

    @property
    def longest_step(self) -> float:
        """Of a local phase without a common clock; where peers may lie, twice what is usual where weights are even."""
        if self._agreement.guard is None:
            return LONGEST_STEP
        return MOST_PACE * max(1.0, self._own.body * len(self._masses) / self._total.body)

    def note_training(self, before: Params, after: Params, own: Mass) -> None:
        """See how far this site's own local phase went."""
        if self.state is not None:
            self.state = after_training(self.state, before, after, own)

    def let_in(
        self, mine: GossipState, inbox: Mapping[SiteId, Share], exchange: int, mixing: Mapping[SiteId, float]
    ) -> Mapping[SiteId, Share]:
        """Of the shares of an exchange of the calendar.

        Args:
            mine: the state, as ``compose`` left it.
            inbox: what came.
            exchange: which.
            mixing: what went to whom.
        """
        if self._agreement.guard is None:
            return inbox
        topology = self._agreement.topology
        if self._agreement.algorithm.sets_masses_back:
            first = self._agreement.first_of_round(exchange)
            most = most_by_schedule(topology, self._masses, self._site, first=first, exchange=exchange)
        else:
            most = most_by_total(self._total, mine.mass, inbox)
        handed = handed_over(mine.mass, mixing, self._site)
        return self._screen(mine, inbox, exchange, most, handed, in_pairs=False)

    def let_in_between(self, mine: GossipState, sender: SiteId, share: Share, number: int) -> Share:
        """Of a share that came at any time, the sender's share ``number``."""
        if self._agreement.guard is None:
            return share
        total = self._total
        a_site = total.scaled(1 / len(self._masses))
        least = at_most(self._masses.get(sender, a_site), a_site).scaled(LEAST_HANDED_OUT)
        inbox = {sender: replace(share, mass=at_least(share.mass, least))}
        most = {sender: total.scaled(MOST_HANDED_OUT)}
        return self._screen(mine, inbox, number, most, {}, in_pairs=True)[sender]

    def let_in_last(self, words: Mapping[SiteId, Share]) -> Mapping[SiteId, Share]:
        """Of what all hold at the end: the same at all sites that heard the same, so that they end with one model."""
        if self._agreement.guard is None or len(words) < LEAST_WORDS:
            return words
        return self._around_median(words, dict.fromkeys(words, self._total.scaled(MOST_HANDED_OUT)), LAST_FACTOR)

    def let_in_of_all(self, shares: Mapping[SiteId, Share], part: float) -> Mapping[SiteId, Share]:
        """Of the shares of an exchange of all with all in lockstep, this site's among them: alike at all sites.

        Args:
            shares: by site.
            part: of its mass that each hands to each.
        """
        if self._agreement.guard is None or len(shares) < LEAST_WORDS:
            return shares
        return self._around_median(shares, {site: own.scaled(part) for site, own in self._masses.items()}, FACTOR)

    def _around_median(
        self, shares: Mapping[SiteId, Share], most: Mapping[SiteId, Mass], factor: float
    ) -> Mapping[SiteId, Share]:
        kept, reports = around_median(shares, most, self._own, factor)
        self._judged += [Judged(self._agreement.exchanges, report) for report in reports if report.factor < 1]
        return kept

    def take_judged(self) -> list[Judged]:
        """What was clipped or refused since the last call."""
        judged, self._judged = self._judged, []
        return judged

    def _screen(
        self,
        mine: GossipState,
        inbox: Mapping[SiteId, Share],
        exchange: int,
        most: Mapping[SiteId, Mass],
        handed: Mapping[SiteId, Mass],
        *,
        in_pairs: bool,
    ) -> Mapping[SiteId, Share]:
        assert self.state is not None
        assert self._agreement.guard is not None
        screened = self._agreement.guard.screen(self.state, mine, inbox, most=most, handed=handed, in_pairs=in_pairs)
        self.state = screened.state
        self._judged += [Judged(exchange, report) for report in screened.reports if report.factor < 1]
        return screened.inbox

    @property
    def _total(self) -> Mass:
        first, *others = self._masses.values()
        return reduce(Mass.plus, others, first)
