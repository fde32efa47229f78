"""Real sites, small: processes on loopback with mutual TLS, a disk, a journal and an audit log.

Each site writes down, outside its journal and before it is on a line, what it promises its peers. Appending to a file
outlives a SIGKILL without fsync; so the promises of a killed site can be held against what its journal has.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from faults.ports import own_address
from faults.processes import begin
from gossamer.atomic import write_atomically
from gossamer.errors import GossamerError
from gossamer.gossip import Mass, SiteId, TrainerState, TrainResult, build_gossip
from gossamer.gossip.algorithm import Params
from gossamer.gossip.choices import Pace
from gossamer.node.agreement import Agreement
from gossamer.node.kinds import make_node
from gossamer.node.node import Node
from gossamer.node.snapshot import Snapshot
from gossamer.runtime.audit import AuditLog
from gossamer.runtime.journal import Journal, Kept
from gossamer.runtime.service import SiteService
from gossamer.runtime.simulation import Simulation
from gossamer.transport.grpc_lines import GrpcTransport, Peer
from gossamer.transport.identity import (
    Identity,
    new_identity,
    new_tls_certificate,
    read_certificate,
    read_identity,
    write_identity,
)
from gossamer.transport.line_messages import Hello
from gossamer.wire.codec import decode
from gossamer.wire.frame import Frame
from gossamer.wire.limits import Limits
from gossamer.wire.messages import Message, Notice, ShareMessage

MODEL = "model"

ALGORITHMS: dict[Pace, str] = {"lockstep": "sweep", "asynchronous": "pushsum"}


@dataclass(frozen=True)
class Plan:
    """What the sites of a small federation agree on.

    Attributes:
        sites: how many.
        rounds: R.
        seed: of schedule and trainers.
        pace: of the nodes.
        numbers: of the model's body.
        fit_s: how long a local phase sleeps.
        writes_late: the control: a journal that says each record is durable and writes only a process's first one.
    """

    sites: int = 4
    rounds: int = 20
    seed: int = 0
    pace: Pace = "lockstep"
    numbers: int = 4
    fit_s: float = 0.0
    writes_late: bool = False

    @property
    def names(self) -> tuple[SiteId, ...]:
        """A, B, ..."""
        return tuple(SiteId(chr(ord("A") + k)) for k in range(self.sites))

    def nodes(self) -> dict[SiteId, Node]:
        """At their beginning. A share is sent again after an hour: only what a peer's start brings comes again."""
        algorithm, topology = build_gossip(ALGORITHMS[self.pace], self.names, self.seed)
        agreement = Agreement(f"{self.seed:064x}", algorithm, topology, self.rounds, pace=self.pace)
        params = {"body": torch.linspace(-1, 1, self.numbers), "head": torch.ones(2, 3)}
        return {
            name: make_node(name, agreement, Mass(1.0 + k, {"head": (1.0 + k, float(k % 2))}), params)
            for k, name in enumerate(self.names)
        }


class Walking:
    """A trainer whose noise follows from all local phases that the disk kept: one forgotten or repeated shows."""

    def __init__(self, site: str, seed: int, fit_s: float = 0.0) -> None:
        self._site, self._seed, self._fit_s = site, seed, fit_s
        self._walk, self._phases = torch.zeros(2), 0

    def fit(self, params: Params, *, steps: int, round_index: int, teachers: Sequence[Params] = ()) -> TrainResult:
        """See ``Trainer``."""
        time.sleep(self._fit_s)
        seed = zlib.crc32(repr((self._site, self._seed, round_index, self._phases)).encode())
        self._walk = 0.9 * self._walk + torch.randn(2, generator=torch.Generator().manual_seed(seed))
        self._phases += 1
        moved = {name: 0.875 * tensor + self._walk[0] for name, tensor in params.items()}
        return TrainResult(moved, steps, 2 * steps, float(self._walk[1]))

    def state(self) -> TrainerState:
        """See ``Trainer``."""
        return TrainerState({"walk": self._walk}, {"phases": self._phases})

    def restore(self, state: TrainerState) -> None:
        """See ``Trainer``."""
        self._walk, self._phases = state.tensors["walk"], int(state.values["phases"])


@dataclass(frozen=True)
class Undisturbed:
    """The models in digits that a simulation ends with; by site, how many shares of each peer the calendar has."""

    models: Mapping[str, Mapping[str, str]]
    absorbed: Mapping[str, Mapping[str, int]]


def undisturbed(plan: Plan) -> Undisturbed:
    """Simulate a plan in lockstep; nothing goes wrong."""
    nodes = plan.nodes()
    trainers = {name: Walking(name, plan.seed) for name in nodes}
    result = Simulation(list(nodes.values()), trainers, local_steps=2).run()
    agreement = nodes[plan.names[0]].agreement
    absorbed = {
        str(name): Counter(
            str(sender)
            for exchange in range(agreement.exchanges)
            for sender in agreement.topology.senders(name, exchange)
            if sender != name
        )
        for name in nodes
    }
    return Undisturbed({str(name): in_digits(model) for name, model in result.params.items()}, absorbed)


def in_digits(model: Params) -> dict[str, str]:
    """A model to the bit, as text."""
    return {key: tensor.numpy().tobytes().hex() for key, tensor in model.items()}


def promises_file(folder: Path) -> Path:
    """What the site with this folder promised; beside the folder, whose disk may be full."""
    return folder.with_name(f"{folder.name}.promises")


def said_file(folder: Path) -> Path:
    """What its processes printed."""
    return folder.with_name(f"{folder.name}.said")


class Federation:
    """Folders, keys and addresses of the sites of a plan, and their processes."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        """Make the folders; nothing runs yet."""
        self.plan, self.folder = plan, folder
        self._running: dict[str, Any] = {}
        identities, ports = {}, {}
        for at, name in enumerate(plan.names, start=1):
            (folder / name).mkdir(parents=True)
            identities[name] = new_identity(name)
            write_identity(identities[name], folder / name)
            ports[name] = own_address(f"127.0.0.{at}")
        self._roster = {name: (identities[name].pem, ports[name]) for name in plan.names}

    def start(self, name: str) -> int:
        """Let a site's process begin; returns its id."""
        process = begin(_live, self.folder / name, self.plan, name, self._roster)
        self._running[name] = process
        return int(process.pid or 0)

    def kill(self, name: str) -> None:
        """SIGKILL, and wait until it is gone."""
        process = self._running.pop(name)
        process.kill()
        process.join()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start all; none is left at the end."""
        try:
            for name in self.plan.names:
                self.start(name)
            yield
        finally:
            for started in list(self._running):
                self.kill(started)

    def ended(self) -> dict[str, int]:
        """Processes that ended by themselves, with their exit status."""
        return {name: process.exitcode for name, process in self._running.items() if process.exitcode is not None}

    def wait_for_end(self, name: str, seconds: float) -> int | None:
        """A process's exit status; None if it has not ended by then."""
        self._running[name].join(seconds)
        status: int | None = self._running[name].exitcode
        return status

    def said(self, name: str) -> str:
        """What a site's process printed."""
        return said_file(self.folder / name).read_text()

    def models(self) -> dict[str, dict[str, str]]:
        """In digits, of the sites that have one."""
        found = {name: self.folder / name / MODEL for name in self.plan.names}
        return {name: json.loads(path.read_text()) for name, path in found.items() if path.exists()}

    def promises(self) -> int:
        """How many all sites have given so far."""
        files = (promises_file(self.folder / name) for name in self.plan.names)
        return sum(path.read_bytes().count(b"\n") for path in files if path.exists())

    def wait_for_promises(self, count: int, seconds: float) -> None:
        """Until so many were given, none is left to give, or time is up."""
        until_s = time.monotonic() + seconds
        while self.promises() < count and time.monotonic() < until_s and len(self.models()) < self.plan.sites:
            time.sleep(0.001)

    def wait_for_models(self, seconds: float) -> bool:
        """Whether all sites had one in time."""
        until_s = time.monotonic() + seconds
        while len(self.models()) < self.plan.sites:
            if time.monotonic() > until_s or self.ended():
                return False
            time.sleep(0.02)
        return True


@dataclass(frozen=True)
class Promise:
    """A message that went out: to a share of an exchange there is no other, and a receipt says that one is kept."""

    kind: str
    exchange: int
    peer: str

    @classmethod
    def of(cls, message: Message, peer: str) -> Promise:
        """Of a message to a peer."""
        return cls("share" if isinstance(message, ShareMessage) else "receipt", message.envelope.exchange, peer)

    def is_kept_by(self, snapshot: Snapshot | None) -> bool:
        """Whether a journal in lockstep has it: the exchange was begun; the peer's share is in, or absorbed."""
        if snapshot is None:
            return False
        if self.kind == "share":
            return snapshot.exchange + (snapshot.phase == "exchanging") > self.exchange
        return snapshot.exchange > self.exchange or self.peer in snapshot.inbox.get(self.exchange, {})


def lost_promises(promises: Iterable[Promise], snapshot: Snapshot | None) -> int:
    """How many of what a site promised its journal does not have."""
    return sum(not promise.is_kept_by(snapshot) for promise in promises)


def promises_in(folder: Path) -> list[Promise]:
    """What a site's process wrote down."""
    path = promises_file(folder)
    lines = path.read_text().splitlines() if path.exists() else []
    return [Promise(kind, int(exchange), peer) for kind, exchange, peer in map(str.split, lines)]


def wrong_counts(snapshot: Snapshot | None, expected: Mapping[str, int]) -> Counter[str]:
    """Shares that a site at its end has absorbed too seldom or too often, held against the calendar."""
    counts: Counter[str] = Counter()
    for peer, times in expected.items():
        found = 0 if snapshot is None else snapshot.absorbed.get(SiteId(peer), 0)
        counts["lost"] += max(0, times - found)
        counts["twice"] += max(0, found - times)
    return counts


class _LateJournal(Journal):
    """Breaks the law: of what it was given only the first record is on the disk when ``write`` returns."""

    _has_written = False

    def write(self, kept: Kept) -> None:
        if not self._has_written:
            super().write(kept)
        self._has_written = True


class _WrittenDown(GrpcTransport):
    """Notes each promise before it is on a line."""

    promises: Path
    limits: Limits

    async def send(self, to: SiteId, frame: Frame) -> None:
        message = decode(frame, self.limits)
        assert not isinstance(message, Notice)
        promise = Promise.of(message, to)
        descriptor = os.open(self.promises, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{promise.kind} {promise.exchange} {promise.peer}\n".encode())
        os.close(descriptor)
        await super().send(to, frame)


def _live(folder: Path, plan: Plan, name: str, roster: Mapping[str, tuple[str, str]]) -> None:
    """One life of a site's process; an error on purpose ends it with its exit status, as the command line does."""
    said = os.open(said_file(folder), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(said, descriptor)
    torch.set_num_threads(1)
    try:
        asyncio.run(live(folder, plan, SiteId(name), roster))
    except GossamerError as error:
        print(f"{error.code}: {error}", flush=True)
        sys.exit(error.exit_status)


async def live(folder: Path, plan: Plan, me: SiteId, roster: Mapping[str, tuple[str, str]]) -> None:
    """Serve until cancelled.

    Args:
        folder: of this site.
        plan: of the federation.
        me: this site.
        roster: of every site, certificate and address.
    """
    node, identity = plan.nodes()[me], read_identity(folder)
    peers = {
        SiteId(name): Peer(SiteId(name), read_certificate(pem, name), address)
        for name, (pem, address) in roster.items()
    }
    transport = _transport(folder, node, identity, peers)

    def finish(model: Params) -> None:
        write_atomically(folder / MODEL, json.dumps(in_digits(model)))

    service = SiteService(
        node,
        Walking(me, plan.seed, plan.fit_s),
        transport,
        _LateJournal(folder) if plan.writes_late else Journal(folder),
        local_steps=2,
        audit=AuditLog(folder, identity),
        tell=lambda line: print(line, flush=True),
    )
    transport.on_peer_started = service.peer_started
    try:
        await transport.start()
        await service.run(finish)
    finally:
        await transport.close()


def _transport(folder: Path, node: Node, identity: Identity, peers: dict[SiteId, Peer]) -> GrpcTransport:
    me = peers.pop(node.site)
    tls, state = new_tls_certificate(identity), node.snapshot().state
    transport = _WrittenDown(
        me,
        peers,
        certificate=lambda: tls,
        hello=Hello(protocols=(1,), release="faults", federation=node.agreement.federation),
        limits=Limits.of(state.params, state.own),
        folder=folder / "incoming",
        listen=me.address,
    )
    transport.promises, transport.limits = promises_file(folder), Limits.of(state.params, state.own)
    return transport


def kept_by(folder: Path) -> Snapshot | None:
    """What a stopped site's journal has; raises StorageError where it cannot be read."""
    kept = Journal(folder).read()
    return None if kept is None else kept.snapshot


def differing(found: Mapping[str, Any], expected: Mapping[str, Any], sites: Collection[str]) -> int:
    """How many sites' values are not those expected."""
    return sum(found.get(site) != expected[site] for site in sites)
