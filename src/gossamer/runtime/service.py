"""One hospital's site at work: the node of the simulation, driven by real time, real lines and a real disk.

Law
    1. The actions of one event are performed in order, before the next event is handed in; what ``Persist`` asks for
       is durable before anything after it happens. So a kill at any moment loses nothing that was promised.
    2. In lockstep the model is, to the bit, the one a simulation of the same sites ends with.
    3. What a peer does wrong is refused, counted and told; it ends nothing.

Training runs beside the exchange, in a thread: a site answers its peers while it trains.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from gossamer.errors import PeerError, ShareRefusedError
from gossamer.gossip.algorithm import Mass, Params
from gossamer.gossip.guard import Report
from gossamer.gossip.topology import SiteId
from gossamer.gossip.trainer import Trainer, TrainerState
from gossamer.node.events import (
    Action,
    Event,
    Finish,
    Judged,
    PeerJoined,
    PeerStarted,
    Persist,
    Received,
    Send,
    Started,
    Train,
    Trained,
    Woke,
)
from gossamer.node.kinds import node_from
from gossamer.node.node import Node
from gossamer.node.policy import refuse_unless_finite
from gossamer.node.snapshot import Snapshot
from gossamer.runtime.audit import AuditLog
from gossamer.runtime.audit_entries import Clipped, ShareReceived, ShareSent
from gossamer.runtime.journal import Journal, Kept
from gossamer.runtime.progress import Heard, Progress
from gossamer.transport.base import Transport
from gossamer.wire.codec import decode, encode
from gossamer.wire.digests import sha256_of
from gossamer.wire.frame import Buffer, Frame, build_frame
from gossamer.wire.limits import Limits
from gossamer.wire.messages import Message, Notice, ShareMessage


@dataclass(frozen=True, eq=False)
class _PhaseEnded:
    """A local phase is over; the trainer's state goes to the disk with the parameters it made, never before."""

    event: Trained
    trainer_state: TrainerState
    loss: float


class SiteService:
    """Drives one node to its end."""

    def __init__(
        self,
        node: Node,
        trainer: Trainer,
        transport: Transport,
        journal: Journal,
        *,
        local_steps: int,
        on_notice: Callable[[SiteId, Notice], Awaitable[None]] | None = None,
        early: Sequence[tuple[SiteId, Frame | Buffer]] = (),
        audit: AuditLog | None = None,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Ready to run; what the journal holds takes the place of ``node`` and the trainer's state.

        Args:
            node: this site's, at the beginning.
            trainer: local training.
            transport: lines to the peers, started.
            journal: this site's.
            local_steps: optimiser steps of a local phase.
            on_notice: given what is not for the node.
            early: frames that came before there was a node.
            audit: told of every share and refusal.
            tell: told what a person should know.

        Raises:
            StorageError: the journal is damaged, or of another federation.
        """
        snapshot = node.snapshot()
        self._limits = Limits.of(snapshot.state.params, snapshot.state.own)
        self._trainer = trainer
        self._transport = transport
        self._journal = journal
        self._local_steps = local_steps
        self._tell = tell
        self.progress = Progress()
        kept = journal.read()
        if journal.damage is not None:
            tell(f"took one of this site's two records, as the other is damaged; look after its disk: {journal.damage}")
        if kept is not None:
            node = node_from(node.agreement, kept.snapshot)
            trainer.restore(kept.trainer_state)
            self.progress.loss = kept.loss
        self._node = node
        self._trainer_state = trainer.state()
        self._events: asyncio.Queue[Event | _PhaseEnded | BaseException] = asyncio.Queue()
        self._on_notice = on_notice
        self._early = early
        self._audit = audit
        self._working: set[asyncio.Task[None]] = set()
        self._sending: set[tuple[SiteId, type, int]] = set()
        self._writing: asyncio.Task[None] | None = None
        self._on_finish: Callable[[Params], None] = lambda model: None

    async def run(self, on_finish: Callable[[Params], None]) -> NoReturn:
        """Work until cancelled: a site that has its model goes on answering peers that have not.

        Args:
            on_finish: given the model when it is there; once more after a restart.

        Raises:
            StorageError: the disk does not keep what must be kept.
            ScheduleError: training fails.
        """
        self._on_finish = on_finish
        self._beside(self._receive())
        try:
            await self._hand_in(Started())
            while True:
                await self._hand_in(await self._next_event())
        finally:
            tasks: list[asyncio.Task[None]] = list(self._working)
            for task in tasks:
                task.cancel()
            if self._writing is not None:
                tasks.append(self._writing)  # a thread cannot be cancelled; nobody else writes before it is done
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _next_event(self) -> Event | _PhaseEnded:
        """What comes first: a message, the end of training, or the time the node asked for."""
        wake_at_s = self._node.wake_at_s
        try:
            async with asyncio.timeout(None if wake_at_s is None else max(0.0, wake_at_s - time.monotonic())):
                event = await self._events.get()
        except TimeoutError:
            return Woke()
        if isinstance(event, BaseException):
            raise event
        return event

    def _beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let something go on beside the loop; what it fails with ends the site, unless it was cancelled."""
        task = asyncio.create_task(work)
        self._working.add(task)

        def note_end(task: asyncio.Task[None]) -> None:
            self._working.discard(task)
            if not task.cancelled() and (failure := task.exception()) is not None:
                self._events.put_nowait(failure)

        task.add_done_callback(note_end)
        return task

    @property
    def absorbed(self) -> Mapping[SiteId, int]:
        """How many shares of each peer this site took in."""
        return self._node.absorbed

    @property
    def local_phases(self) -> int:
        """How many this site has done."""
        return self._node.local_phases

    def peers_here(self) -> tuple[SiteId, ...]:
        """Peers that take part now."""
        return self._node.peers_here()

    def rounds_away(self) -> Mapping[SiteId, int]:
        """Peers that were away for longer than news take, and for how many rounds."""
        return self._node.rounds_away()

    def peer_started(self, peer: SiteId) -> None:
        """A peer is up again after a stop."""
        self._events.put_nowait(PeerStarted(peer))

    def peer_joined(self, peer: SiteId, own: Mass) -> None:
        """A site that joins later has told how many cases it has."""
        self._events.put_nowait(PeerJoined(peer, own))

    async def _receive(self) -> None:
        for sender, frame in self._early:
            await self._take(sender, frame)
        self._early = ()
        async for sender, frame in self._transport.receive():
            await self._take(sender, frame)

    async def _take(self, sender: SiteId, frame: Frame | Buffer) -> None:
        try:
            message = await asyncio.to_thread(self._read, frame)
            if not isinstance(message, Notice):
                await self._events.put(Received(sender, message))
                before = self.progress.heard.get(sender)
                round_index = self._node.round_told(message)
                if round_index is None and before is not None:
                    round_index = before.round_index
                self.progress.heard[sender] = Heard(round_index, time.time())
            elif self._on_notice is not None:
                await self._on_notice(sender, message)
        except PeerError as refusal:
            self._note_refusal(sender, refusal)

    def _read(self, frame: Frame | Buffer) -> Message | Notice:
        message = decode(frame, self._limits)
        if isinstance(message, ShareMessage) and self._node.agreement.guard is None:
            refuse_unless_finite(message)  # a guard keeps the mass that comes with it
        return message

    async def _hand_in(self, event: Event | _PhaseEnded) -> None:
        if isinstance(event, _PhaseEnded):
            self._trainer_state, self.progress.loss = event.trainer_state, event.loss
            event = event.event
        try:
            actions = self._node.handle(event, time.monotonic())
        except PeerError as refusal:
            assert isinstance(event, Received)
            self._note_refusal(event.sender, refusal)
            return
        for action in actions:
            await self._perform(action)
        match event, actions:
            case Received(sender, ShareMessage() as message), [Persist(), *_]:
                self._beside(self._note(ShareReceived, sender, message.envelope.exchange, encode(message)))
        self.progress.waits_for = self._node.waits_for

    async def _perform(self, action: Action) -> None:
        match action:
            case Persist(snapshot):
                self.progress.phase, self.progress.round_index = snapshot.phase, snapshot.round_index
                kept = Kept(snapshot, self._trainer_state, self.progress.loss)
                self._writing = asyncio.create_task(asyncio.to_thread(self._journal.write, kept))
                hashing = asyncio.to_thread(_hash_shares, snapshot)  # while the disk is busy
                await asyncio.gather(asyncio.shield(self._writing), hashing)
            case Send(to, message):
                self._send(to, message)
            case Train():
                self._beside(self._train(action))
            case Finish(params):
                self._on_finish(params)
            case Judged(exchange, report):
                await self._note_judged(exchange, report)

    def _send(self, to: SiteId, message: Message) -> None:
        """Begin a hand-over, unless the same is still under way: the transport waits for a peer who is away."""
        key = (to, type(message), message.envelope.exchange)
        if key in self._sending:
            return
        self._sending.add(key)
        self._beside(self._hand_over(to, message)).add_done_callback(lambda _: self._sending.discard(key))

    async def _hand_over(self, to: SiteId, message: Message) -> None:
        frame = encode(message)
        await self._transport.send(to, frame)
        if isinstance(message, ShareMessage):
            await self._note(ShareSent, to, message.envelope.exchange, frame)

    async def _note(self, kind: type[ShareSent | ShareReceived], peer: SiteId, exchange: int, frame: Frame) -> None:
        """Note in the audit log that a share has left or come."""
        if self._audit is not None:
            sha256 = (await asyncio.to_thread(lambda: frame.body_sha256)).hex()
            entry = kind(peer=peer, exchange=exchange, size_bytes=frame.size_bytes, sha256=sha256)
            await asyncio.to_thread(self._audit.note, entry)

    async def _note_judged(self, exchange: int, report: Report) -> None:
        if report.refused:
            self._note_refusal(report.sender, ShareRefusedError(f"wanted a share to learn from; {report.refused}"))
        elif self._audit is not None:
            entry = Clipped(peer=report.sender, exchange=exchange, factor=report.factor, where=report.where)
            await asyncio.to_thread(self._audit.note, entry)

    async def _train(self, work: Train) -> None:
        began_s = time.monotonic()
        result = await asyncio.to_thread(
            self._trainer.fit,
            work.params,
            steps=self._local_steps,
            round_index=work.round_index,
            teachers=work.teachers,
        )
        self.progress.phase_s = time.monotonic() - began_s
        if result.began is not None:
            self._tell(
                f"the mean of round {work.round_index} is much worse on this site's own validation patients than its "
                "own model: it trained on from that one"
            )
        trained = Trained(work.round_index, result.params, work.params, result.began)
        await self._events.put(_PhaseEnded(trained, self._trainer.state(), result.loss))

    def _note_refusal(self, sender: SiteId, refusal: PeerError) -> None:
        self.progress.refusals[refusal.code] += 1
        self._tell(f"refused a message of site {sender}: {refusal}")
        if self._audit is not None:
            self._beside(asyncio.to_thread(self._audit.refuse, sender, refusal.code, str(refusal)))


def _hash_shares(snapshot: Snapshot) -> None:
    """Of what is about to be sent; sums are remembered (``wire.digests``)."""
    for outgoing in snapshot.outstanding:
        sha256_of(build_frame({}, outgoing.share.params).tensors)
