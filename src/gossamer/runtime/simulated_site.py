"""One hospital in a simulation: a node, a trainer, and a disk that survives power cuts."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gossamer.gossip.algorithm import Params
from gossamer.gossip.topology import SiteId
from gossamer.gossip.trainer import Trainer
from gossamer.node.agreement import Agreement
from gossamer.node.events import Train, Trained
from gossamer.node.kinds import node_from
from gossamer.node.node import Node
from gossamer.node.snapshot import Snapshot
from gossamer.runtime.journal import KEPT_KINDS, Kept

SITE_KINDS: tuple[type, ...] = (*KEPT_KINDS, Train)
"""The classes in a site's ``record``."""


class SimulatedSite:
    """Everything about one site. Without power it has no node, only its disk.

    Attributes:
        node: the state machine; None while the power is off.
        trainer: local training.
        trainer_state: the trainer's state after its last local phase; asked for once, however often it is kept.
        disk: what was persisted last.
        life: counts starts.
        training: the local phase that goes on, if one does.
        alarm_s: for when an alarm is noted, if one is.
        events: how many were handled, over all lives.
        loss: of the last local phase.
        bytes_sent: exact lengths of all frames sent.
        refusals: messages that were refused, by error code.
        clipped: shares of which the guard did not let in all, by sender.
        model: what the node finished with.
    """

    def __init__(self, node: Node, trainer: Trainer) -> None:
        self.name: SiteId = node.site
        self.agreement: Agreement = node.agreement
        self.node: Node | None = node
        self.trainer = trainer
        self.trainer_state = trainer.state()
        self.loss = 0.0
        self.disk = Kept(node.snapshot(), self.trainer_state, self.loss)
        self.life = 0
        self.training: Train | None = None
        self.alarm_s: float | None = None
        self.events = 0
        self.bytes_sent = 0
        self.refusals: Counter[str] = Counter()
        self.clipped: Counter[SiteId] = Counter()
        self.model: Params | None = None

    def persist(self, snapshot: Snapshot) -> None:
        """Put the node's snapshot on the disk, with the state of its trainer."""
        self.disk = Kept(snapshot, self.trainer_state, self.loss)

    def train(self, steps: int) -> Trained:
        """Do the local phase that goes on."""
        assert self.training is not None
        work, self.training = self.training, None
        result = self.trainer.fit(work.params, steps=steps, round_index=work.round_index, teachers=work.teachers)
        self.trainer_state = self.trainer.state()
        self.loss = result.loss
        return Trained(work.round_index, result.params, work.params, result.began)

    def lose_power(self) -> None:
        """Forget all that is not on the disk."""
        self.node = self.training = self.alarm_s = None

    def start_again(self) -> None:
        """Go on from the disk."""
        self.life += 1
        self.trainer_state, self.loss = self.disk.trainer_state, self.disk.loss
        self.trainer.restore(self.trainer_state)
        self.node = node_from(self.agreement, self.disk.snapshot)

    def record(self) -> tuple[Any, ...]:
        """All of it as a plain value."""
        live = self.node and self.node.snapshot()
        return (
            live, self.trainer_state, self.disk, self.life, self.training, self.alarm_s,
            self.events, self.loss, self.bytes_sent, self.refusals, self.clipped, self.model,
        )  # fmt: skip

    def load(self, record: tuple[Any, ...]) -> None:
        """Become what ``record`` was taken of."""
        (
            live, self.trainer_state, self.disk, self.life, self.training, self.alarm_s,
            self.events, self.loss, self.bytes_sent, refusals, clipped, self.model,
        ) = record  # fmt: skip
        self.refusals, self.clipped = Counter(refusals), Counter(clipped)
        self.node = node_from(self.agreement, live) if live else None
        self.trainer.restore(self.trainer_state)
