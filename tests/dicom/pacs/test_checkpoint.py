"""The gate before pynetdicom's reactor: with the library's own, an answer may be taken by the wrong thread."""

import queue
import threading
import time
from contextlib import contextmanager

import pytest

from gossamer.dicom.pacs import checkpoint
from gossamer.dicom.pacs.checkpoint import Checkpoint

PATIENCE_S = 60.0


class Reactor:
    """A thread that has passed a gate, and does not look for messages before it is told to."""

    def __init__(self, gate):
        self.messages, self.taken = queue.Queue(), queue.Queue()
        self.passed, self.looks, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.gate = gate
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.ended.is_set():
            self.gate.wait()
            self.passed.set()
            self.looks.wait()
            try:
                self.taken.put(self.messages.get(timeout=0.01))
            except queue.Empty:
                continue


@contextmanager
def reactor(gate):
    gate.set()
    running = Reactor(gate)
    running.thread.start()
    try:
        assert running.passed.wait(PATIENCE_S)
        yield running
    finally:
        running.ended.set()
        running.looks.set()
        gate.set()
        running.thread.join(PATIENCE_S)


def test_answer_is_left_to_who_asked(monkeypatch):
    monkeypatch.setattr(checkpoint, "PATIENCE_S", PATIENCE_S)
    gate = Checkpoint()
    with reactor(gate) as running:
        closing = threading.Thread(target=gate.clear)
        closing.start()
        running.looks.set()
        closing.join(PATIENCE_S)
        running.messages.put("answer")
        with pytest.raises(queue.Empty):
            running.taken.get(timeout=0.05)
        gate.set()
        assert running.taken.get(timeout=PATIENCE_S) == "answer"


def test_librarys_own_gate_shows_that_it_would_not_be():
    gate = threading.Event()
    with reactor(gate) as running:
        gate.clear()
        running.messages.put("answer")
        running.looks.set()
        assert running.taken.get(timeout=PATIENCE_S) == "answer"
        assert not gate.is_set()


def test_gate_does_not_wait_for_ever_for_a_thread_that_has_ended(monkeypatch):
    monkeypatch.setattr(checkpoint, "PATIENCE_S", 0.05)
    began = time.monotonic()
    Checkpoint().clear()
    assert time.monotonic() - began < PATIENCE_S
