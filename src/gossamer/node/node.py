"""A site as a state machine: ``handle(event, now)`` is the only entrance, actions are the only exit.

Law of every node
    1. The driver performs the actions of one call in order, before it hands in the next event, and performs an action
       only after all before it are done. What must survive stands in ``Persist``, always the first action.
    2. No clock, file or chance: the same events at the same times give the same actions, to the bit.
    3. A share is on disk before it is on the wire; a receipt is a promise kept on disk.
    4. What comes in may be lost, repeated, reordered or wrong. A message that cannot be meant raises ``LedgerError``
       and changes nothing; a repeated one is answered again and absorbed once.
    5. ``Finish`` comes once, and once more after each restart. A site that is done still hands out receipts.

Two kinds differ in whether sites wait for each other: ``lockstep`` and ``asynchronous``, each with its own law and
transition table. Which one it is, the agreement says (``kinds``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

from gossamer.errors import LedgerError, StorageError
from gossamer.gossip.algorithm import Mass, Params
from gossamer.gossip.topology import SiteId
from gossamer.node.agreement import Agreement
from gossamer.node.events import (
    Action,
    Event,
    Finish,
    PeerJoined,
    PeerStarted,
    Received,
    Send,
    Started,
    Train,
    Trained,
    Woke,
)
from gossamer.node.gate import Gate
from gossamer.node.ledger import Ledger
from gossamer.node.snapshot import Afoot, Outgoing, Phase, Snapshot
from gossamer.wire.messages import Envelope, Message, Receipt, ShareMessage


class Node(ABC):
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
        self._gate = Gate(site, agreement, self._state)

    @final
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
            self._afoot(),
            self._gate.state,
        )

    @final
    def resume(self, snapshot: Snapshot) -> None:
        """Become the node that made a snapshot; after a stop, the next event is ``Started``.

        Raises:
            StorageError: the snapshot is of another federation, or of a node of the other kind.
        """
        is_alike = (snapshot.afoot is None, snapshot.guard is None) == (self._afoot() is None, self._gate.state is None)
        if snapshot.federation != self.agreement.federation or not is_alike:
            raise StorageError(
                f"wanted a snapshot of federation {self.agreement.federation[:12]} ({self.agreement.pace}); found one "
                f"of {snapshot.federation[:12]}, of site {snapshot.site}; give the site its own folder for each "
                "federation"
            )
        self._phase = snapshot.phase
        self._round_index = snapshot.round_index
        self._exchange = snapshot.exchange
        self._state = snapshot.state
        self._ledger = Ledger(snapshot.inbox, snapshot.outstanding, snapshot.absorbed)
        self._gate.state = snapshot.guard
        self._go_on_from(snapshot.afoot)

    @final
    @property
    def wake_at_s(self) -> float | None:
        """When the driver should hand in ``Woke``; it asks again after every event."""
        times = (self._ledger.next_due_s, self._waits_until_s)
        return min((at_s for at_s in times if at_s is not None), default=None)

    @final
    @property
    def absorbed(self) -> dict[SiteId, int]:
        """How many shares of each peer were absorbed."""
        return self._ledger.absorbed

    @final
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
        actions = self._take(event, now)
        return [*actions, *self._gate.take_judged()]

    def _take(self, event: Event, now: float) -> list[Action]:  # noqa: PLR0911  # one for each kind of event
        match event:
            case Started():
                return self._start(now)
            case Woke():
                return self._wake(now)
            case PeerJoined(peer, own):
                self._gate.learn(peer, own)
                return []
            case PeerStarted(peer):
                self._ledger.make_due(now, peer)
                return self._send_again(now)
            case Trained():
                return self._take_training(event, now)
            case Received(sender, ShareMessage() as message):
                self._require_meant(message.envelope, sender)
                return self._take_share(sender, message, now)
            case Received(sender, Receipt() as receipt):
                self._require_meant(receipt.envelope, sender)
                return self._take_receipt(sender, receipt, now)
        raise TypeError(f"wanted an event; found {type(event).__name__}")

    @property
    @abstractmethod
    def waits_for(self) -> tuple[SiteId, ...]:
        """Sites whose share or receipt this one waits for."""

    @property
    @abstractmethod
    def local_phases(self) -> int:
        """How many this site has done."""

    @abstractmethod
    def rounds_away(self) -> dict[SiteId, int]:
        """Peers that were not heard of for longer than news take, with the longest such time in rounds."""

    @abstractmethod
    def peers_here(self) -> tuple[SiteId, ...]:
        """Peers that take part now, as far as this site has heard."""

    @abstractmethod
    def round_told(self, message: Message) -> int | None:
        """The round in which a message was sent, if it says so."""

    @property
    @abstractmethod
    def _waits_until_s(self) -> float | None:
        """When the node wants to be woken for its own sake, not for a share without a receipt."""

    @abstractmethod
    def _start(self, now: float) -> list[Action]: ...

    @abstractmethod
    def _wake(self, now: float) -> list[Action]: ...

    @abstractmethod
    def _take_training(self, trained: Trained, now: float) -> list[Action]: ...

    @abstractmethod
    def _take_share(self, sender: SiteId, message: ShareMessage, now: float) -> list[Action]: ...

    @abstractmethod
    def _take_receipt(self, sender: SiteId, receipt: Receipt, now: float) -> list[Action]: ...

    @abstractmethod
    def _afoot(self) -> Afoot | None:
        """What the snapshot of this kind of node holds besides."""

    @abstractmethod
    def _go_on_from(self, afoot: Afoot | None) -> None:
        """Take that over again."""

    @final
    def _begin_phase(self) -> list[Action]:
        """What the phase asks of the driver."""
        algorithm = self.agreement.algorithm
        if self._phase == "training":
            return [Train(self._round_index, algorithm.estimate(self._state), algorithm.teachers(self._state))]
        if self._phase == "finished":
            return [Finish(algorithm.estimate(self._state))]
        return []

    @final
    def _send_again(self, now: float) -> list[Action]:
        return [self._send(each) for each in self._ledger.send_again(now, self.agreement.resend_after_s)]

    @final
    def _send(self, each: Outgoing) -> Send:
        message = ShareMessage(
            self._envelope(each.receiver, each.exchange), each.share, each.attempt, each.role, each.news
        )
        return Send(each.receiver, message)

    @final
    def _receipt(self, sender: SiteId, exchange: int) -> Send:
        return Send(sender, Receipt(self._envelope(sender, exchange)))

    def _envelope(self, receiver: SiteId, exchange: int) -> Envelope:
        return Envelope(self.agreement.federation, self.site, receiver, exchange)

    def _require_meant(self, envelope: Envelope, sender: SiteId) -> None:
        """The message is of this federation, from one of its other sites, for this one."""
        if envelope.federation != self.agreement.federation:
            raise self._contradiction(sender, f"messages of this federation, not of {envelope.federation[:12]}")
        if envelope.receiver != self.site:
            raise self._contradiction(sender, "messages for this site, not for another")
        if envelope.sender != sender or sender not in self.agreement.topology.sites:
            raise self._contradiction(sender, "a sender in the envelope who is the real one, and of the federation")

    @final
    def _contradiction(self, sender: SiteId, wanted: str) -> LedgerError:
        return LedgerError(
            f"site {self.site}: wanted {wanted}; found otherwise, in a message from {sender!a:.60}; ask that site"
        )
