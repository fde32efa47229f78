"""Nodes of a tiny model, and a fake link between them on which anything but alteration can happen."""

import random
from collections import Counter, deque

import pytest
import torch

from gossamer.gossip import Mass, Share, SiteId, build_gossip, build_topology
from gossamer.node.agreement import Agreement
from gossamer.node.events import Finish, Persist, Received, Send, Started, Train, Trained, Woke
from gossamer.node.kinds import make_node, node_from
from gossamer.node.node import Node
from gossamer.node.snapshot import SNAPSHOT_KINDS
from gossamer.wire.codec import decode, encode
from gossamer.wire.limits import Limits
from gossamer.wire.messages import Envelope, Receipt, ShareMessage
from gossamer.wire.values import pack, unpack

FEDERATION = "f" * 64
ACTION_KINDS = (*SNAPSHOT_KINDS, Persist, Send, Train, Finish, Envelope, Receipt, ShareMessage)


def agree_on(sites="AB", algorithm="sweep", topology=None, *, rounds=2, federation=FEDERATION, **settings):
    names = [SiteId(site) for site in sites]
    chosen, schedule = build_gossip(algorithm, names, 5, topology=topology, topology_settings=settings or None)
    return Agreement(federation, chosen, schedule, rounds, resend_after_s=10.0)


def node_at(agreement, site, *, cases=1.0, value=0.0):
    """One number, and one row of masses."""
    params = {"x": torch.tensor([value, -value]), "rows": torch.full((2,), value)}
    return make_node(SiteId(site), agreement, Mass(cases, {"rows": (cases, 0.0)}), params)


def picture_of(value):
    """A node's whole state, or actions, to the bit."""
    return pack(value.snapshot() if isinstance(value, Node) else tuple(value), ACTION_KINDS).to_bytes()


class FakeLink:
    """All sites of an agreement, driven in a random order: loss, repeats, reordering, late timers, power cuts.

    Every disk write is packed to bytes and every message encoded, as at a real site. ``watch`` is told of every call.
    """

    def __init__(self, agreement, seed, *, loss=0.0, repeats=0.0, power_cuts=0.0, watch=None):
        self.agreement, self.chance, self.now = agreement, random.Random(seed), 0.0
        self.loss, self.repeats, self.power_cuts = loss, repeats, power_cuts
        # Each start sends all outstanding again; without an end to the cuts, messages would only ever grow in number.
        self.cuts_left = 15
        self.watch = watch or (lambda node, event, now, actions: None)
        self.flying, self.work, self.finished, self.events = [], {}, {}, Counter()
        self.nodes = {site: node_at(agreement, site, cases=1.0 + k) for k, site in enumerate(agreement.topology.sites)}
        state = next(iter(self.nodes.values())).snapshot().state
        self.limits = Limits.of(state.params, state.own)
        self.disks = {site: self._packed(node.snapshot()) for site, node in self.nodes.items()}
        for site in self.nodes:
            self.hand_in(site, Started())

    def run(self, most_events=5_000):
        """Until all have finished and nothing more can happen."""
        while len(self.finished) < len(self.nodes) or self.flying or any(n.wake_at_s for n in self.nodes.values()):
            assert sum(self.events.values()) < most_events, "the sites do not come to an end"
            self.step()
        return self

    def step(self):
        """Something that can happen: mostly a message or an end of training, a timer only now and then."""
        able = deque()
        if self.flying:
            able.append("deliver")
        if self.work:
            able.append("train")
        sleepers = {site: n.wake_at_s for site, n in self.nodes.items() if n.wake_at_s is not None}
        if sleepers and (not able or self.chance.random() < 0.1):
            site = min(sleepers, key=sleepers.get)
            self.now = max(self.now, sleepers[site])
            self.hand_in(site, Woke())
        elif self.chance.choice(able) == "deliver":
            sender, to, frame = self.flying.pop(self.chance.randrange(len(self.flying)))
            self.hand_in(to, Received(sender, decode(frame, self.limits)))
        else:
            site = self.chance.choice(sorted(self.work))
            work = self.work.pop(site)
            self.hand_in(site, Trained(work.round_index, trained(site, work), work.params))
        self.now += 1.0

    def hand_in(self, site, event):
        self.events[site] += 1
        node = self.nodes[site]
        actions = node.handle(event, self.now)
        self.watch(node, event, self.now, actions)
        fails = self.cuts_left > 0 and self.chance.random() < self.power_cuts
        cut = self.chance.randrange(len(actions) + 1) if fails else None
        for action in actions[:cut]:
            self._perform(site, action)
        if cut is not None:
            self.cuts_left -= 1
            self.work.pop(site, None)
            snapshot = unpack(self.disks[site], SNAPSHOT_KINDS)
            self.nodes[site] = node_from(self.agreement, snapshot)
            self.hand_in(site, Started())

    def _perform(self, site, action):
        match action:
            case Persist(snapshot):
                self.disks[site] = self._packed(snapshot)
            case Send(to, message):
                for _ in range(
                    0 if self.chance.random() < self.loss else 2 if self.chance.random() < self.repeats else 1
                ):
                    self.flying.append((site, to, encode(message).to_bytes()))
            case Train():
                self.work[site] = action
            case Finish(params):
                self.finished[site] = params

    def _packed(self, snapshot):
        return pack(snapshot, SNAPSHOT_KINDS).to_bytes()


def trained(site, work):
    """A local phase that depends on the site, the round and where it began."""
    push = (ord(site[-1]) % 7 + 1) * (work.round_index + 1) / 8
    return {name: tensor * 0.75 + push for name, tensor in work.params.items()}


@pytest.fixture(scope="session")
def agree():
    return agree_on


@pytest.fixture(scope="session")
def new_node():
    return node_at


@pytest.fixture(scope="session")
def picture():
    return picture_of


@pytest.fixture(scope="session")
def fake_link():
    return FakeLink


@pytest.fixture(scope="session")
def train():
    return trained


@pytest.fixture(scope="session")
def mesh():
    return lambda sites, **settings: build_topology("mesh", [SiteId(site) for site in sites], 0, **settings)


@pytest.fixture(scope="session")
def share_from():
    """A share of the tiny model, as another site would send it."""

    def build(sender, to, exchange, value=1.0, *, mass=1.0, federation=FEDERATION, attempt=0):
        params = {"x": torch.tensor([value, -value]), "rows": torch.full((2,), value)}
        envelope = Envelope(federation, SiteId(sender), SiteId(to), exchange)
        return ShareMessage(envelope, Share(params, Mass(mass, {"rows": (mass, 0.0)})), attempt)

    return build


@pytest.fixture(scope="session")
def receipt_from():
    def build(sender, to, exchange, *, federation=FEDERATION):
        return Receipt(Envelope(federation, SiteId(sender), SiteId(to), exchange))

    return build
