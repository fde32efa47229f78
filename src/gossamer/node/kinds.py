"""The node that an agreement asks for."""

from __future__ import annotations

from gossamer.gossip.algorithm import Mass, Params
from gossamer.gossip.choices import Pace
from gossamer.gossip.topology import SiteId
from gossamer.node.agreement import Agreement
from gossamer.node.asynchronous import AsynchronousNode
from gossamer.node.lockstep import LockstepNode
from gossamer.node.node import Node
from gossamer.node.snapshot import Snapshot

KINDS: dict[Pace, type[Node]] = {"asynchronous": AsynchronousNode, "lockstep": LockstepNode}


def make_node(site: SiteId, agreement: Agreement, own: Mass, params: Params) -> Node:
    """A site at the very beginning; see ``Node``.

    Raises:
        ScheduleError: the site is not in the schedule, or parameters and mass do not fit.
    """
    return KINDS[agreement.pace](site, agreement, own, params)


def node_from(agreement: Agreement, snapshot: Snapshot) -> Node:
    """The node that made the snapshot; after a stop, its next event is ``Started``.

    Raises:
        StorageError: the snapshot is of another federation.
    """
    node = make_node(snapshot.site, agreement, snapshot.state.own, snapshot.state.params)
    node.resume(snapshot)
    return node
