"""How far everyone is, as far as one site has heard: counted in local phases, for there is no common clock.

Every share carries its sender's counts, and counts only grow, so the larger of two is the newer. A *round* of a
federation of n sites that do not wait for each other is n local phases, whoever does them; the run is over after R n
of them. So all train until the end, the slow ones less often, and nobody idles; a site whose peers are away does all.

A member that claims local phases that were not done, its own or others', ends the run early for all that hear it. It
cannot hide it: each site's own count stands in its signed result, and must make up the run with the others'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from gossamer.gossip.asynchrony import FRESH_ROUNDS
from gossamer.gossip.topology import SiteId
from gossamer.wire.messages import News

NEWS_ROUNDS = 4
"""News go from site to site by turns; in so many rounds they are everywhere. A longer silence is a site that missed
more than a round."""


@final
class Census:
    """The counts of all sites at one of them."""

    def __init__(
        self, me: SiteId, sites: tuple[SiteId, ...], rounds: int, joins_later: frozenset[SiteId] = frozenset()
    ) -> None:
        """At the beginning.

        Args:
            me: this site.
            sites: all of them, sorted.
            rounds: R.
            joins_later: sites that are away until they are heard of.
        """
        self._joins_later = joins_later
        self._me = me
        self._sites = sites
        self._rounds = rounds
        self.phases = dict.fromkeys(sites, 0)
        """Local phases of each site."""
        self._heard = dict.fromkeys(sites, 0)  # how many phases all had done when each was last heard of, by anyone
        self._silences = dict.fromkeys(sites, 0)  # the longest time that nobody heard of it, in phases of all

    def record(self) -> tuple[Mapping[SiteId, int], ...]:
        """All of it, as a plain value."""
        return dict(self.phases), dict(self._heard), dict(self._silences)

    def load(self, record: tuple[Mapping[SiteId, int], ...]) -> None:
        """Become what ``record`` was taken of."""
        self.phases, self._heard, self._silences = (dict(each) for each in record)

    @property
    def total(self) -> int:
        """Local phases of all sites."""
        return sum(self.phases.values())

    @property
    def is_over(self) -> bool:
        """Whether no local phase is left to do."""
        return self.total >= self._most

    @property
    def own(self) -> int:
        """Local phases of this site."""
        return self.phases[self._me]

    @property
    def round_index(self) -> int:
        """The round that goes on, from 0 to R - 1."""
        return min(self.total // len(self._sites), self._rounds - 1)

    def mean_phases(self) -> float:
        """Over all sites."""
        return self.total / len(self._sites)

    def rounds_ahead(self, news: News) -> float:
        """By how many rounds this site knows of more than the sender of ``news``; negative: of less."""
        return (self.total - self._total_of(news)) / len(self._sites)

    def is_of_the_end(self, news: News) -> bool:
        """Whether what came with ``news`` has all but the last two rounds in it, and half of the run at least."""
        return self._total_of(news) >= max(self._rounds - FRESH_ROUNDS, self._rounds / 2) * len(self._sites)

    def count_own(self) -> None:
        """A local phase is over here."""
        self.phases[self._me] += 1
        self._note_life({self._me: self.total})

    def fits(self, news: News) -> bool:
        """Whether news speak of these sites."""
        return len(news.phases) == len(news.heard) == len(self._sites)

    def take(self, news: News, sender: SiteId) -> None:
        """Hear what a peer knows."""
        for site, count in zip(self._sites, news.phases, strict=True):
            if site != self._me:  # nobody else knows better
                self.phases[site] = max(self.phases[site], min(count, self._most))
        told = dict(zip(self._sites, news.heard, strict=True))
        # Nobody can have been heard of later than now.
        self._note_life({site: min(at, self.total) for site, at in told.items()} | {sender: self._total_of(news)})

    def news(self) -> News:
        """What to tell a peer."""
        self._note_life({self._me: self.total})
        return News(tuple(self.phases[site] for site in self._sites), tuple(self._heard[site] for site in self._sites))

    def is_here(self, site: SiteId) -> bool:
        """Whether anyone heard of a site lately, as far as this one knows."""
        return self._was_here(site, self.total, self._heard[site])

    def was_here(self, site: SiteId, news: News) -> bool:
        """The same, as far as the sender of ``news`` knew."""
        return self._was_here(site, self._total_of(news), news.heard[self._sites.index(site)])

    def _was_here(self, site: SiteId, total: int, heard: int) -> bool:
        return (heard > 0 or site not in self._joins_later) and total - heard <= NEWS_ROUNDS * len(self._sites)

    def rounds_away(self) -> dict[SiteId, int]:
        """By site, the longest silence in whole rounds, where it was longer than news take."""
        count = len(self._sites)
        longest = {site: max(self._silences[site], self.total - self._heard[site]) for site in self._sites}
        return {site: phases // count for site, phases in longest.items() if phases > NEWS_ROUNDS * count}

    def _note_life(self, signs: Mapping[SiteId, int]) -> None:
        for site, at in signs.items():
            if at > self._heard[site]:
                self._silences[site] = max(self._silences[site], at - self._heard[site])
                self._heard[site] = at

    @property
    def _most(self) -> int:
        """All of the run: n R. Nobody can have done more."""
        return self._rounds * len(self._sites)

    def _total_of(self, news: News) -> int:
        return sum(min(count, self._most) for count in news.phases)
