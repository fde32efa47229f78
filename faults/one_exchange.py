"""A site in one thread, whose system calls can be counted: the actions of its node in the order of ``SiteService``.

Its peer lives in the caller's process, in memory, and outlives it. What goes between them goes through a pipe; so the
peer knows, when the site is gone, what it had been promised.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from faults.processes import begin, pipe
from faults.sites import (
    MODEL,
    Federation,
    Plan,
    Promise,
    Undisturbed,
    Walking,
    in_digits,
    kept_by,
    lost_promises,
    said_file,
    undisturbed,
    wrong_counts,
)
from gossamer.atomic import write_atomically
from gossamer.errors import GossamerError
from gossamer.gossip import SiteId
from gossamer.gossip.algorithm import Params
from gossamer.node.events import Action, Event, Finish, PeerStarted, Persist, Received, Send, Started, Train, Trained
from gossamer.node.kinds import node_from
from gossamer.node.node import Node
from gossamer.runtime.audit import AuditLog, verify_audit
from gossamer.runtime.audit_entries import ShareReceived, ShareSent
from gossamer.runtime.journal import Journal, Kept
from gossamer.transport.identity import read_identity
from gossamer.wire.codec import decode, encode
from gossamer.wire.limits import Limits
from gossamer.wire.messages import Message, Notice, ShareMessage

ME, PEER = SiteId("A"), SiteId("B")

CALLS = "write,writev,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,fallocate"
"""All by which a file changes or becomes durable."""

PATIENCE_S = 120.0

Value = TypeVar("Value")

Fault = tuple[str, int, str]
"""System call, the how many-th of its name, and what happens then, as strace's ``inject`` has it."""


def strace_missing() -> str | None:
    """Why system calls cannot be tampered with here."""
    if shutil.which("strace") is None:
        return "strace is not installed (apt-get install strace)"
    tried = subprocess.run(["strace", "-e", "trace=fsync", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "strace may not trace here (ptrace is forbidden)"


@dataclass(frozen=True)
class Call:
    """One system call of an undisturbed life.

    Attributes:
        name: of the call.
        number: the how many-th of its name, from 1.
        is_on_disk: whether it is to a file, not to the peer.
    """

    name: str
    number: int
    is_on_disk: bool


@dataclass
class Talk:
    """The peer's side of a conversation, over all lives of the site."""

    node: Node
    trainer: Walking
    limits: Limits
    model: Params | None = None
    promised: list[Promise] = field(default_factory=list)

    def hand_in(self, event: Event, line: Connection | None) -> None:
        """Let the peer's node handle an event; its disk never fails."""
        for action in self.node.handle(event, 0.0):
            match action:
                case Send(_, message) if line is not None:
                    _put(line, message)
                case Train(round_index, params):
                    fit = self.trainer.fit(params, steps=2, round_index=round_index)
                    self.hand_in(Trained(round_index, fit.params, params), line)
                case Finish(params):
                    self.model = params

    def take(self, data: bytes, line: Connection) -> None:
        """A message from the site: a promise."""
        message = _read(data, self.limits)
        self.promised.append(Promise.of(message, PEER))
        self.hand_in(Received(ME, message), line)


@dataclass(frozen=True)
class Life:
    """How one process of the site ended.

    Attributes:
        status: its exit status; minus a signal's number.
        said: its last words, if it had any.
        calls: of the system, if they were listed.
    """

    status: int
    said: str
    calls: tuple[Call, ...]


class Pair:
    """The site's folder and its peer."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        """At the beginning."""
        self.plan = plan
        self.folder = folder / ME
        Federation(folder, plan)  # makes folders and keys
        node = plan.nodes()[PEER]
        state = node.snapshot().state
        self.peer = Talk(node, Walking(PEER, plan.seed), Limits.of(state.params, state.own))
        self.peer.hand_in(Started(), None)

    def live(self, fault: Fault | None = None, *, listed: bool = False) -> Life:
        """One life of the site's process.

        Args:
            fault: what happens at which call.
            listed: whether its calls are listed.
        """
        ours, theirs = pipe()
        process = begin(_live, self.folder, self.plan, theirs)
        theirs.close()
        ours.recv_bytes()  # it is there
        tracer = _attach(process.pid, self.folder.parent / "calls", fault) if fault or listed else None
        try:
            self._converse(ours)
        finally:
            ours.close()
            process.join(PATIENCE_S)
            process.kill()
            process.join()
            if tracer is not None:
                tracer.wait()
                assert tracer.stderr is not None
                tracer.stderr.close()
        said = said_file(self.folder)
        calls = _calls_in((self.folder.parent / "calls").read_text(), self.folder) if listed else ()
        return Life(int(process.exitcode or 0), said.read_text() if said.exists() else "", calls)

    def _converse(self, line: Connection) -> None:
        """Until the site is gone, or both have their models."""
        try:
            line.send_bytes(b"go")
            self.peer.hand_in(PeerStarted(ME), line)
            until_s = time.monotonic() + PATIENCE_S
            while not ((self.folder / MODEL).exists() and self.peer.model) and time.monotonic() < until_s:
                if line.poll(0.005):  # who writes its model says nothing more
                    self.peer.take(line.recv_bytes(), line)
        except (EOFError, ConnectionError):
            return

    def lost(self) -> int:
        """Promises that the stopped site's journal does not have; raises StorageError where it cannot be read."""
        return lost_promises(self.peer.promised, kept_by(self.folder))

    def wrong_at_the_end(self, expected: Undisturbed) -> Counter[str]:
        """What a pair that has ended shows to be wrong."""
        counts = wrong_counts(kept_by(self.folder), expected.absorbed[ME])
        counts += wrong_counts(self.peer.node.snapshot(), expected.absorbed[PEER])
        model = json.loads((self.folder / MODEL).read_text()) if (self.folder / MODEL).exists() else {}
        counts["other bits"] += model != expected.models[ME]
        counts["other bits"] += self.peer.model is None or in_digits(self.peer.model) != expected.models[PEER]
        verify_audit(self.folder)
        return counts


def calls_of_one_life(folder: Path, plan: Plan) -> tuple[Call, ...]:
    """The system calls of a life in which nothing goes wrong, from the start to both models."""
    pair = Pair(folder, plan)
    life = pair.live(listed=True)
    found = pair.wrong_at_the_end(undisturbed(plan))
    if life.status or found.total():
        raise AssertionError(f"wanted an undisturbed life; found status {life.status}, {dict(found)}; {life.said}")
    return life.calls


def _attach(pid: int | None, calls: Path, fault: Fault | None) -> subprocess.Popen[bytes]:
    command = ["strace", "-y", "-s", "0", "-o", str(calls), "-e", f"trace={CALLS}", "-p", str(pid)]
    if fault is not None:
        name, number, happening = fault
        command += ["-e", f"inject={name}:{happening}:when={number}"]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert tracer.stderr is not None
    if b"attached" not in (line := tracer.stderr.readline()):
        raise AssertionError(f"wanted strace to attach; found: {line.decode()}")
    return tracer


def _calls_in(listing: str, folder: Path) -> tuple[Call, ...]:
    """From strace's lines: ``fsync(7</site/A/audit.jsonl>) = 0``."""
    seen: Counter[str] = Counter()
    calls = []
    for line in listing.splitlines():
        if (found := re.match(r"(\w+)\((.*)", line)) is not None:
            seen[found[1]] += 1
            calls.append(Call(found[1], seen[found[1]], str(folder) in found[2]))
    return tuple(calls)


def _live(folder: Path, plan: Plan, line: Connection) -> None:
    """The site's process; an error on purpose ends it with its exit status, as the command line does."""
    line.send_bytes(b"here")
    line.recv_bytes()
    try:
        _Site(folder, plan, line).run()
    except GossamerError as error:
        said_file(folder).write_text(f"{error.code}: {error}")
        sys.exit(error.exit_status)


class _Site:
    """``SiteService`` without its threads."""

    def __init__(self, folder: Path, plan: Plan, line: Connection) -> None:
        self._folder, self._line = folder, line
        self._journal, self._trainer = Journal(folder), Walking(ME, plan.seed)
        self._audit = AuditLog(folder, read_identity(folder))
        node = plan.nodes()[ME]
        state = node.snapshot().state
        self._limits = Limits.of(state.params, state.own)
        if (kept := self._journal.read()) is not None:
            node = node_from(node.agreement, kept.snapshot)
            self._trainer.restore(kept.trainer_state)
        self._node, self._trainer_state = node, self._trainer.state()

    def run(self) -> None:
        """Until the peer hangs up."""
        self._hand_in(Started())
        while True:
            try:
                message = _read(self._line.recv_bytes(), self._limits)
            except (EOFError, ConnectionError):
                return
            self._hand_in(Received(PEER, message))

    def _hand_in(self, event: Event) -> None:
        actions = self._node.handle(event, 0.0)
        for action in actions:
            self._perform(action)
        match event, actions:
            case Received(sender, ShareMessage() as message), [Persist(), *_]:
                self._note(ShareReceived, sender, message)

    def _perform(self, action: Action) -> None:
        match action:
            case Persist(snapshot):
                self._journal.write(Kept(snapshot, self._trainer_state, 0.0))
            case Send(to, message):
                _put(self._line, message)
                if isinstance(message, ShareMessage):
                    self._note(ShareSent, to, message)
            case Train(round_index, params):
                fit = self._trainer.fit(params, steps=2, round_index=round_index)
                self._trainer_state = self._trainer.state()
                self._hand_in(Trained(round_index, fit.params, params))
            case Finish(params):
                write_atomically(self._folder / MODEL, json.dumps(in_digits(params)))

    def _note(self, kind: type[ShareSent | ShareReceived], peer: SiteId, message: ShareMessage) -> None:
        frame = encode(message)
        sha256 = frame.body_sha256.hex()
        self._audit.note(
            kind(peer=peer, exchange=message.envelope.exchange, size_bytes=frame.size_bytes, sha256=sha256)
        )


def _put(line: Connection, message: Message) -> None:
    try:
        line.send_bytes(encode(message).to_bytes())
    except ConnectionError:
        return  # as on any line, it may be lost


def _read(data: bytes, limits: Limits) -> Message:
    message = decode(bytearray(data), limits)
    assert not isinstance(message, Notice)
    return message


def spread(values: Iterable[Value], most: int) -> list[Value]:
    """At most so many, evenly over all."""
    every = list(values)
    return every if len(every) <= most else [every[k * len(every) // most] for k in range(most)]
