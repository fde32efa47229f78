"""A peer that hangs: its process is stopped, or its connections are half-open and swallow what is sent.

Sites that do not wait for each other. The others' round may take a tenth longer than usual, which is the patience that
a site measures for itself (``node.patience.MOST_IDLE``). Usual and disturbed windows take turns, so that what else the
machine does falls on both.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf
from pathlib import Path

import torch

from faults.campaign import Campaign, Result
from faults.net_lines import SmallSites
from faults.sites import Federation, Plan, kept_by
from gossamer.errors import GossamerError
from gossamer.node.patience import MOST_IDLE

FIT_S = 0.2
"""Of a local phase: long beside what the exchange takes on a machine that has other work."""

WINDOW_S = 2.0
LEAST_WINDOWS, MOST_WINDOWS = 2, 10
"""Of each kind. Other work of the machine may fall on one of them; over more it evens out, and a wait does not."""

SETTLES_S = 0.5
"""The first wait for a peer that has just been stopped, and what was on its way, belong to neither window."""

STARTS_WITHIN_S = 120.0

MANY_ROUNDS = 100_000

Counts = Callable[[], Mapping[str, int]]


def hung(size: int, seed: int, folder: Path) -> Result:
    """``size`` federations with a stopped process, and as many with half-open connections."""
    torch.set_num_threads(1)
    ratios: dict[str, list[float]] = {"stopped": [], "half-open": []}
    phases = Counter[str]()
    for number in range(size):
        plan = Plan(pace="asynchronous", rounds=MANY_ROUNDS, fit_s=FIT_S, seed=1000 * seed + number)
        stopped, half_open = asyncio.run(_both(folder / str(number), plan, phases))
        ratios["stopped"].append(stopped)
        ratios["half-open"].append(half_open)
    worst = {name: max(found) for name, found in ratios.items()}
    figure = f"{size} times each, {sum(phases.values())} local phases of the other three: a round took "
    figure += ", ".join(f"{ratio - 1:+.0%} beside a {name} peer" for name, ratio in worst.items())
    return Result(figure, max(worst.values()) <= 1 + MOST_IDLE, {**phases, **worst})


async def _both(folder: Path, plan: Plan, phases: Counter[str]) -> tuple[float, float]:
    """Beside each other: both sleep most of the time."""
    stopped = asyncio.to_thread(_stopped, folder / "stopped", plan, phases)
    return await asyncio.gather(stopped, _half_open(folder / "half-open", plan, phases))


def _stopped(folder: Path, plan: Plan, phases: Counter[str]) -> float:
    """SIGSTOP to the last of four processes."""
    federation = Federation(folder, plan)
    *others, last = plan.names
    with federation.running():
        victim = federation._running[last].pid

        def counts() -> dict[str, int]:
            return {name: _phases_of(folder / name) for name in others}

        try:
            _wait_for_a_start(counts)
            return _ratio(
                counts, lambda: os.kill(victim, signal.SIGSTOP), lambda: os.kill(victim, signal.SIGCONT), phases
            )
        finally:
            os.kill(victim, signal.SIGCONT)


def _phases_of(folder: Path) -> int:
    """Local phases of a site that is at work, as its journal has them; it may be writing just now."""
    for _ in range(20):
        with suppress(GossamerError, FileNotFoundError):
            snapshot = kept_by(folder)
            if snapshot is not None and snapshot.afoot is not None:
                return int(snapshot.afoot.census[0][snapshot.site])
            return 0
        time.sleep(0.01)
    return 0


def _wait_for_a_start(counts: Counts) -> None:
    until_s = time.monotonic() + STARTS_WITHIN_S
    while min(counts().values()) < 2 and time.monotonic() < until_s:
        time.sleep(0.1)


async def _half_open(folder: Path, plan: Plan, phases: Counter[str]) -> float:
    """All lines of the last of four sites stay open, and nothing comes through."""
    sites = SmallSites(folder, plan)
    *others, last = plan.names
    living = asyncio.create_task(sites.run(STARTS_WITHIN_S + 2 * MOST_WINDOWS * (SETTLES_S + WINDOW_S) + 60.0))

    def counts() -> dict[str, int]:
        return {name: sites.services[name].local_phases if name in sites.services else 0 for name in others}

    def measure() -> float:
        _wait_for_a_start(counts)
        proxy = sites.proxies[last]
        return _ratio(counts, lambda: proxy.set("swallow"), lambda: proxy.set("pass"), phases)

    try:
        return await asyncio.to_thread(measure)
    finally:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)


def _ratio(counts: Counts, disturb: Callable[[], None], mend: Callable[[], None], phases: Counter[str]) -> float:
    """How much longer a round takes disturbed than usual, all windows together: no more of them than tell it."""
    per_phase_s = {"usual": 0.0, "disturbed": 0.0}
    ratio = inf
    for window in range(MOST_WINDOWS):
        if window >= LEAST_WINDOWS and ratio <= 1 + MOST_IDLE:
            break
        for name, act in (("usual", mend), ("disturbed", disturb)):
            act()
            time.sleep(SETTLES_S)
            before, began_s = counts(), time.monotonic()
            time.sleep(WINDOW_S)
            after, lasted_s = counts(), time.monotonic() - began_s
            done = sum(after[site] - before[site] for site in after)
            phases[name] += done
            per_phase_s[name] += lasted_s / max(done, 1)
        ratio = per_phase_s["disturbed"] / per_phase_s["usual"]
    mend()
    return ratio


CAMPAIGNS = (
    Campaign(
        name="hung",
        promise="slow, hung, half-open peer",
        what="one of four sites that do not wait for each other is stopped (SIGSTOP to its process), or its "
        "connections stay open and swallow all; local phases of the other three are counted in windows that take turns",
        run=hung,
        small=1,
        full=8,
    ),
)
