"""What the stopwatches show, on a clock that the test turns, and that they change nothing."""

import asyncio
from types import SimpleNamespace

import pytest
import torch

from gossamer.gossip.trainer import TrainerState, TrainResult
from gossamer.runtime.rehearsal import stopwatch
from gossamer.runtime.rehearsal.stopwatch import TimedTrainer, TimedTransport, time_a_step
from gossamer.transport.base import PeerState, Transport
from gossamer.wire.frame import build_frame

SHARE = build_frame({}, {"x": torch.zeros(1000)})
NOTICE = build_frame({}, {"x": torch.zeros(10)})
RECEIPT = build_frame({}, {})


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Road(Transport):
    """One peer; each frame takes as long as it is told to, one after another."""

    def __init__(self, clock):
        super().__init__()
        self._clock, self._one_at_a_time = clock, asyncio.Lock()
        self.state, self.takes_s = PeerState(is_up=True, since_s=0.0), []
        self.sent = []

    @property
    def states(self):
        return {"B": self.state}

    async def start(self):
        return 7443

    async def send(self, to, frame):
        async with self._one_at_a_time:
            self._clock.now_s += self.takes_s.pop(0)
            self.state.bytes_sent += frame.body_bytes
            self.sent.append((to, frame))

    async def receive(self):
        yield "B", b"frame"

    def expect(self, limits):
        self.limits = limits

    async def close(self):
        self.closed = True


@pytest.fixture
def road():
    return Road(Clock())


@pytest.fixture
def timed(road):
    return TimedTransport(road, SHARE.body_bytes, road._clock)


def test_a_share_and_a_round_trip_are_told_apart(road, timed):
    async def run():
        for road.takes_s, frame in (([0.25], RECEIPT), ([9.0], NOTICE), ([2.0], SHARE), ([0.5], RECEIPT)):
            await timed.send("B", frame)

    asyncio.run(run())
    assert (timed.round_trip_s("B"), timed.share_s("B")) == (0.25, 2.0)
    assert timed.has_share("B")
    assert road.sent == [("B", RECEIPT), ("B", NOTICE), ("B", SHARE), ("B", RECEIPT)]


def test_what_waits_behind_another_frame_is_not_counted_for_longer(road, timed):
    """A receipt behind a share of 60 s takes its own second."""

    async def run():
        road.takes_s = [60.0, 1.0]
        await asyncio.gather(timed.send("B", SHARE), timed.send("B", RECEIPT))

    asyncio.run(run())
    assert (timed.share_s("B"), timed.round_trip_s("B")) == (60.0, 1.0)


def test_what_waits_for_a_line_to_come_up_is_not_counted_for_longer(road, timed):
    async def run():
        road.takes_s = [300.0 + 2.0]
        road.state.since_s = 1300.0
        await timed.send("B", SHARE)

    asyncio.run(run())
    assert timed.share_s("B") == 2.0


def test_of_a_share_that_is_not_through_the_part_tells(road, timed):
    async def run():
        road.takes_s = []
        await road._one_at_a_time.acquire()
        sending = asyncio.create_task(timed.send("B", SHARE))
        await asyncio.sleep(0)
        assert timed.share_s("B") is None
        road._clock.now_s += 10.0
        road.state.bytes_sent += SHARE.body_bytes // 4
        assert timed.share_s("B") == pytest.approx(40.0)
        assert not timed.has_share("B")
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert timed.share_s("B") is None

    asyncio.run(run())


def test_all_else_passes_through(road, timed):
    started = []
    timed.on_peer_started = started.append

    async def run():
        assert await timed.start() == 7443
        assert [received async for received in timed.receive()] == [("B", b"frame")]
        await timed.close()

    asyncio.run(run())
    timed.expect("limits")
    road.on_peer_started("B")
    assert (road.limits, road.closed, started, timed.states) == ("limits", True, ["B"], road.states)


class Sleeper:
    """A trainer that takes its time; the first step takes longer, as compiling and caches have it."""

    def __init__(self, clock):
        self._clock, self.fits = clock, []

    def fit(self, params, *, steps, round_index, teachers=()):
        self._clock.now_s += 0.01 * steps + (0.0 if self.fits else 0.5)
        self.fits.append((steps, round_index))
        return TrainResult(params, steps, steps, 0.0)

    def state(self):
        return TrainerState(values={"fits": len(self.fits)})

    def restore(self, state):
        self.fits = [None] * state.values["fits"]


@pytest.fixture
def clock(monkeypatch):
    """The stopwatches' clock."""
    turned = Clock()
    monkeypatch.setattr(stopwatch, "time", SimpleNamespace(monotonic=turned))
    return turned


def test_the_first_step_is_left_out_and_a_local_phase_is_not_exceeded(clock):
    trainer = Sleeper(clock)
    assert time_a_step(trainer, {}, 8) == pytest.approx(0.01)
    assert trainer.fits == [(1, 0), (8, 0)]


def test_a_slow_machine_takes_few_steps(clock, monkeypatch):
    monkeypatch.setattr(stopwatch, "MEASURED_S", 0.001)
    trainer = Sleeper(clock)
    time_a_step(trainer, {}, 100)
    assert trainer.fits == [(1, 0), (2, 0)]


def test_what_lies_between_two_local_phases_is_noted(clock):
    timed = TimedTrainer(Sleeper(clock))
    assert timed.between_s == 0.0
    for _ in range(3):
        timed.fit({}, steps=1, round_index=0)
        clock.now_s += 0.03
    assert timed.between_s == pytest.approx(0.03)
    timed.restore(timed.state())
    assert timed.state().values == {"fits": 3}
