"""The gate before pynetdicom's reactor: with the library's own, an answer may be taken by the wrong thread."""

import queue
import threading
import time

import pytest

from gossamer.dicom.pacs import checkpoint
from gossamer.dicom.pacs.checkpoint import Checkpoint


def taken_while_closed(gate):
    """Whether a thread that passes the gate slowly takes a message that came after the gate was closed."""
    messages, taken, ended = queue.Queue(), [], threading.Event()

    def reactor():
        while not ended.is_set():
            gate.wait()
            passed.set()
            time.sleep(0.03)  # between the checkpoint and the look at the queue
            try:
                taken.append(messages.get_nowait())
            except queue.Empty:
                continue

    passed = threading.Event()
    thread = threading.Thread(target=reactor)
    gate.set()
    thread.start()
    passed.wait(5)
    gate.clear()
    messages.put("answer")
    time.sleep(0.08)
    while_closed = bool(taken)
    ended.set()
    gate.set()
    thread.join(5)
    assert taken == ["answer"]
    return while_closed


@pytest.mark.parametrize(("gate", "taken"), [(Checkpoint, False), (threading.Event, True)])
def test_answer_is_left_to_who_asked_and_the_librarys_own_gate_shows_that_it_would_not_be(gate, taken):
    assert taken_while_closed(gate()) is taken


def test_gate_does_not_wait_for_ever_for_a_thread_that_has_ended(monkeypatch):
    monkeypatch.setattr(checkpoint, "PATIENCE_S", 0.05)
    began = time.monotonic()
    Checkpoint().clear()
    assert time.monotonic() - began < 3
