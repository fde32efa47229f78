"""Stopwatches around the two seams of a site: its training and its lines. What passes through them is unchanged.

Law: a line hands over one frame after another, so a hand-over begins when it was asked for, or when the one before it
had ended, or when the line came up, whichever was last. What it waits for before that is not the line's.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from gossamer.gossip.algorithm import Params
from gossamer.gossip.topology import SiteId
from gossamer.gossip.trainer import Trainer, TrainerState, TrainResult
from gossamer.transport.base import PeerState, Transport
from gossamer.wire.frame import Buffer, Frame
from gossamer.wire.limits import Limits

MEASURED_S = 10.0
"""So long a machine is watched, by its first step, which takes longer than those that follow."""

LEAST_STEPS, MOST_STEPS = 2, 20


def time_a_step(trainer: Trainer, params: Params, local_steps: int) -> float:
    """How long an optimiser step takes here, with its part of a local phase's beginning and end; in seconds.

    Args:
        trainer: of this site; its state changes.
        params: where to start.
        local_steps: of a local phase; more are not taken.
    """
    first_s = _seconds_of(trainer, params, 1)
    steps = min(max(LEAST_STEPS, int(MEASURED_S / first_s)), MOST_STEPS, max(LEAST_STEPS, local_steps))
    return _seconds_of(trainer, params, steps) / steps


def _seconds_of(trainer: Trainer, params: Params, steps: int) -> float:
    began_s = time.monotonic()
    trainer.fit(params, steps=steps, round_index=0)
    return time.monotonic() - began_s


class TimedTrainer:
    """A trainer that notes when it was at work; implements ``gossip.trainer.Trainer``."""

    def __init__(self, inner: Trainer) -> None:
        self._inner = inner
        self._phases: list[tuple[float, float]] = []

    @property
    def between_s(self) -> float:
        """What lies between two local phases, as a rule: journal, shares in and out, waits; 0 while there is one."""
        ends = zip(self._phases, self._phases[1:], strict=False)
        return median([begins - ended for (_, ended), (begins, _) in ends] or [0.0])

    def fit(self, params: Params, *, steps: int, round_index: int, teachers: Sequence[Params] = ()) -> TrainResult:
        """See ``Trainer``."""
        began_s = time.monotonic()
        result = self._inner.fit(params, steps=steps, round_index=round_index, teachers=teachers)
        self._phases.append((began_s, time.monotonic()))
        return result

    def state(self) -> TrainerState:
        """See ``Trainer``."""
        return self._inner.state()

    def restore(self, state: TrainerState) -> None:
        """See ``Trainer``."""
        self._inner.restore(state)


@dataclass
class _Watched:
    """The way to one peer.

    Attributes:
        round_trips_s: of what holds no tensor: one word there, one back.
        shares_s: of whole shares.
        under_way: shares that have no end yet: when they were asked for, and the line's count of bytes then.
        free_s: when the last hand-over ended.
    """

    round_trips_s: list[float] = field(default_factory=list)
    shares_s: list[float] = field(default_factory=list)
    under_way: dict[int, tuple[float, int]] = field(default_factory=dict)
    free_s: float = 0.0


class TimedTransport(Transport):
    """Lines that are timed. Times are Unix times, as those of ``PeerState`` are."""

    def __init__(self, inner: Transport, share_bytes: int, clock: Callable[[], float] = time.time) -> None:
        """Around a transport that was not started.

        Args:
            inner: it.
            share_bytes: length of a share's body.
            clock: what time it is.
        """
        super().__init__()
        self._inner = inner
        self._share_bytes = share_bytes
        self._clock = clock
        self._watched = {peer: _Watched() for peer in inner.states}
        self._number = 0
        inner.on_peer_started = self._note_start

    @property
    def states(self) -> Mapping[SiteId, PeerState]:
        """See ``Transport``."""
        return self._inner.states

    def has_share(self, peer: SiteId) -> bool:
        """Whether a whole share was handed over to a peer."""
        return bool(self._watched[peer].shares_s)

    def round_trip_s(self, peer: SiteId) -> float | None:
        """The shortest way there and back; None if nothing came back."""
        return min(self._watched[peer].round_trips_s, default=None)

    def share_s(self, peer: SiteId) -> float | None:
        """How long a share takes to a peer, as a rule; told from the part that got through while none is whole."""
        watched = self._watched[peer]
        if watched.shares_s:
            return median(watched.shares_s)
        if not watched.under_way:
            return None
        asked_s, before = min(watched.under_way.values())
        part = (self.states[peer].bytes_sent - before) / self._share_bytes
        return (self._clock() - self._began_s(peer, asked_s)) / part if part > 0 else None

    async def start(self) -> int | None:
        """See ``Transport``."""
        return await self._inner.start()

    async def send(self, to: SiteId, frame: Frame) -> None:
        """See ``Transport``."""
        watched, asked_s, body_bytes = self._watched[to], self._clock(), frame.body_bytes
        self._number += 1
        number, is_share = self._number, body_bytes >= self._share_bytes
        if is_share:
            watched.under_way[number] = asked_s, self.states[to].bytes_sent
        try:
            await self._inner.send(to, frame)
        finally:
            watched.under_way.pop(number, None)
        took_s = self._clock() - self._began_s(to, asked_s)
        watched.free_s = self._clock()
        if is_share:
            watched.shares_s.append(took_s)
        elif body_bytes == 0:
            watched.round_trips_s.append(took_s)

    def receive(self) -> AsyncIterator[tuple[SiteId, Frame | Buffer]]:
        """See ``Transport``."""
        return self._inner.receive()

    def expect(self, limits: Limits) -> None:
        """See ``Transport``."""
        self._inner.expect(limits)

    async def close(self) -> None:
        """See ``Transport``."""
        await self._inner.close()

    def _note_start(self, peer: SiteId) -> None:
        self.on_peer_started(peer)

    def _began_s(self, peer: SiteId, asked_s: float) -> float:
        return max(asked_s, self._watched[peer].free_s, self.states[peer].since_s)
