"""A node comes back from its snapshot, and from the bytes of it, as the one that made it."""

import pytest

from gossamer.errors import ScheduleError, StorageError
from gossamer.node.kinds import node_from
from gossamer.node.snapshot import SNAPSHOT_KINDS
from gossamer.wire.values import pack, unpack

FEDERATIONS = [
    ("AB", "sweep", None), ("ABCD", "sweep", "hypercube"), ("ABC", "sweep", "base"),
    ("ABC", "pushsum", "exponential"), ("ABCD", "pushsum", "epidemic"), ("ABCD", "dpsgd", "ring"),
    ("ABC", "fedavg", "star"), ("ABC", "rolling-sweep", None),
]  # fmt: skip


@pytest.mark.parametrize("federation", FEDERATIONS)
def test_node_from_its_snapshot_answers_the_next_event_with_the_same_actions(agree, fake_link, picture, federation):
    agreement = agree(*federation, rounds=3)
    twins, compared = {}, []

    def compare(node, event, now, actions):
        if node.site in twins:
            twin = node_from(agreement, unpack(twins[node.site], SNAPSHOT_KINDS))
            compared.append(picture(twin.handle(event, now)) == picture(actions))
            assert picture(twin) == picture(node)
        twins[node.site] = pack(node.snapshot(), SNAPSHOT_KINDS).to_bytes()

    fake_link(agreement, 1, loss=0.2, repeats=0.2, watch=compare).run()
    assert len(compared) > 20
    assert all(compared)


def test_snapshot_of_another_federation_is_refused(agree, new_node):
    snapshot = new_node(agree(), "A").snapshot()
    with pytest.raises(
        StorageError, match=r"wanted a snapshot of federation eeeeeeeeeeee \(lockstep\); found one of ffffffffffff"
    ):
        node_from(agree(federation="e" * 64), snapshot)


def test_site_that_is_not_in_the_schedule_has_no_node(agree, new_node):
    with pytest.raises(ScheduleError, match="found 'Z'"):
        new_node(agree(), "Z")


def test_snapshot_is_a_value_that_later_events_do_not_change(agree, fake_link, picture):
    taken = []

    def watch(node, event, now, actions):
        taken.append((node.snapshot(), picture(node)))

    fake_link(agree("ABC", "pushsum", "epidemic"), 2, repeats=0.3, watch=watch).run()
    assert len(taken) > 20
    for snapshot, before in taken:
        assert pack(snapshot, SNAPSHOT_KINDS).to_bytes() == before


def test_snapshot_copies_no_tensor(agree, new_node):
    node = new_node(agree(), "A")
    assert node.snapshot().state.params["x"] is node.snapshot().state.params["x"]
