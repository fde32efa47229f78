"""Whatever hangs, the asker goes on and says what is late."""

import threading
import time
from queue import SimpleQueue

from gossamer.runtime.preflight.bounded import ask


def test_answers_come_in_the_order_of_the_questions():
    asked = ask([lambda: time.sleep(0.1) or "slow", lambda: "fast"], 60)
    assert asked.in_order == ["slow", "fast"]
    assert asked.late == asked.broken == ()


def test_no_question_no_waiting():
    assert ask([], 60).in_order == []


def test_the_asker_waits_no_longer_than_was_said():
    over = threading.Event()
    began = time.monotonic()
    asked = ask([over.wait], 0.1)
    assert 0.1 <= time.monotonic() - began < 30
    assert asked.late == (0,)
    over.set()


def test_a_question_that_hangs_is_late_and_the_others_are_answered(hanging):
    asked = hanging.ask([lambda: "a", hanging, lambda: "c"], 20)
    assert (asked.given, asked.late) == ({0: "a", 2: "c"}, (1,))


def test_few_threads_take_the_questions_in_their_order(hanging):
    hanging.behind = 1
    asked = hanging.ask([lambda: 0, lambda: 1, hanging, lambda: 3], 20, threads=1)
    assert (asked.in_order, asked.late) == ([0, 1], (2, 3))


def test_the_asker_is_told_of_each_answer_in_its_own_thread():
    told = []
    ask([lambda: None] * 3, 60, on_answer=lambda: told.append(threading.current_thread()))
    assert told == [threading.current_thread()] * 3


def test_an_error_that_nobody_foresaw_is_shown_and_is_broken_not_late(monkeypatch):
    shown = SimpleQueue()
    monkeypatch.setattr("threading.excepthook", lambda said: shown.put(said.exc_type))
    asked = ask([lambda: 1 // 0, lambda: "b"], 60)
    assert (asked.in_order, asked.broken, asked.late) == (["b"], (0,), ())
    assert shown.get(timeout=60) is ZeroDivisionError
