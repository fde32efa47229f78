"""A whole federation in one process, on a virtual clock: the very nodes, messages and frames of real hospitals.

Law
    The same nodes, trainers, network, faults and seed give the same bits: models, bytes, times. In lockstep the models
    do not even depend on network, faults and seed. A simulation that is stopped at any moment and restored from its
    last checkpoint ends with the bits of one that was not.

One thing happens at a time. Local training takes its time on the virtual clock when it begins, and is computed when
it ends, so that no result waits in memory. Frames are really encoded and decoded, so their lengths are exact; their
tensors are handed over in the memory they are in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossamer.atomic import storage_error, write_atomically
from gossamer.errors import PeerError, ScheduleError, StorageError
from gossamer.gossip.algorithm import Params
from gossamer.gossip.topology import SiteId
from gossamer.gossip.trainer import Trainer
from gossamer.node.events import Action, Event, Finish, Judged, Persist, Received, Send, Started, Train, Woke
from gossamer.node.node import Node
from gossamer.node.policy import refuse_unless_finite
from gossamer.runtime.agenda import HAPPENINGS, Agenda, Alarm, Delivery, Happening, PowerIsBack, TrainingEnds
from gossamer.runtime.faults import FaultPlan
from gossamer.runtime.machines import FETS, Machines
from gossamer.runtime.network import Carrier, Network
from gossamer.runtime.rounds import RoundBook, RoundReport
from gossamer.runtime.simulated_site import SITE_KINDS, SimulatedSite
from gossamer.wire.codec import decode, encode
from gossamer.wire.frame import Buffer, Frame, wire_error
from gossamer.wire.limits import Limits
from gossamer.wire.messages import Message, Notice, ShareMessage
from gossamer.wire.values import pack, unpack

STALLED_S = 90 * 24 * 3600.0
"""After a quarter of a year in which no site got on, none will."""

_KINDS = (*SITE_KINDS, *HAPPENINGS)


@dataclass(frozen=True, eq=False)
class SimulationResult:
    """How a federation ended.

    Attributes:
        params: each site's model.
        bytes_sent: by each site: exact lengths of all frames, receipts and what was sent again included.
        rounds: local phases of each site.
        virtual_s: how long it took on the virtual clock.
        refusals: by site, how many messages were refused, by error code.
        clipped: by site, of how many shares the guard did not let in all, by sender.
    """

    params: Mapping[SiteId, Params]
    bytes_sent: Mapping[SiteId, int]
    rounds: int
    virtual_s: float
    refusals: Mapping[SiteId, Mapping[str, int]]
    clipped: Mapping[SiteId, Mapping[SiteId, int]]


class Simulation:
    """Runs nodes to their end; see the law above."""

    def __init__(
        self,
        nodes: Sequence[Node],
        trainers: Mapping[SiteId, Trainer],
        *,
        local_steps: int,
        machines: Machines = FETS,
        step_s: Mapping[SiteId, float] | None = None,
        network: Network | None = None,
        faults: FaultPlan | None = None,
        seed: int = 0,
    ) -> None:
        """Start all sites at time 0.

        Args:
            nodes: one for each site of the schedule, at the beginning.
            trainers: by site.
            local_steps: optimiser steps of a local phase.
            machines: clocks and lines.
            step_s: virtual seconds of an optimiser step, by site; by default as ``machines`` has them.
            network: the lines; likewise, without loss.
            faults: what else goes wrong; nothing by default.
            seed: of the network's chance.

        Raises:
            ScheduleError: nodes or trainers are not those of the schedule's sites.
        """
        in_order = sorted(nodes, key=lambda node: node.site)
        _require_all_sites(in_order, trainers)
        state = in_order[0].snapshot().state
        self._limits = Limits.of(state.params, state.own)
        self._agreement = in_order[0].agreement
        self._local_steps = local_steps
        self._sites = {node.site: SimulatedSite(node, trainers[node.site]) for node in in_order}
        self._step_s = step_s or machines.step_s(self._sites)
        self._carrier = Carrier(network or machines.network(self._sites, self._limits.frame_bytes), seed)
        self._faults = faults or FaultPlan()
        self._cuts = {(cut.site, cut.event): cut for cut in self._faults.power_cuts}
        self._agenda = Agenda()
        self._book = RoundBook(len(self._sites))
        self._got_on_s = 0.0
        for name in self._sites:
            self._agenda.note(0.0, PowerIsBack(name))

    def run(
        self,
        on_round: Callable[[RoundReport], None] = lambda _: None,
        *,
        checkpoint: Path | None = None,
        checkpoint_every_rounds: int = 1,
    ) -> SimulationResult:
        """Run to the end.

        Args:
            on_round: told of every round that all sites have ended. After an interruption it may be told again of
                rounds since the last checkpoint, with the same bits.
            checkpoint: file to go on from if it is there, and to write now and then.
            checkpoint_every_rounds: how often.

        Raises:
            ScheduleError: the sites cannot go on.
            StorageError: the checkpoint cannot be written, is damaged, or is of another simulation.
        """
        if checkpoint is not None and checkpoint.exists():
            self.restore(_read(checkpoint))
        while self.step():
            while (report := self._book.take_complete(self.bytes_sent, self._agenda.now_s)) is not None:
                on_round(report)
                if checkpoint is not None and self._book.complete % checkpoint_every_rounds == 0:
                    write_atomically(checkpoint, self.checkpoint().pieces())
        return self.result()

    def step(self) -> bool:
        """Let the next thing happen; False when all sites have finished.

        Raises:
            ScheduleError: the sites cannot go on.
        """
        if all(site.model is not None for site in self._sites.values()):
            return False
        happening = self._agenda.next()
        if happening is None or self._agenda.now_s - self._got_on_s > STALLED_S:
            raise self._stalled()
        self._let(happening)
        return True

    @property
    def bytes_sent(self) -> dict[SiteId, int]:
        """By each site so far."""
        return {name: site.bytes_sent for name, site in self._sites.items()}

    def put_on_line(self, sender: SiteId, receiver: SiteId, frame: bytes) -> None:
        """Let the receiver get bytes that no node made: what a broken or hostile site sends."""
        self._agenda.note(self._agenda.now_s, Delivery(sender, receiver, frame))

    def checkpoint(self) -> Frame:
        """The whole simulation between two happenings; no tensor is copied."""
        return pack(
            (
                self._fingerprint(),
                self._agenda.record(),
                self._carrier.record(),
                self._book.record(),
                self._got_on_s,
                tuple(site.record() for site in self._sites.values()),
            ),
            _KINDS,
        )

    def restore(self, data: Frame | Buffer) -> None:
        """Go on from a checkpoint of a simulation that was set up like this one.

        Raises:
            StorageError: it is damaged, or of another simulation.
        """
        record = unpack(data, _KINDS)
        if not isinstance(record, tuple) or record[:1] != (self._fingerprint(),):
            raise StorageError(
                "wanted a checkpoint of this simulation; found one of other sites, settings or seeds, in its folder; "
                "give each simulation a folder of its own, or remove the checkpoint to begin anew"
            )
        _, agenda, carrier, book, self._got_on_s, sites = record
        self._agenda.load(agenda)
        self._carrier.load(carrier)
        self._book.load(book)
        for site, record in zip(self._sites.values(), sites, strict=True):
            site.load(record)

    def _let(self, happening: Happening) -> None:
        match happening:
            case PowerIsBack(name):
                site = self._sites[name]
                site.start_again()
                self._hand_in(site, Started())
            case TrainingEnds(name, life):
                site = self._sites[name]
                if site.life == life and site.training is not None:
                    self._hand_in(site, site.train(self._local_steps))
            case Alarm(name, life, at_s):
                self._ring(self._sites[name], life, at_s)
            case Delivery(sender, receiver, frame):
                self._deliver(sender, self._sites[receiver], frame)

    def _ring(self, site: SimulatedSite, life: int, at_s: float) -> None:
        if site.node is None or (site.life, site.alarm_s) != (life, at_s):
            return
        site.alarm_s = None
        wake_at_s = site.node.wake_at_s
        if wake_at_s is not None and wake_at_s <= self._agenda.now_s:
            self._hand_in(site, Woke())
        else:
            self._set_alarm(site)

    def _deliver(self, sender: SiteId, site: SimulatedSite, frame: Frame | bytes) -> None:
        if site.node is None or self._faults.is_cut_off(site.name, self._agenda.now_s):
            return
        try:
            message = decode(frame, self._limits)
            if isinstance(message, Notice):
                raise wire_error("kind", "a message to the node", "notice")
            if isinstance(message, ShareMessage) and self._agreement.guard is None:
                refuse_unless_finite(message)  # a guard keeps the mass that comes with it
            self._hand_in(site, Received(sender, message))
        except PeerError as refusal:
            site.refusals[refusal.code] += 1

    def _hand_in(self, site: SimulatedSite, event: Event) -> None:
        """Let the node handle an event and perform what it asks for, unless the power fails on the way."""
        assert site.node is not None
        actions = site.node.handle(event, self._agenda.now_s)
        cut = self._cuts.get((site.name, site.events))
        site.events += 1
        for action in actions if cut is None else actions[: cut.actions]:
            self._perform(site, action)
        if cut is None:
            self._set_alarm(site)
        else:
            site.lose_power()
            self._agenda.note(self._agenda.now_s + cut.down_s, PowerIsBack(site.name))

    def _perform(self, site: SimulatedSite, action: Action) -> None:
        match action:
            case Persist(snapshot):
                site.persist(snapshot)
            case Send(to, message):
                self._send(site, to, message)
            case Train(round_index, params):
                self._book.enter(round_index - 1, site.name, params, site.loss)
                site.training = action
                duration_s = self._local_steps * self._step_s[site.name]
                self._agenda.note(self._agenda.now_s + duration_s, TrainingEnds(site.name, site.life))
                self._got_on_s = self._agenda.now_s + duration_s
            case Finish(params):
                self._book.enter(self._agreement.rounds - 1, site.name, params, site.loss)
                site.model = params
                self._got_on_s = self._agenda.now_s
            case Judged(_, report):
                site.clipped[report.sender] += 1

    def _send(self, site: SimulatedSite, to: SiteId, message: Message) -> None:
        frame = encode(message)
        site.bytes_sent += frame.size_bytes
        now_s = self._agenda.now_s
        arrivals_s = self._carrier.arrivals_s(site.name, to, frame.size_bytes, now_s)
        if not self._faults.is_cut_off(site.name, now_s):
            for at_s in arrivals_s:
                self._agenda.note(at_s, Delivery(site.name, to, frame))

    def _set_alarm(self, site: SimulatedSite) -> None:
        """Note when the node wants to be woken, unless an earlier alarm will ask again."""
        wake_at_s = site.node.wake_at_s if site.node else None
        if wake_at_s is not None and (site.alarm_s is None or wake_at_s < site.alarm_s):
            site.alarm_s = wake_at_s
            self._agenda.note(wake_at_s, Alarm(site.name, site.life, wake_at_s))

    def result(self) -> SimulationResult:
        """How it ended; sites that have not finished have no model in it."""
        return SimulationResult(
            {name: site.model for name, site in self._sites.items() if site.model is not None},
            self.bytes_sent,
            self._agreement.rounds,
            self._agenda.now_s,
            {name: dict(site.refusals) for name, site in self._sites.items()},
            {name: dict(site.clipped) for name, site in self._sites.items()},
        )

    def _fingerprint(self) -> dict[str, Any]:
        """What a checkpoint and the simulation it is given to must have in common."""
        return {
            "federation": self._agreement.federation,
            "rounds": self._agreement.rounds,
            "local_steps": self._local_steps,
            "sites": tuple(self._sites),
            "step_s": dict(self._step_s),
            "faults": repr(self._faults),
            "network": self._carrier.description,
        }

    def _stalled(self) -> ScheduleError:
        waits = {
            name: ", ".join(site.node.waits_for) if site.node else "power"
            for name, site in self._sites.items()
            if site.model is None
        }
        listed = "; ".join(f"{name} waits for {whom or 'nobody'}" for name, whom in list(waits.items())[:5])
        return ScheduleError(
            f"wanted all sites to finish; found no progress since {self._got_on_s:.0f} virtual s ({listed}); "
            "a line that loses everything, or shares that are always refused? look at the refusals and the network"
        )


def _require_all_sites(nodes: Sequence[Node], trainers: Mapping[SiteId, Trainer]) -> None:
    wanted = nodes[0].agreement.topology.sites if nodes else ()
    found = tuple(node.site for node in nodes)
    if not nodes or found != wanted or set(trainers) != set(wanted):
        raise ScheduleError(
            f"wanted a node and a trainer for each site of the schedule ({', '.join(wanted)}); found nodes for "
            f"{', '.join(found)} and trainers for {', '.join(sorted(trainers))}; make both from the schedule's sites"
        )


def _read(path: Path) -> bytearray:
    """A file in memory that tensors may share."""
    try:
        data = bytearray(path.stat().st_size)
        with path.open("rb") as file:
            file.readinto(data)
    except OSError as error:
        raise storage_error(error, f"wanted to read {path.name}") from error
    return data
