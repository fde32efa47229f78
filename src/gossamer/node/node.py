"""A site as a state machine: ``handle(event, now)`` is the only entrance, actions are the only exit.

Law
    1. The driver performs the actions of one call in order, before it hands in the next event, and performs an action
       only after all before it are done. What must survive stands in ``Persist``, always the first action.
    2. No clock, file or chance: the same events at the same times give the same actions, to the bit.
    3. A share is on disk before it is on the wire; a receipt is a promise kept on disk.
    4. What comes in may be lost, repeated, reordered or wrong. A message that cannot be meant raises ``LedgerError``
       and changes nothing; a repeated one is answered again and absorbed once.
    5. Lockstep: an exchange ends when all its shares are in, however long that takes. So the result does not depend
       on time, loss, order or power cuts.
    6. ``Finish`` comes once, and once more after each restart. A site that is done still hands out receipts.

Transition table (what is not listed changes nothing)

    =========== ============================ ==================================== =====================================
    phase       event                        what happens                         then
    =========== ============================ ==================================== =====================================
    any         Started                      all outstanding is sent again        the same; Train or Finish comes again
    any         Woke                         what is due is sent again            the same
    any         PeerStarted                  all outstanding to it is sent again  the same
    training    Trained, of this round       compose, send                        exchanging
    any         Received share, of the past  receipt                              the same
    any         Received share, soon needed  into the inbox, receipt              the same
    any         Received share, far ahead    no receipt: it will come again       the same
    exchanging  all shares are in            absorb; compose and send the next    exchanging
    exchanging  the round's last are in      absorb; end the round                training; after the last, lingering
    any         Received receipt             strike the share out                 the same
    lingering   nothing is outstanding       Finish                               finished
    =========== ============================ ==================================== =====================================
"""

from __future__ import annotations

from typing import final

from gossamer.errors import LedgerError, StorageError
from gossamer.gossip.algorithm import Mass, Params
from gossamer.gossip.topology import SiteId
from gossamer.node.agreement import Agreement
from gossamer.node.events import (
    Action,
    Event,
    Finish,
    PeerStarted,
    Persist,
    Received,
    Send,
    Started,
    Train,
    Trained,
    Woke,
)
from gossamer.node.ledger import Ledger
from gossamer.node.snapshot import Outgoing, Phase, Snapshot
from gossamer.wire.messages import Envelope, Receipt, ShareMessage


@final
class Node:
    """What a site does next."""

    def __init__(self, site: SiteId, agreement: Agreement, own: Mass, params: Params) -> None:
        """A site at the very beginning.

        Args:
            site: one of the topology's.
            agreement: the federation's.
            own: the site's own mass, its number of training cases.
            params: the initial parameters, the same at all sites.

        Raises:
            ScheduleError: the site is not in the schedule, or parameters and mass do not fit.
        """
        agreement.topology.position(site)
        self.agreement = agreement
        self.site = site
        self._phase: Phase = "training"
        self._round_index = 0
        self._exchange = 0
        self._state = agreement.algorithm.init(params, own)
        self._ledger = Ledger()
        self._senders = agreement.topology.senders(site, 0)

    @classmethod
    def from_snapshot(cls, agreement: Agreement, snapshot: Snapshot) -> Node:
        """The node that made the snapshot; after a stop, its next event is ``Started``.

        Raises:
            StorageError: the snapshot is of another federation.
        """
        if snapshot.federation != agreement.federation:
            raise StorageError(
                f"wanted a snapshot of federation {agreement.federation[:12]}; found one of "
                f"{snapshot.federation[:12]}, of site {snapshot.site}; give the site its own folder for each federation"
            )
        node = cls(snapshot.site, agreement, snapshot.state.own, snapshot.state.params)
        node._phase = snapshot.phase
        node._round_index = snapshot.round_index
        node._exchange = snapshot.exchange
        node._state = snapshot.state
        node._ledger = Ledger(snapshot.inbox, snapshot.outstanding, snapshot.absorbed)
        node._senders = agreement.topology.senders(snapshot.site, snapshot.exchange)
        return node

    def snapshot(self) -> Snapshot:
        """The whole state, without a copy of any tensor."""
        return Snapshot(
            self.site,
            self.agreement.federation,
            self._phase,
            self._round_index,
            self._exchange,
            self._state,
            self._ledger.inbox,
            self._ledger.outstanding,
            self._ledger.absorbed,
        )

    @property
    def wake_at_s(self) -> float | None:
        """When the driver should hand in ``Woke``; it asks again after every event."""
        return self._ledger.next_due_s

    @property
    def waits_for(self) -> tuple[SiteId, ...]:
        """Sites without whose share or receipt this one cannot go on."""
        if self._phase == "exchanging":
            return self._ledger.missing(self._exchange, self._senders)
        if self._phase == "lingering":
            return tuple(each.receiver for each in self._ledger.outstanding)
        return ()

    @property
    def absorbed(self) -> dict[SiteId, int]:
        """How many shares of each peer were absorbed."""
        return self._ledger.absorbed

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take in what happened.

        Args:
            event: that.
            now: seconds on any clock that does not run backwards.

        Returns:
            What to do, in order.

        Raises:
            LedgerError: a message that cannot be meant for this node now; the node is as before.
        """
        match event:
            case Started():
                return self._start(now)
            case Woke():
                return self._send_again(now)
            case PeerStarted(peer):
                self._ledger.make_due(now, peer)
                return self._send_again(now)
            case Trained(round_index, params):
                return self._take_training(round_index, params, now)
            case Received(sender, ShareMessage() as message):
                return self._take_share(sender, message, now)
            case Received(sender, Receipt() as receipt):
                return self._take_receipt(sender, receipt)
        raise TypeError(f"wanted an event; found {type(event).__name__}")

    def _start(self, now: float) -> list[Action]:
        self._ledger.make_due(now)
        again = self._send_again(now)
        return [Persist(self.snapshot()), *again, *self._begin_phase()]

    def _take_training(self, round_index: int, params: Params, now: float) -> list[Action]:
        if self._phase != "training" or round_index != self._round_index:
            return []
        self._state = self.agreement.algorithm.replace(self._state, params)
        sends = [*self._compose(now), *self._advance(now)]
        return [Persist(self.snapshot()), *sends, *self._begin_phase()]

    def _take_share(self, sender: SiteId, message: ShareMessage, now: float) -> list[Action]:
        exchange = message.envelope.exchange
        self._require_meant(message.envelope, sender)
        if self.site not in self.agreement.topology.receivers(sender, exchange):
            raise self._contradiction(sender, f"shares that are in the schedule; exchange {exchange} has none from it")
        receipt = Send(sender, Receipt(Envelope(self.agreement.federation, self.site, sender, exchange)))
        if exchange < self._exchange:
            return [receipt]
        if exchange > self._exchange + self._look_ahead:
            return []
        if not self._ledger.keep(exchange, sender, message.share):
            return [receipt]
        before = self._phase
        sends = self._advance(now)
        begin = self._begin_phase() if self._phase != before else []
        return [Persist(self.snapshot()), receipt, *sends, *begin]

    def _take_receipt(self, sender: SiteId, receipt: Receipt) -> list[Action]:
        exchange = receipt.envelope.exchange
        self._require_meant(receipt.envelope, sender)
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
            inbox = self._ledger.take_out(self._exchange)
            self._state = self.agreement.algorithm.absorb(self._state, inbox, mixing, self.site)
            self._exchange += 1
            if self._exchange < self.agreement.end_of_round(self._round_index):
                sends += self._compose(now)
            else:
                self._end_round()
        return sends

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

    def _begin_phase(self) -> list[Action]:
        """What the phase asks of the driver."""
        algorithm = self.agreement.algorithm
        if self._phase == "training":
            return [Train(self._round_index, algorithm.estimate(self._state), algorithm.teachers(self._state))]
        if self._phase == "finished":
            return [Finish(algorithm.estimate(self._state))]
        return []

    def _send_again(self, now: float) -> list[Action]:
        return [self._send(each) for each in self._ledger.send_again(now, self.agreement.resend_after_s)]

    def _send(self, each: Outgoing) -> Send:
        envelope = Envelope(self.agreement.federation, self.site, each.receiver, each.exchange)
        return Send(each.receiver, ShareMessage(envelope, each.share, each.attempt))

    @property
    def _look_ahead(self) -> int:
        """How many exchanges ahead a share may be: two rounds, so that no peer can fill the memory."""
        topology = self.agreement.topology
        return topology.exchanges_per_round + topology.final_exchanges

    def _require_meant(self, envelope: Envelope, sender: SiteId) -> None:
        """The message is of this federation and calendar, from one of its sites, for this one."""
        if envelope.federation != self.agreement.federation:
            raise self._contradiction(sender, f"messages of this federation, not of {envelope.federation[:12]}")
        if envelope.receiver != self.site:
            raise self._contradiction(sender, "messages for this site, not for another")
        if envelope.sender != sender or sender not in self.agreement.topology.sites:
            raise self._contradiction(sender, "a sender in the envelope who is the real one, and of the federation")
        if not 0 <= envelope.exchange < self.agreement.exchanges:
            raise self._contradiction(sender, f"an exchange below {self.agreement.exchanges}, not {envelope.exchange}")

    def _contradiction(self, sender: SiteId, wanted: str) -> LedgerError:
        return LedgerError(
            f"site {self.site}: wanted {wanted}; found otherwise, in a message from {sender!a:.60}; ask that site"
        )
