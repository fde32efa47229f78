"""The transition table of ``node.py``, row by row; the names of the sections are the table's phases."""

import pytest
import torch

from gossamer.errors import LedgerError
from gossamer.gossip import Share
from gossamer.node.events import Finish, PeerStarted, Persist, Received, Send, Started, Train, Trained, Woke
from gossamer.wire.messages import Receipt, ShareMessage


def kinds(actions):
    """For example ``["Persist", "share to B", "receipt to B", "Train"]``."""
    return [
        f"{'receipt' if isinstance(each.message, Receipt) else 'share'} to {each.to}"
        if isinstance(each, Send)
        else type(each).__name__
        for each in actions
    ]


def after_training(node, value, round_index=0, now=0.0):
    params = {"x": torch.tensor([value, -value]), "rows": torch.full((2,), value)}
    return node.handle(Trained(round_index, params), now)


@pytest.fixture
def pair(agree):
    """Two sites that swap halves once a round."""
    return agree("AB", rounds=2)


@pytest.fixture
def lingering(pair, new_node, share_from, receipt_from):
    """A after its last exchange, without a receipt for its last share."""
    node = new_node(pair, "A")
    for round_index in range(2):
        after_training(node, 2.0, round_index)
        node.handle(Received("B", share_from("B", "A", round_index)), 0.0)
    node.handle(Received("B", receipt_from("B", "A", 0)), 0.0)
    return node


# any phase: Started


def test_started_for_the_first_time_trains_round_0_from_the_initial_parameters(pair, new_node):
    persist, train = new_node(pair, "A", value=3.0).handle(Started(), 0.0)
    assert (type(persist), train.round_index, train.teachers) == (Persist, 0, ())
    assert train.params["x"].tolist() == [3.0, -3.0]


def test_started_while_training_asks_for_the_same_local_phase_again(pair, new_node, picture):
    node = new_node(pair, "A")
    first = node.handle(Started(), 0.0)
    assert picture(node.handle(Started(), 99.0)) == picture(first)


def test_started_while_exchanging_sends_all_outstanding_again_and_stays(pair, new_node):
    node = new_node(pair, "A")
    after_training(node, 2.0)
    actions = node.handle(Started(), 3.0)
    assert kinds(actions) == ["Persist", "share to B"]
    assert actions[1].message.attempt == 1
    assert node.snapshot().phase == "exchanging"
    # Due again after twice the agreed 10 s, counted from now: the clock of a new start may be another.
    assert node.wake_at_s == 23.0


def test_started_while_lingering_sends_what_is_outstanding_and_stays(lingering):
    assert kinds(lingering.handle(Started(), 0.0)) == ["Persist", "share to B"]
    assert lingering.snapshot().phase == "lingering"


def test_started_when_finished_says_finish_again(lingering, receipt_from):
    lingering.handle(Received("B", receipt_from("B", "A", 1)), 0.0)
    assert kinds(lingering.handle(Started(), 0.0)) == ["Persist", "Finish"]


# any phase: Woke


def test_woken_too_early_nothing_is_sent(pair, new_node, picture):
    node = new_node(pair, "A")
    after_training(node, 2.0, now=5.0)
    before = picture(node)
    assert node.wake_at_s == 15.0
    assert node.handle(Woke(), 14.9) == []
    assert picture(node) == before


def test_share_without_a_receipt_is_sent_again_after_ever_longer_waits(pair, new_node):
    node = new_node(pair, "A")
    after_training(node, 2.0)
    waits, attempts, now = [], [], 0.0
    for _ in range(9):
        waits.append((node.wake_at_s - now) / 10.0)
        now = node.wake_at_s
        (again,) = node.handle(Woke(), now)
        attempts.append(again.message.attempt)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    assert attempts == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_only_what_is_due_is_sent_again(agree, new_node, receipt_from):
    node = new_node(agree("ABC", "pushsum", "mesh"), "A")
    after_training(node, 2.0)
    node.handle(Received("B", receipt_from("B", "A", 0)), 1.0)
    assert kinds(node.handle(Woke(), 10.0)) == ["share to C"]


# any phase: PeerStarted


def test_a_peer_that_started_again_gets_what_has_no_receipt_and_nobody_else_does(agree, new_node, receipt_from):
    node = new_node(agree("ABC", "pushsum", "mesh"), "A")
    sent = after_training(node, 2.0)
    assert kinds(sent) == ["Persist", "share to B", "share to C"]
    assert kinds(node.handle(PeerStarted("C"), 1.0)) == ["share to C"]
    node.handle(Received("C", receipt_from("C", "A", 0)), 2.0)
    assert node.handle(PeerStarted("C"), 3.0) == []
    assert kinds(node.handle(PeerStarted("B"), 4.0)) == ["share to B"]


def test_node_with_nothing_outstanding_does_not_want_to_be_woken(pair, new_node, receipt_from):
    node = new_node(pair, "A")
    assert node.wake_at_s is None
    after_training(node, 2.0)
    node.handle(Received("B", receipt_from("B", "A", 0)), 1.0)
    assert node.wake_at_s is None


# training: Trained


def test_trained_composes_persists_and_sends(pair, new_node):
    node = new_node(pair, "A", cases=3.0)
    persist, send = after_training(node, 2.0)
    assert (node.snapshot().phase, node.waits_for) == ("exchanging", ("B",))
    # Half of three cases goes along, with the parameters as trained.
    assert (send.to, send.message.share.mass.body, send.message.share.mass.rows["rows"]) == ("B", 1.5, (1.5, 0.0))
    assert send.message.share.params["x"].tolist() == [2.0, -2.0]
    (outgoing,) = persist.snapshot.outstanding
    assert outgoing.share is send.message.share


@pytest.mark.parametrize("round_index", [-1, 1, 2])
def test_trained_of_another_round_changes_nothing(pair, new_node, picture, round_index):
    node = new_node(pair, "A")
    before = picture(node)
    assert after_training(node, 2.0, round_index) == []
    assert picture(node) == before


def test_trained_twice_counts_once(pair, new_node, picture):
    node = new_node(pair, "A")
    after_training(node, 2.0)
    before = picture(node)
    assert after_training(node, 9.0) == []
    assert picture(node) == before


def test_share_that_waited_in_the_inbox_ends_the_exchange_at_once(pair, new_node, share_from):
    node = new_node(pair, "A", cases=3.0)
    node.handle(Received("B", share_from("B", "A", 0, value=6.0, mass=0.5)), 0.0)
    actions = after_training(node, 2.0)
    assert kinds(actions) == ["Persist", "share to B", "Train"]
    # (1.5 x 2 + 0.5 x 6) / 2
    assert actions[-1].params["x"].tolist() == [3.0, -3.0]


def test_site_alone_trains_all_rounds_and_finishes(agree, new_node):
    node = new_node(agree("A", topology="mesh"), "A")
    assert kinds(node.handle(Started(), 0.0)) == ["Persist", "Train"]
    assert kinds(after_training(node, 1.0, 0)) == ["Persist", "Train"]
    persist, finish = after_training(node, 7.0, 1)
    assert (type(finish), finish.params["x"].tolist()) == (Finish, [7.0, -7.0])
    assert persist.snapshot.phase == "finished"


# any phase: Received share


def test_share_of_the_past_gets_a_receipt_and_nothing_else(pair, new_node, share_from, picture):
    node = new_node(pair, "A")
    after_training(node, 2.0)
    node.handle(Received("B", share_from("B", "A", 0)), 0.0)
    before = picture(node)
    assert node.snapshot().exchange == 1
    (receipt,) = node.handle(Received("B", share_from("B", "A", 0, attempt=1)), 0.0)
    assert (receipt.to, receipt.message.envelope.exchange, receipt.message.envelope.sender) == ("B", 0, "A")
    assert picture(node) == before


def test_share_that_comes_while_training_is_kept_and_promised(pair, new_node, share_from):
    node = new_node(pair, "A")
    message = share_from("B", "A", 0)
    persist, receipt = node.handle(Received("B", message), 0.0)
    assert persist.snapshot.inbox[0]["B"] is message.share
    assert kinds([receipt]) == ["receipt to B"]
    assert node.snapshot().phase == "training"


def test_share_that_is_in_the_inbox_already_gets_a_receipt_and_is_kept_once(pair, new_node, share_from, picture):
    node = new_node(pair, "A")
    node.handle(Received("B", share_from("B", "A", 0, value=1.0)), 0.0)
    before = picture(node)
    # Even one that says something else now: the first is the promise.
    assert kinds(node.handle(Received("B", share_from("B", "A", 0, value=8.0)), 0.0)) == ["receipt to B"]
    assert picture(node) == before


def test_share_two_rounds_ahead_is_kept_and_one_further_gets_no_receipt(agree, new_node, share_from, picture):
    node = new_node(agree("AB", rounds=9), "A")
    for exchange in (1, 2):
        assert kinds(node.handle(Received("B", share_from("B", "A", exchange)), 0.0)) == ["Persist", "receipt to B"]
    before = picture(node)
    for exchange in (3, 8):
        assert node.handle(Received("B", share_from("B", "A", exchange)), 0.0) == []
    assert picture(node) == before


def test_inbox_holds_no_more_than_three_exchanges_whatever_a_peer_sends(agree, new_node, share_from):
    node = new_node(agree("AB", rounds=9), "A")
    for exchange in (*range(9), *range(9)):
        node.handle(Received("B", share_from("B", "A", exchange)), 0.0)
    assert sorted(node.snapshot().inbox) == [0, 1, 2]


# exchanging: the shares are in


def test_exchange_within_a_round_leads_to_the_next_exchange(agree, new_node, share_from):
    node = new_node(agree("AB", "pushsum", "mesh", exchanges_per_round=2), "A", cases=3.0)
    after_training(node, 2.0)
    actions = node.handle(Received("B", share_from("B", "A", 0, value=6.0, mass=0.5)), 0.0)
    assert kinds(actions) == ["Persist", "receipt to B", "share to B"]
    assert (node.snapshot().phase, node.snapshot().exchange, node.snapshot().round_index) == ("exchanging", 1, 0)
    # Three halves at 2 and one at 6 are two at 3, of which half goes on.
    share = actions[2].message.share
    assert (share.params["x"].tolist(), share.mass.body, actions[2].message.envelope.exchange) == ([3.0, -3.0], 1.0, 1)


def test_exchange_waits_for_all_its_shares(agree, new_node, share_from):
    node = new_node(agree("ABC", "pushsum", "mesh"), "A")
    after_training(node, 2.0)
    assert node.waits_for == ("B", "C")
    assert kinds(node.handle(Received("C", share_from("C", "A", 0)), 0.0)) == ["Persist", "receipt to C"]
    assert node.waits_for == ("B",)
    assert kinds(node.handle(Received("B", share_from("B", "A", 0)), 0.0)) == ["Persist", "receipt to B", "Train"]


def test_last_exchange_of_a_round_leads_to_the_next_local_phase(pair, new_node, share_from):
    node = new_node(pair, "A", cases=3.0)
    after_training(node, 2.0)
    actions = node.handle(Received("B", share_from("B", "A", 0, value=6.0, mass=0.5)), 0.0)
    assert kinds(actions) == ["Persist", "receipt to B", "Train"]
    snapshot = node.snapshot()
    assert (snapshot.phase, snapshot.round_index, snapshot.exchange) == ("training", 1, 1)
    assert actions[-1].params["x"].tolist() == [3.0, -3.0]
    # A sweep's masses begin anew in each round.
    assert snapshot.state.mass == snapshot.state.own


def test_several_exchanges_end_at_once_when_their_shares_are_waiting(agree, new_node, share_from):
    node = new_node(agree("AB", "pushsum", "mesh", exchanges_per_round=2), "A")
    for exchange in (0, 1):
        node.handle(Received("B", share_from("B", "A", exchange)), 0.0)
    assert kinds(after_training(node, 2.0)) == ["Persist", "share to B", "share to B", "Train"]
    assert node.snapshot().inbox == {}


def test_last_exchange_of_all_leads_to_lingering_while_shares_are_outstanding(pair, new_node, share_from):
    node = new_node(pair, "A")
    for round_index in range(2):
        after_training(node, 2.0, round_index)
        actions = node.handle(Received("B", share_from("B", "A", round_index)), 0.0)
    assert kinds(actions) == ["Persist", "receipt to B"]
    assert (node.snapshot().phase, node.waits_for) == ("lingering", ("B", "B"))


def test_last_exchange_of_all_finishes_at_once_when_all_shares_have_receipts(pair, new_node, share_from, receipt_from):
    node = new_node(pair, "A")
    for round_index in range(2):
        after_training(node, 2.0, round_index)
        node.handle(Received("B", receipt_from("B", "A", round_index)), 0.0)
        actions = node.handle(Received("B", share_from("B", "A", round_index)), 0.0)
    assert kinds(actions) == ["Persist", "receipt to B", "Finish"]


# any phase: Received receipt


def test_receipt_strikes_its_share_out(agree, new_node, receipt_from):
    node = new_node(agree("ABC", "pushsum", "mesh"), "A")
    after_training(node, 2.0)
    assert node.handle(Received("C", receipt_from("C", "A", 0)), 0.0) == []
    assert [each.receiver for each in node.snapshot().outstanding] == ["B"]


def test_second_receipt_changes_nothing(pair, new_node, receipt_from, picture):
    node = new_node(pair, "A")
    after_training(node, 2.0)
    node.handle(Received("B", receipt_from("B", "A", 0)), 0.0)
    before = picture(node)
    assert node.handle(Received("B", receipt_from("B", "A", 0)), 0.0) == []
    assert picture(node) == before


# lingering and finished


def test_lingering_ends_with_the_last_receipt(lingering, receipt_from):
    persist, finish = lingering.handle(Received("B", receipt_from("B", "A", 1)), 0.0)
    assert (persist.snapshot.phase, type(finish)) == ("finished", Finish)
    # (1/2 x 2 + 1 x 1) / 1.5, since A's own half of one case meets a whole one.
    assert finish.params["x"].tolist() == pytest.approx([4 / 3, -4 / 3])


def test_lingering_site_still_sends_again_and_hands_out_receipts(lingering, share_from):
    assert kinds(lingering.handle(Woke(), 10.0)) == ["share to B"]
    assert kinds(lingering.handle(Received("B", share_from("B", "A", 1)), 10.0)) == ["receipt to B"]


def test_finished_site_hands_out_receipts_and_finishes_no_second_time(lingering, share_from, receipt_from, picture):
    lingering.handle(Received("B", receipt_from("B", "A", 1)), 0.0)
    before = picture(lingering)
    assert kinds(lingering.handle(Received("B", share_from("B", "A", 1)), 0.0)) == ["receipt to B"]
    assert lingering.handle(Received("B", receipt_from("B", "A", 1)), 0.0) == []
    assert lingering.handle(Woke(), 1e9) == []
    assert after_training(lingering, 1.0, 1) == []
    assert picture(lingering) == before


# what cannot be meant


@pytest.mark.parametrize(
    ("sender", "fields", "complaint"),
    [
        ("B", {"federation": "e" * 64}, "messages of this federation, not of eeeeeeeeeeee;"),
        ("B", {"to": "C"}, "messages for this site, not for another"),
        ("B", {"sender": "C"}, "a sender in the envelope who is the real one"),
        ("C", {"sender": "B"}, "a sender in the envelope who is the real one"),
        ("Z", {"sender": "Z"}, "a sender in the envelope who is the real one, and of the federation"),
        ("B", {"exchange": -1}, "an exchange below 2, not -1"),
        ("B", {"exchange": 2}, "an exchange below 2, not 2"),
        ("B", {"exchange": 10**18 - 1}, "an exchange below 2"),
        (
            "C",
            {"sender": "C"},
            "in the schedule; exchange 0 has none|receipts for what was sent",
        ),
        ("A", {"sender": "A"}, "in the schedule; exchange 0 has none|receipts for what was sent"),
    ],
)
@pytest.mark.parametrize("kind", ["share", "receipt"])
def test_message_that_cannot_be_meant_is_refused_and_changes_nothing(  # noqa: PLR0917
    in_a_ring, messages_from, picture, kind, sender, fields, complaint
):
    before = picture(in_a_ring)
    message = messages_from[kind](**{"sender": "B", "to": "A", "exchange": 0} | fields)
    with pytest.raises(LedgerError, match=complaint):
        in_a_ring.handle(Received(sender, message), 0.0)
    assert picture(in_a_ring) == before


@pytest.fixture
def in_a_ring(agree, new_node):
    """A, exchanging; in a ring of four it does so with B and D, never with C."""
    node = new_node(agree("ABCD", "dpsgd", "ring"), "A")
    after_training(node, 2.0)
    return node


@pytest.fixture
def messages_from(share_from, receipt_from):
    return {"share": share_from, "receipt": receipt_from}


def test_receipt_for_what_was_never_sent_is_refused(pair, new_node, receipt_from, picture):
    node = new_node(pair, "A")
    before = picture(node)
    # A peer that has a share of this exchange got it from this site as it was before: it was set back to a backup.
    with pytest.raises(LedgerError, match=r"exchange 0 is none \(was this site set back to a backup\?\)"):
        node.handle(Received("B", receipt_from("B", "A", 0)), 0.0)
    assert picture(node) == before


def test_error_names_no_more_of_a_sender_than_fits_a_line(pair, new_node, share_from):
    with pytest.raises(LedgerError) as caught:
        new_node(pair, "A").handle(Received("\x1b" * 500, share_from("B", "A", 0)), 0.0)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


def test_what_is_no_event_is_a_mistake_of_the_driver(pair, new_node):
    for event in ("Started", Received("B", "hello")):
        with pytest.raises(TypeError, match="wanted an event"):
            new_node(pair, "A").handle(event, 0.0)


def test_messages_that_go_out_carry_federation_sender_receiver_and_exchange(pair, new_node):
    _, send = after_training(new_node(pair, "A"), 2.0)
    assert isinstance(send.message, ShareMessage)
    assert isinstance(send.message.share, Share)
    envelope = send.message.envelope
    assert (envelope.federation, envelope.sender, envelope.receiver, envelope.exchange) == ("f" * 64, "A", "B", 0)


def test_train_hands_on_the_algorithms_teachers(agree, new_node):
    (_, train) = new_node(agree("AB"), "A").handle(Started(), 0.0)
    assert isinstance(train, Train)
    assert tuple(train.teachers) == ()
