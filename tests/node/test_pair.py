"""Two nodes and a fake link between them."""

import pytest
import torch

from gossamer.errors import LedgerError
from gossamer.node.events import Finish, Received, Send, Started, Trained, Woke
from gossamer.node.kinds import node_from
from gossamer.wire.messages import Receipt


class Pair:
    """A and B; messages lie in a queue until they are carried over, or dropped."""

    def __init__(self, a, b, train):
        self.nodes, self.train = {"A": a, "B": b}, train
        self.queue, self.work, self.models = [], {}, {}

    def hand_in(self, site, event, now=0.0):
        for action in self.nodes[site].handle(event, now):
            if isinstance(action, Send):
                self.queue.append((site, action.to, action.message))
            elif isinstance(action, Finish):
                self.models[site] = action.params
            elif hasattr(action, "round_index"):
                self.work[site] = action

    def finish_training(self, site):
        work = self.work.pop(site)
        self.hand_in(site, Trained(work.round_index, self.train(site, work)))

    def carry(self, only=None):
        while ready := [each for each in self.queue if only in (None, each[1])]:
            self.queue.remove(ready[0])
            sender, to, message = ready[0]
            self.hand_in(to, Received(sender, message))


@pytest.fixture
def pair(agree, new_node, train):
    agreement = agree("AB", rounds=2)
    both = Pair(new_node(agreement, "A", cases=3.0), new_node(agreement, "B", cases=1.0), train)
    for site in "AB":
        both.hand_in(site, Started())
    return both


def test_pair_ends_with_the_weighted_mean_computed_by_hand(pair):
    for _ in range(2):
        for site in "AB":
            pair.finish_training(site)
        pair.carry()
    # trained() adds (ord % 7 + 1)(round + 1) / 8 to three quarters: A is 65 -> 3/8, B is 66 -> 4/8 in round 0.
    first = (3 * 3 / 8 + 1 * 4 / 8) / 4
    second = (3 * (0.75 * first + 6 / 8) + 1 * (0.75 * first + 8 / 8)) / 4
    for model in pair.models.values():
        assert model["x"].tolist() == pytest.approx([second, second])
    assert {site: node.snapshot().phase for site, node in pair.nodes.items()} == {"A": "finished", "B": "finished"}


def test_site_that_is_done_first_does_not_strand_the_other(pair):
    for site in "AB":
        pair.finish_training(site)
    pair.carry()
    for site in "AB":
        pair.finish_training(site)
    # A has B's last share; A's own is lost on the way to B.
    pair.carry(only="A")
    pair.queue = [each for each in pair.queue if isinstance(each[2], Receipt)]
    assert pair.nodes["A"].snapshot().phase == "lingering"
    assert pair.models == {}
    pair.hand_in("A", Woke(), now=pair.nodes["A"].wake_at_s)
    pair.carry()
    assert sorted(pair.models) == ["A", "B"]
    assert torch.equal(pair.models["A"]["x"], pair.models["B"]["x"])


def test_last_receipt_that_is_lost_is_asked_for_again_from_a_site_that_has_finished(pair):
    for site in "AB":
        pair.finish_training(site)
    pair.carry()
    for site in "AB":
        pair.finish_training(site)
    pair.carry(only="B")
    pair.queue = [each for each in pair.queue if not isinstance(each[2], Receipt)]
    pair.carry()
    assert sorted(pair.models) == ["B"]
    pair.hand_in("A", Woke(), now=1e6)
    pair.carry()
    assert sorted(pair.models) == ["A", "B"]


def test_replayed_messages_of_a_whole_run_change_nothing_in_the_next_lives_of_both(pair, picture):
    said = []
    for _ in range(2):
        for site in "AB":
            pair.finish_training(site)
        while pair.queue:
            said.append(pair.queue[0])
            pair.queue, (sender, to, message) = pair.queue[1:], pair.queue[0]
            pair.hand_in(to, Received(sender, message))
    agreement = pair.nodes["A"].agreement
    pair.nodes = {site: node_from(agreement, node.snapshot()) for site, node in pair.nodes.items()}
    before = {site: picture(node) for site, node in pair.nodes.items()}
    pair.models.clear()
    for sender, to, message in said:
        pair.hand_in(to, Received(sender, message))
    assert all(isinstance(message, Receipt) for _, _, message in pair.queue)
    assert {site: picture(node) for site, node in pair.nodes.items()} == before
    assert pair.models == {}


def test_site_set_back_to_a_backup_learns_it_and_never_rolls_its_peer_back(pair, picture, receipt_from):
    backup = pair.nodes["A"].snapshot()
    for site in "AB":
        pair.finish_training(site)
    pair.carry()
    pair.finish_training("B")
    pair.queue.clear()
    before = picture(pair.nodes["B"])
    pair.nodes["A"] = node_from(pair.nodes["A"].agreement, backup)
    pair.hand_in("A", Started())
    # Another training than the first time: what B has absorbed is not what A sends now.
    pair.hand_in("A", Trained(0, {name: tensor + 9 for name, tensor in pair.work.pop("A").params.items()}))
    pair.carry()
    assert picture(pair.nodes["B"]) == before
    # A is told that its share was had already, and waits for one that B keeps no longer: a stall that names B.
    assert pair.nodes["A"].waits_for == ("B",)
    # A receipt for what only the lost life sent says what is the matter.
    with pytest.raises(LedgerError, match="was this site set back to a backup"):
        pair.hand_in("A", Received("B", receipt_from("B", "A", 1)))


def test_site_set_back_by_more_than_an_exchange_hears_it_with_the_answer_to_its_first_share(pair, picture):
    backup = pair.nodes["A"].snapshot()
    for _ in range(2):
        for site in "AB":
            pair.finish_training(site)
        pair.carry()
    before = picture(pair.nodes["B"])
    pair.nodes["A"] = node_from(pair.nodes["A"].agreement, backup)
    pair.hand_in("A", Started())
    pair.finish_training("A")
    with pytest.raises(LedgerError, match=r"exchange 1 is none \(was this site set back to a backup"):
        pair.carry()
    assert picture(pair.nodes["B"]) == before
