"""The book of rounds."""

import torch

from gossamer.runtime.rounds import RoundBook


def model(value):
    return {"x": torch.tensor(value)}


def test_round_is_complete_when_the_last_site_has_ended_it_and_is_told_once():
    book = RoundBook(2)
    book.enter(0, "B", model(1.0), 0.5)
    assert book.take_complete({}, 1.0) is None
    book.enter(0, "A", model(2.0), 0.25)
    report = book.take_complete({"A": 7, "B": 8}, 3.0)
    assert (report.round_index, list(report.params), report.loss) == (0, ["A", "B"], {"A": 0.25, "B": 0.5})
    assert (float(report.params["A"]["x"]), report.bytes_sent, report.virtual_s) == (2.0, {"A": 7, "B": 8}, 3.0)
    assert book.take_complete({}, 4.0) is None


def test_site_that_is_ahead_waits_in_the_book():
    book = RoundBook(2)
    for round_index in (0, 1):
        book.enter(round_index, "A", model(float(round_index)), 0.0)
    book.enter(0, "B", model(9.0), 0.0)
    assert book.take_complete({}, 0.0).round_index == 0
    assert book.take_complete({}, 0.0) is None
    book.enter(1, "B", model(9.0), 0.0)
    assert float(book.take_complete({}, 0.0).params["A"]["x"]) == 1.0


def test_round_that_is_entered_again_after_a_power_cut_is_not_told_again():
    book = RoundBook(1)
    # Before round 0 there is none to enter.
    book.enter(-1, "A", model(0.0), 0.0)
    assert book.take_complete({}, 0.0) is None
    book.enter(0, "A", model(0.0), 0.0)
    assert book.take_complete({}, 0.0).round_index == 0
    book.enter(0, "A", model(0.0), 0.0)
    assert book.take_complete({}, 0.0) is None


def test_book_goes_on_from_its_record():
    book, again = RoundBook(2), RoundBook(2)
    book.enter(0, "A", model(1.0), 0.5)
    again.load(book.record())
    again.enter(0, "B", model(2.0), 0.5)
    assert again.take_complete({}, 0.0).round_index == 0
    # A copy: the first book still waits for B.
    assert book.take_complete({}, 0.0) is None
