"""How commands speak: a line a minute in a log, bars that move on a terminal, no colour where none is wanted."""

import io
import time

import pytest
from rich.console import Console

from gossamer.cli import console as console_module
from gossamer.cli.console import Teller, _Lines
from gossamer.watch import as_clock


@pytest.fixture
def log():
    """A minute's lines: what was said, and a clock to be set."""

    class Log:
        def __init__(self):
            self.now_s = 0.0
            self.said = []

        def lines(self, total=100.0):
            return _Lines(self.said.append, "training", total, lambda: self.now_s)

    return Log()


def test_log_says_at_once_what_begins_and_at_the_end_how_long_it_took(log):
    lines = log.lines()
    assert log.said == ["training …"]
    log.now_s = 3661.4
    lines.end()
    assert log.said[1:] == ["training: done in 1:01:01"]


def test_log_gets_a_line_a_minute_however_often_it_is_told(log):
    lines = log.lines(total=600)
    for second in range(1, 301):
        log.now_s = float(second)
        lines.advance(1, f"loss {second}")
    assert log.said[1:] == [
        "training: 10%, 0:09:00 left, loss 60",
        "training: 20%, 0:08:00 left, loss 120",
        "training: 30%, 0:07:00 left, loss 180",
        "training: 40%, 0:06:00 left, loss 240",
        "training: 50%, 0:05:00 left, loss 300",
    ]


def test_log_gets_a_line_a_minute_even_if_nothing_gets_on(log):
    lines = log.lines()
    for second in range(5, 181, 5):  # as the ticking thread looks
        log.now_s = float(second)
        lines.tick()
    assert log.said[1:] == ["training: 0%"] * 3
    lines.advance(10, "validating")
    log.now_s = 240.0
    lines.tick()
    assert log.said[4] == "training: 10%, 0:36:00 left, validating"


def test_what_was_done_before_is_not_left_and_not_fast(log):
    lines = log.lines(total=100)
    lines.skip(50)
    log.now_s = 60.0
    lines.advance(10)
    assert log.said[1] == "training: 60%, 0:04:00 left"  # 10 a minute, 40 left


def test_task_of_unknown_size_still_speaks(log):
    lines = log.lines(total=0)
    log.now_s = 61.0
    lines.tick()
    assert log.said[1] == "training: begun"


def test_long_phase_without_a_word_is_ticked_by_a_thread(monkeypatch):
    monkeypatch.setattr(console_module, "SECONDS_BETWEEN_TICKS", 0.01)
    monkeypatch.setattr(console_module, "SECONDS_BETWEEN_LINES", 0.02)
    log = io.StringIO()
    with Teller(Console(file=log)).task("reading", 10):
        until = time.monotonic() + 60
        while log.getvalue().count("reading: 0%") < 2 and time.monotonic() < until:
            time.sleep(0.01)
    assert log.getvalue().count("reading: 0%") >= 2
    assert log.getvalue().splitlines()[-1].startswith("reading: done in")


def test_thread_ends_with_its_task_also_when_the_task_fails(monkeypatch):
    monkeypatch.setattr(console_module, "SECONDS_BETWEEN_TICKS", 0.01)
    monkeypatch.setattr(console_module, "SECONDS_BETWEEN_LINES", 0.0)
    log = io.StringIO()
    with pytest.raises(KeyError), Teller(Console(file=log)).task("reading", 10):
        raise KeyError
    said = log.getvalue()
    time.sleep(0.05)
    assert log.getvalue() == said
    assert "done" not in said


def test_line_of_words_is_one_line_however_long(capsys):
    words = "organ " * 40
    Teller(Console(file=(log := io.StringIO()))).say(words + "[not markup]")
    assert log.getvalue() == words + "[not markup]\n"


def test_words_go_to_stderr(capsys):
    Teller().say("hello")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "hello\n")


def test_bar_on_a_terminal_moves_by_itself_in_a_long_phase():
    screen = io.StringIO()
    with Teller(Console(file=screen, force_terminal=True, width=100)).task("reading", 10) as bar:
        bar.skip(2)
        bar.advance(3, "loss 0.5")
        until = time.monotonic() + 60
        shown = len(screen.getvalue())
        while len(screen.getvalue()) <= shown + 100 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(screen.getvalue()) > shown + 100
    assert "50 %" in screen.getvalue()
    assert "loss 0.5" in screen.getvalue()


def test_no_color_is_honoured(monkeypatch):
    def coloured():
        screen = io.StringIO()
        with Teller(Console(file=screen, force_terminal=True, color_system="standard", width=100)).task("x", 2) as bar:
            bar.advance(1)
        return "\x1b[3" in screen.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert coloured()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured()


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0:00:00"), (59.6, "0:01:00"), (3 * 3600 + 62, "3:01:02")])
def test_time_is_told_as_on_a_clock(seconds, words):
    assert as_clock(seconds) == words
