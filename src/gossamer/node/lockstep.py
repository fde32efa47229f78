"""A node that waits for its peers: the result does not depend on time, loss, order or power cuts.

Law, beside that of every node: an exchange ends when all its shares are in, however long that takes.

Transition table (what is not listed changes nothing)

    =========== ============================ ==================================== =====================================
    phase       event                        what happens                         then
    =========== ============================ ==================================== =====================================
    any         Started                      all outstanding is sent again        the same; Train or Finish comes again
    any         Woke                         what is due is sent again            the same
    any         PeerStarted                  all outstanding to it is sent again  the same
    training    Trained, of this round       compose, send                        exchanging
    any         Received share, of the past  its receipt, and the latest's        the same
    any         Received share, soon needed  into the inbox, receipt              the same
    any         Received share, far ahead    no receipt: it will come again       the same
    exchanging  all shares are in            absorb; compose and send the next    exchanging
    exchanging  the round's last are in      absorb; end the round                training; after the last, lingering
    any         Received receipt             strike the share out                 the same
    lingering   nothing is outstanding       Finish                               finished
    =========== ============================ ==================================== =====================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import final

from gossamer.gossip.algorithm import Mass, Params, Share
from gossamer.gossip.topology import SiteId
from gossamer.node.agreement import Agreement
from gossamer.node.events import Action, Persist, Trained
from gossamer.node.node import Node
from gossamer.node.snapshot import Afoot
from gossamer.wire.messages import Message, Receipt, ShareMessage


@final
class LockstepNode(Node):
    """A site in lockstep with its peers."""

    def __init__(self, site: SiteId, agreement: Agreement, own: Mass, params: Params) -> None:
        super().__init__(site, agreement, own, params)
        self._senders = agreement.topology.senders(site, 0)

    @property
    def waits_for(self) -> tuple[SiteId, ...]:
        """Sites without whose share or receipt this one cannot go on."""
        if self._phase == "exchanging":
            return self._ledger.missing(self._exchange, self._senders)
        if self._phase == "lingering":
            return tuple(each.receiver for each in self._ledger.outstanding)
        return ()

    @property
    def local_phases(self) -> int:
        """How many this site has done."""
        return self._round_index + (self._phase != "training")

    def rounds_away(self) -> dict[SiteId, int]:
        """Nobody: who is away is waited for."""
        return {}

    def peers_here(self) -> tuple[SiteId, ...]:
        """All: nothing ends without them."""
        return tuple(site for site in self.agreement.topology.sites if site != self.site)

    def round_told(self, message: Message) -> int | None:
        """The round of the exchange."""
        return self._round_of(message.envelope.exchange)

    @property
    def _waits_until_s(self) -> None:
        return None

    def _afoot(self) -> None:
        return None

    def _go_on_from(self, afoot: Afoot | None) -> None:
        self._senders = self.agreement.topology.senders(self.site, self._exchange)

    def _start(self, now: float) -> list[Action]:
        self._ledger.make_due(now)
        again = self._send_again(now)
        return [Persist(self.snapshot()), *again, *self._begin_phase()]

    def _wake(self, now: float) -> list[Action]:
        return self._send_again(now)

    def _take_training(self, trained: Trained, now: float) -> list[Action]:
        if self._phase != "training" or trained.round_index != self._round_index:
            return []
        algorithm, start = self.agreement.algorithm, self._state
        self._state = algorithm.replace(start, trained.params)
        if trained.began is None:
            self._gate.note_training(start.params, self._state.params, start.own)
        else:
            step = algorithm.replace(replace(start, params=trained.began), trained.params)
            self._gate.note_training(trained.began, step.params, start.own)
        sends = [*self._compose(now), *self._advance(now)]
        return [Persist(self.snapshot()), *sends, *self._begin_phase()]

    def _take_share(self, sender: SiteId, message: ShareMessage, now: float) -> list[Action]:
        exchange = message.envelope.exchange
        self._require_in_calendar(exchange, sender)
        if message.role != "step":
            raise self._contradiction(sender, "shares of an exchange in lockstep")
        if self.site not in self.agreement.topology.receivers(sender, exchange):
            raise self._contradiction(sender, f"shares that are in the schedule; exchange {exchange} has none from it")
        receipt = self._receipt(sender, exchange)
        if exchange < self._exchange:
            return [receipt, *self._receipt_of_latest(sender, exchange)]
        if exchange > self._exchange + self._look_ahead:
            return []
        if not self._ledger.keep(exchange, sender, message.share):
            return [receipt]
        before = self._phase
        sends = self._advance(now)
        begin = self._begin_phase() if self._phase != before else []
        return [Persist(self.snapshot()), receipt, *sends, *begin]

    def _receipt_of_latest(self, sender: SiteId, exchange: int) -> list[Action]:
        """Beside the one of an old share: it tells a site that was set back to a backup so, and any other nothing."""
        senders = self.agreement.topology.senders
        for later in range(self._exchange + self._look_ahead, exchange, -1):
            is_absorbed = later < self._exchange and sender in senders(self.site, later)
            if is_absorbed or not self._ledger.missing(later, (sender,)):
                return [self._receipt(sender, later)]
        return []

    def _take_receipt(self, sender: SiteId, receipt: Receipt, now: float) -> list[Action]:
        exchange = receipt.envelope.exchange
        self._require_in_calendar(exchange, sender)
        composed = self._exchange + (self._phase == "exchanging")
        if exchange >= composed or sender not in self.agreement.topology.receivers(self.site, exchange):
            raise self._contradiction(
                sender, f"receipts for what was sent; exchange {exchange} is none (was this site set back to a backup?)"
            )
        self._ledger.strike_out(exchange, sender)
        return [Persist(self.snapshot()), *self._begin_phase()] if self._end_lingering() else []

    def _compose(self, now: float) -> list[Action]:
        """Make the shares of the next exchange."""
        topology = self.agreement.topology
        self._phase = "exchanging"
        self._senders = topology.senders(self.site, self._exchange)
        mixing = topology.mixing(self.site, self._exchange)
        self._state, shares = self.agreement.algorithm.compose(self._state, mixing, self.site)
        fresh = self._ledger.hand_over(self._exchange, shares, now + self.agreement.resend_after_s)
        return [self._send(each) for each in fresh]

    def _advance(self, now: float) -> list[Action]:
        """Go on as far as the shares in the inbox allow; returns the shares to send on the way."""
        sends: list[Action] = []
        while self._phase == "exchanging" and not self._ledger.missing(self._exchange, self._senders):
            mixing = self.agreement.topology.mixing(self.site, self._exchange)
            inbox = self._let_in(self._ledger.take_out(self._exchange), mixing)
            self._state = self.agreement.algorithm.absorb(self._state, inbox, mixing, self.site)
            self._exchange += 1
            if self._exchange < self.agreement.end_of_round(self._round_index):
                sends += self._compose(now)
            else:
                self._end_round()
        return sends

    def _let_in(self, inbox: Mapping[SiteId, Share], mixing: Mapping[SiteId, float]) -> Mapping[SiteId, Share]:
        """Of the shares of an exchange. The last one, where it is of all with all, is judged alike at all sites."""
        is_last = self._exchange == self.agreement.exchanges - 1
        of_all = {**inbox, self.site: Share(self._state.params, self._state.mass)}
        if not (is_last and self._is_of_all_with_all(of_all, mixing)):
            return self._gate.let_in(self._state, inbox, self._exchange, mixing)
        kept = dict(self._gate.let_in_of_all(of_all, mixing[self.site]))
        if self.site in kept:
            mine = kept.pop(self.site)
            self._state = replace(self._state, params=mine.params, mass=mine.mass)
        return kept

    def _is_of_all_with_all(self, shares: Mapping[SiteId, Share], mixing: Mapping[SiteId, float]) -> bool:
        """Then each holds its own mass, and hears what all others hear."""
        everyone = len(shares) == len(self.agreement.topology.sites) and len({*mixing.values()}) == 1
        return everyone and self.agreement.algorithm.sets_masses_back

    def _end_round(self) -> None:
        self._state = self.agreement.algorithm.end_round(self._state)
        if self._round_index < self.agreement.rounds - 1:
            self._round_index += 1
            self._phase = "training"
        else:
            self._phase = "lingering"
            self._end_lingering()

    def _end_lingering(self) -> bool:
        """Linger until the neighbours have all that is theirs, or it would leave with this site; True when it ends."""
        if self._phase != "lingering" or self._ledger.outstanding:
            return False
        self._phase = "finished"
        return True

    @property
    def _look_ahead(self) -> int:
        """How many exchanges ahead a share may be: two rounds, so that no peer can fill the memory."""
        topology = self.agreement.topology
        return topology.exchanges_per_round + topology.final_exchanges

    def _round_of(self, exchange: int) -> int:
        return min(exchange // self.agreement.topology.exchanges_per_round, self.agreement.rounds - 1)

    def _require_in_calendar(self, exchange: int, sender: SiteId) -> None:
        if not 0 <= exchange < self.agreement.exchanges:
            raise self._contradiction(sender, f"an exchange below {self.agreement.exchanges}, not {exchange}")
