"""Exactly once: the ledger's books, alone."""

import torch

from gossamer.gossip import Mass, Share
from gossamer.node.ledger import Ledger
from gossamer.node.snapshot import Outgoing


def share(value=0.0):
    return Share({"x": torch.tensor(value)}, Mass(1.0))


def test_share_is_kept_once_and_the_first_counts():
    ledger, first = Ledger(), share()
    assert ledger.keep(0, "B", first)
    assert not ledger.keep(0, "B", share(1.0))
    assert ledger.take_out(0) == {"B": first}


def test_shares_of_other_senders_and_exchanges_are_other_shares():
    ledger = Ledger()
    assert all(ledger.keep(exchange, sender, share()) for exchange in (0, 1) for sender in "BC")
    assert {exchange: sorted(each) for exchange, each in ledger.inbox.items()} == {0: ["B", "C"], 1: ["B", "C"]}


def test_what_is_taken_out_is_gone():
    ledger = Ledger()
    ledger.keep(0, "B", share())
    ledger.take_out(0)
    assert (ledger.take_out(0), ledger.inbox) == ({}, {})


def test_missing_are_those_of_whom_nothing_came():
    ledger = Ledger()
    ledger.keep(1, "C", share())
    assert ledger.missing(1, ("B", "C", "D")) == ("B", "D")
    assert ledger.missing(0, ("B",)) == ("B",)
    assert ledger.missing(0, ()) == ()


def test_inbox_is_a_copy():
    ledger = Ledger()
    ledger.keep(0, "B", share())
    ledger.inbox[0].clear()
    ledger.inbox.clear()
    assert ledger.missing(0, ("B",)) == ()


def test_shares_are_handed_over_in_sorted_order_of_receivers():
    ledger = Ledger()
    assert [each.receiver for each in ledger.hand_over(3, {"C": share(), "B": share()}, 7.0)] == ["B", "C"]
    assert [(each.exchange, each.attempt, each.due_s) for each in ledger.outstanding] == [(3, 0, 7.0)] * 2
    assert ledger.next_due_s == 7.0


def test_receipt_strikes_out_one_share_of_one_exchange():
    ledger = Ledger()
    for exchange in (0, 1):
        ledger.hand_over(exchange, {"B": share(), "C": share()}, 7.0)
    ledger.strike_out(0, "C")
    ledger.strike_out(0, "C")
    ledger.strike_out(5, "B")
    assert [(each.exchange, each.receiver) for each in ledger.outstanding] == [(0, "B"), (1, "B"), (1, "C")]


def test_sending_again_keeps_the_share_and_counts_the_attempt():
    ledger, late = Ledger(), share()
    ledger.hand_over(0, {"B": late}, 7.0)
    assert ledger.send_again(6.9, 10.0) == []
    (again,) = ledger.send_again(7.0, 10.0)
    assert (again.share is late, again.attempt, again.due_s) == (True, 1, 27.0)
    assert ledger.outstanding == (again,)


def test_after_a_stop_everything_is_due_as_for_the_first_time():
    ledger = Ledger(outstanding=[Outgoing(0, "B", share(), 9, 1e9), Outgoing(1, "B", share(), 0, 5.0)])
    ledger.make_due(3.0)
    assert [(each.attempt, each.due_s) for each in ledger.outstanding] == [(0, 3.0)] * 2
    assert len(ledger.send_again(3.0, 10.0)) == 2


def test_after_a_stop_of_one_receiver_only_what_is_for_it_is_due():
    ledger = Ledger(outstanding=[Outgoing(0, "B", share(), 9, 1e9), Outgoing(0, "C", share(), 2, 5.0)])
    ledger.make_due(3.0, "B")
    assert [(each.receiver, each.attempt, each.due_s) for each in ledger.outstanding] == [("B", 0, 3.0), ("C", 2, 5.0)]


def test_books_of_a_snapshot_are_taken_over_and_not_shared():
    kept = {0: {"B": share()}}
    ledger = Ledger(kept, [Outgoing(0, "B", share(), 0, 5.0)])
    ledger.take_out(0)
    ledger.strike_out(0, "B")
    assert list(kept) == [0]
    assert (ledger.inbox, ledger.outstanding, ledger.next_due_s) == ({}, (), None)
