"""A node that waits for nobody longer than a small part of its own training takes: gossip without a common clock.

Law, beside that of every node
    1. After a local phase a site swaps halves with its neighbours of the calendar: it sends a share, and whoever gets
       it answers with one of its own, also in the middle of its training. So a slow site's estimate keeps up with the
       others while it trains, weights stay even, and no share ever comes too late to count.
    2. What training made is a step. It is added to the estimate as that has become meanwhile.
    3. To each peer at most one share is on its way. A peer that is away is left out and keeps nobody's time or mass;
       when it is back, all goes on.
    4. An estimate that is old counts little in a mean, its mass in full (``gossip.asynchrony``).
    5. The run is over when the sites together have done n R local phases, or the others have said so. Then each says
       what it holds, and the model is the mean of these last words, weighted by mass: the same bits at all sites that
       heard the same ones. Halves that are on their way then are dropped; the means of those that share them hardly
       differ by then.
    6. A share is taken once: each sender numbers its shares, and a number below the last one taken is a repeat.

Transition table (what is not listed changes nothing; "receipt" always goes back)

    =========== ================================== ============================================= ===================
    phase       event                              what happens                                  then
    =========== ================================== ============================================= ===================
    any         Started                            all outstanding is sent again; waits end      the same
    any         Woke, PeerStarted                  what is due is sent again                     the same
    training    Trained                            add the step; swap with the next neighbours   exchanging
    exchanging  all have answered, or time is up   swap with the next; the round's last: train   training
    both        Received swap                      answer with half, absorb                      the same
    both        Received answer                    absorb                                        the same
    both        the run is over                    say the last word to all                      lingering
    any         Received last                      keep it                                       the same
    lingering   all last words are in, or time up  mean of the last words; Finish                finished
    lingering,  Received swap or answer            it is too late; say the last word again       the same
    finished
    any         Received receipt                   strike the share out                          the same
    any         a receipt of what was never sent   set back to a backup: number on from there    the same
    =========== ================================== ============================================= ===================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import final

from gossamer.gossip.algorithm import GossipState, Mass, Params, Share
from gossamer.gossip.asynchrony import absorb_by_trust, carried_over, step_part, trust_in
from gossamer.gossip.topology import SiteId
from gossamer.node.agreement import Agreement
from gossamer.node.census import Census
from gossamer.node.events import Action, Persist, Send, Trained
from gossamer.node.gate import MOST_HANDED_OUT
from gossamer.node.node import Node
from gossamer.node.patience import Patience
from gossamer.node.snapshot import Afoot, Last, Outgoing
from gossamer.wire.messages import Message, News, Receipt, Role, ShareMessage

MOST_SKIPPED_NUMBERS = 10**9
"""No backup is so old that a site had sent so many more shares."""


@final
class AsynchronousNode(Node):
    """A site that gets on at its own pace."""

    def __init__(self, site: SiteId, agreement: Agreement, own: Mass, params: Params) -> None:
        super().__init__(site, agreement, own, params)
        self._census = Census(site, agreement.topology.sites, agreement.rounds, agreement.joins_later)
        self._patience = Patience(agreement.resend_after_s)
        self._next_number = 0
        self._taken: dict[SiteId, int] = {}
        self._is_void = False
        self._waits: dict[SiteId, float] = {}
        self._wait_ends_s = 0.0
        self._lasts: dict[SiteId, Last] = {}
        self._known: News | None = None

    @property
    def waits_for(self) -> tuple[SiteId, ...]:
        """Sites whose half or last word this one waits for."""
        return tuple(sorted(self._waits))

    @property
    def local_phases(self) -> int:
        """How many this site has done."""
        return self._census.own

    def rounds_away(self) -> dict[SiteId, int]:
        """Peers that were not heard of for longer than news take, with the longest such time in rounds."""
        return {site: rounds for site, rounds in self._census.rounds_away().items() if site != self.site}

    def peers_here(self) -> tuple[SiteId, ...]:
        """Peers of whom anyone has heard lately."""
        return tuple(peer for peer in self._peers if self._is_here(peer))

    def round_told(self, message: Message) -> int | None:
        """The mean count of local phases that its sender knew of; a receipt does not say."""
        if not isinstance(message, ShareMessage) or not self._census.fits(message.news):
            return None
        return min(sum(message.news.phases) // len(message.news.phases), self.agreement.rounds - 1)

    @property
    def _waits_until_s(self) -> float | None:
        return min(self._waits.values(), default=None)

    def _afoot(self) -> Afoot:
        return Afoot(
            self._next_number,
            dict(self._taken),
            self._is_void,
            dict(self._waits),
            self._wait_ends_s,
            dict(self._lasts),
            self._known,
            self._census.record(),
            self._patience.record(),
        )

    def _go_on_from(self, afoot: Afoot | None) -> None:
        assert afoot is not None
        self._next_number = afoot.next_number
        self._taken = dict(afoot.taken)
        self._is_void = afoot.is_void
        self._waits = dict(afoot.waits)
        self._wait_ends_s = afoot.wait_ends_s
        self._lasts = dict(afoot.lasts)
        self._known = afoot.known
        self._census.load(afoot.census)
        self._patience.load(afoot.patience)

    def _start(self, now: float) -> list[Action]:
        self._patience.forget_the_clock()
        self._wait_ends_s = now
        self._is_void = False  # a phase that was cut off begins anew, from the estimate as it is
        self._waits = self._waits_for_last_words(now) if self._phase == "lingering" else {}
        self._patience.begin_phase(now)
        self._ledger.make_due(now)
        sends = [*self._send_again(now), *self._go_on(now)]
        return [Persist(self.snapshot()), *sends, *self._begin_phase()]

    def _wake(self, now: float) -> list[Action]:
        before = self._phase
        again, sends = self._send_again(now), self._go_on(now)
        if self._phase == before and not sends:
            return again
        return [Persist(self.snapshot()), *again, *sends, *self._begin_phase_after(before)]

    def _take_training(self, trained: Trained, now: float) -> list[Action]:
        if self._phase != "training" or trained.round_index != self._round_index:
            return []
        self._wait_ends_s = self._patience.end_phase(now)
        if not self._is_void:
            self._census.count_own()
            state = self._state
            part = step_part(self._census.own, self._census.mean_phases(), state, self._gate.longest_step)
            start = state.params if trained.start is None else trained.start
            params = carried_over(start, trained.params, state.params, part)
            self._state = self.agreement.algorithm.replace(state, params)
            self._note_training(state, trained, part)
        self._phase = "exchanging"
        sends = self._go_on(now)
        return [Persist(self.snapshot()), *sends, *self._begin_phase_after("exchanging")]

    def _take_share(self, sender: SiteId, message: ShareMessage, now: float) -> list[Action]:
        if message.role == "step" or not self._census.fits(message.news):
            raise self._contradiction(sender, "shares of the asynchronous pace, with counts of all sites")
        number = message.envelope.exchange
        if number <= self._taken.get(sender, -1):
            return [self._receipt(sender, self._taken[sender])]
        self._taken[sender] = number
        self._patience.note_share(sender, now)
        before, known = self._phase, self._census.news()
        is_at_work = before in ("training", "exchanging")
        sends: list[Send] = []
        if message.role == "last":
            self._known = self._known or known
            if before != "finished":
                self._lasts[sender] = Last(message.share, message.news)
        elif is_at_work:
            sends += self._answer(sender, now) if message.role == "swap" else []
            self._absorb(sender, message)
        if is_at_work or message.role == "last":
            self._waits.pop(sender, None)
        self._census.take(message.news, sender)
        if not is_at_work and message.role != "last":
            sends += self._say_last_again(sender, now)
        elif is_at_work and self._is_over:
            sends += self._close(known, now)
        sends += self._go_on(now)
        receipt = self._receipt(sender, number)
        return [Persist(self.snapshot()), receipt, *sends, *self._begin_phase_after(before)]

    def _take_receipt(self, sender: SiteId, receipt: Receipt, now: float) -> list[Action]:
        number = receipt.envelope.exchange
        if number >= self._next_number + MOST_SKIPPED_NUMBERS:
            raise self._contradiction(sender, "receipts for what was sent, or may have been before a backup")
        outstanding = self._ledger.outstanding_to(sender)
        is_set_back = number >= self._next_number or any(number > each.exchange for each in outstanding)
        for each in outstanding:
            if each.exchange <= number:
                self._ledger.strike_out(each.exchange, sender)
        if not is_set_back:
            self._patience.note_receipt(sender, now)
            return []
        # The peer took shares that this site no longer knows of: what it sent since was taken for repeats. Its own
        # estimate is old too, and the peers' shares will say so.
        self._next_number = max(self._next_number, number + 1)
        lost = [each.share.mass for each in outstanding if each.role != "last"]
        self._state = replace(self._state, mass=reduce(Mass.plus, lost, self._state.mass))
        sends = self._say_last_again(sender, now) if self._phase in ("lingering", "finished") else []
        return [Persist(self.snapshot()), *sends]

    def _go_on(self, now: float) -> list[Send]:
        """Go on as far as nobody is to be waited for; returns the shares to send on the way."""
        self._waits = {peer: until_s for peer, until_s in self._waits.items() if until_s > now}
        sends: list[Send] = []
        while self._phase == "exchanging" and not self._waits:
            if self._exchange < self._census.own * self.agreement.topology.exchanges_per_round:
                sends += self._swap(now)
            elif self._is_over:
                sends += self._close(self._census.news(), now)
            else:
                self._begin_training(now)
        if self._phase == "lingering" and not self._waits:
            self._finish()
        return sends

    def _begin_training(self, now: float) -> None:
        self._state = self.agreement.algorithm.end_round(self._state)
        self._phase = "training"
        self._round_index = self._census.round_index
        self._is_void = False
        self._patience.begin_phase(now)

    def _begin_phase_after(self, before: str) -> list[Action]:
        return self._begin_phase() if self._phase != before else []

    def _swap(self, now: float) -> list[Send]:
        """Hand the halves of the next exchange to those neighbours to whom nothing is on its way, and who take them."""
        row = self.agreement.topology.mixing(self.site, self._exchange)
        self._exchange += 1
        parts = {
            peer: part
            for peer, part in row.items()
            if peer != self.site and part > 0 and peer not in self._lasts and not self._ledger.outstanding_to(peer)
        }
        sends = self._hand_out(parts, "swap", now)
        self._waits = {peer: self._wait_ends_s for peer in parts if self._wait_ends_s > now}
        return sends

    def _answer(self, peer: SiteId, now: float) -> list[Send]:
        """Hand back a part as large as this site's own neighbours get, unless one is on its way already."""
        if self._ledger.outstanding_to(peer):
            return []
        row = self.agreement.topology.mixing(self.site, self._exchange)
        part = max((part for other, part in row.items() if other != self.site), default=MOST_HANDED_OUT)
        return self._hand_out({peer: min(part, MOST_HANDED_OUT)}, "answer", now)

    def _hand_out(self, parts: Mapping[SiteId, float], role: Role, now: float) -> list[Send]:
        mixing = {**parts, self.site: 1.0 - sum(parts.values())}
        self._state, shares = self.agreement.algorithm.compose(self._state, mixing, self.site)
        news = self._census.news()
        return [self._hand_over(peer, share, role, news, now) for peer, share in sorted(shares.items())]

    def _hand_over(self, peer: SiteId, share: Share, role: Role, news: News, now: float) -> Send:
        due_s = now + self.agreement.resend_after_s
        outgoing = Outgoing(self._next_number, peer, share, 0, due_s, role, news)
        self._next_number += 1
        self._ledger.note(outgoing)
        self._patience.note_sent(peer, now)
        return self._send(outgoing)

    def _note_training(self, state: GossipState, trained: Trained, part: float) -> None:
        """Let the guard see the step, which is not the whole way where the site began from elsewhere."""
        after = self._state.params
        if trained.began is not None:
            params = carried_over(trained.began, trained.params, state.params, part)
            after = self.agreement.algorithm.replace(state, params).params
        self._gate.note_training(state.params, after, state.own)

    def _absorb(self, sender: SiteId, message: ShareMessage) -> None:
        ahead = self._census.rounds_ahead(message.news)
        # Where peers may lie, nobody is so far ahead by its own word that this site gives way to it.
        mine = 1.0 if self.agreement.guard else trust_in(-ahead)
        trust = {self.site: mine, sender: trust_in(ahead)}
        share = self._gate.let_in_between(self._state, sender, message.share, message.envelope.exchange)
        inbox = {sender: share}
        self._state = absorb_by_trust(self.agreement.algorithm, self._state, inbox, self.site, trust)
        self._ledger.count_absorbed(sender)
        if mine < 1 and self._phase == "training":
            self._is_void = True

    def _close(self, known: News, now: float) -> list[Send]:
        """The run is over: tell everyone what this site holds.

        Args:
            known: what was known before the share came that says so; a site that was away has no more in its estimate,
                nor one that has heard the last words of others since.
            now: as in ``handle``.
        """
        self._phase = "lingering"
        self._is_void = False
        mine = Share(self.agreement.algorithm.estimate(self._state), self._state.mass)
        self._lasts[self.site] = Last(mine, self._known or known)
        sends = [self._say_last(peer, now) for peer in self._peers]
        self._waits = self._waits_for_last_words(now)
        return sends

    def _waits_for_last_words(self, now: float) -> dict[SiteId, float]:
        silent = [peer for peer in self._peers if peer not in self._lasts]
        until_s = {peer: self._patience.gives_up_s(peer, now, is_here=self._is_here(peer)) for peer in silent}
        return {peer: at_s for peer, at_s in until_s.items() if at_s > now}

    def _is_here(self, peer: SiteId) -> bool:
        """As far as this site knows, or one of those that have ended."""
        return self._census.is_here(peer) or any(
            self._census.was_here(peer, last.news) for last in self._lasts.values()
        )

    @property
    def _is_over(self) -> bool:
        """All local phases are done, or nobody is left to gossip with."""
        left = [peer for peer in self._peers if peer not in self._lasts and self._is_here(peer)]
        return self._census.is_over or bool(self._lasts and not left)

    def _say_last(self, peer: SiteId, now: float) -> Send:
        """In the place of whatever is on its way to the peer."""
        for each in self._ledger.outstanding_to(peer):
            self._ledger.strike_out(each.exchange, peer)
        last = self._lasts[self.site]
        return self._hand_over(peer, last.share, "last", last.news, now)

    def _say_last_again(self, peer: SiteId, now: float) -> list[Send]:
        """To a peer that does not know that the run is over, or no longer."""
        return [] if self._ledger.outstanding_to(peer) else [self._say_last(peer, now)]

    def _finish(self) -> None:
        """The model: the mean of all last words that have the whole run in them."""
        ends = {site: last for site, last in self._lasts.items() if self._census.is_of_the_end(last.news)}
        words = self._gate.let_in_last({site: last.share for site, last in (ends or self._lasts).items()})
        first, *others = sorted(words)
        state = replace(self._state, params=words[first].params, mass=words[first].mass)
        inbox = {site: words[site] for site in others}
        self._state = self.agreement.algorithm.absorb(state, inbox, {}, first)
        self._phase = "finished"
        self._lasts = {self.site: self._lasts[self.site]}  # for those that come late

    @property
    def _peers(self) -> tuple[SiteId, ...]:
        return tuple(site for site in self.agreement.topology.sites if site != self.site)
