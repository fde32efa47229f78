"""Thousands of rounds in one process: memory, open files and disk stay as they are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from faults.campaign import Campaign, Result
from faults.processes import begin, pipe
from faults.sites import Plan, Walking
from gossamer.gossip import SiteId
from gossamer.runtime.audit import AuditLog
from gossamer.runtime.journal import Journal
from gossamer.runtime.service import SiteService
from gossamer.transport.base import PeerState, Transport
from gossamer.transport.identity import new_identity
from gossamer.wire.frame import Buffer, Frame
from gossamer.wire.limits import Limits

MOST_MB = 1.0
"""Of growth in 1,000 rounds."""

NOISE_MB = 4.0
"""Allocators take memory in arenas; a short run's slope says little below a few of them."""

SAMPLES = 100
WARM = 0.3
"""The part of a run at its beginning that is not counted: allocators fill their pools, modules are imported."""

NUMBERS = 1000


def bounded(size: int, seed: int, folder: Path) -> Result:
    """Two sites with journal and audit log, ``size`` rounds, in a fresh process."""
    ours, theirs = pipe()
    process = begin(_measured, size, seed, folder, theirs)
    theirs.close()
    try:
        samples = np.array(ours.recv())
    finally:
        process.join(10.0)
        process.kill()
        process.join()
    rounds, rss_mb, descriptors, journal_bytes, audit_bytes = samples[int(WARM * len(samples)) :].T
    slope = 1000 * np.polyfit(rounds, rss_mb, 1)[0]
    line_bytes = (audit_bytes[-1] - audit_bytes[0]) / (rounds[-1] - rounds[0])
    figure = (
        f"{size:,} rounds: memory {slope:+.2f} MB in 1,000 rounds, open files {descriptors.min():.0f} to "
        f"{descriptors.max():.0f}, journal {journal_bytes.min():,.0f} to {journal_bytes.max():,.0f} bytes; the audit "
        f"log, which is for ever, {line_bytes:,.0f} bytes a round"
    )
    # The files of a write that goes on while it is counted come and go: two sites, a few each. So does a generation of
    # the journal, beside the two that are kept.
    grown_mb = slope * (rounds[-1] - rounds[0]) / 1000
    holds = (
        (slope < MOST_MB or grown_mb < NOISE_MB)
        and np.ptp(descriptors) <= 8
        and journal_bytes.max() <= 3 * journal_bytes.min()
    )
    counts = {"slope_mb": round(float(slope), 3), "descriptors": int(descriptors.max()), "audit_bytes": line_bytes}
    return Result(figure, bool(holds), counts)


class _Wire(Transport):
    """Hands frames over in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.inbox: asyncio.Queue[tuple[SiteId, Buffer]] = asyncio.Queue()
        self.others: dict[SiteId, _Wire] = {}
        self.me = SiteId("")

    @property
    def states(self) -> Mapping[SiteId, PeerState]:
        return {}

    async def start(self) -> int | None:
        return None

    async def send(self, to: SiteId, frame: Frame) -> None:
        await self.others[to].inbox.put((self.me, bytearray(frame.to_bytes())))

    async def receive(self) -> AsyncIterator[tuple[SiteId, Buffer]]:
        while True:
            yield await self.inbox.get()

    def expect(self, limits: Limits) -> None:
        pass

    async def close(self) -> None:
        pass


def _measured(rounds: int, seed: int, folder: Path, line: Connection) -> None:
    torch.set_num_threads(1)
    with patch("os.fsync", new=lambda descriptor: None):  # it takes most of the time, and leaves nothing in memory
        line.send(asyncio.run(_samples(Plan(sites=2, rounds=rounds, seed=seed, numbers=NUMBERS), folder)))


async def _samples(plan: Plan, folder: Path) -> list[tuple[float, ...]]:
    wires = {name: _Wire() for name in plan.names}
    services, models = [], []
    for name, node in plan.nodes().items():
        wires[name].me, wires[name].others = name, wires
        (folder / name / "journal").mkdir(parents=True)
        services.append(
            SiteService(
                node,
                Walking(name, plan.seed),
                wires[name],
                Journal(folder / name / "journal"),
                local_steps=1,
                audit=AuditLog(folder / name, new_identity(name)),
            )
        )
        models.append(asyncio.get_running_loop().create_future())
    lives = [asyncio.create_task(each.run(model.set_result)) for each, model in zip(services, models, strict=True)]
    ended: asyncio.Future[Any] = asyncio.gather(*models)
    samples: list[tuple[float, ...]] = []
    while not ended.done():
        await asyncio.wait({*lives, *models}, timeout=0.02, return_when=asyncio.FIRST_COMPLETED)
        if any(life.done() for life in lives):
            await asyncio.gather(*lives)
        if (at := services[0].progress.round_index) >= len(samples) * plan.rounds / SAMPLES:
            samples.append((float(at), *_now(folder)))
    for life in lives:
        life.cancel()
    await asyncio.gather(*lives, return_exceptions=True)
    return samples


def _now(folder: Path) -> tuple[float, float, float, float]:
    """Memory in MB, open files, and bytes of the journals and of the audit logs."""
    resident_mb = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    files = (path for path in folder.glob("*/journal/**/*") if not path.name.startswith("."))
    journal = sum(_size(path) for path in files)
    audit = sum(_size(path) for path in folder.glob("*/audit.jsonl"))
    return resident_mb, float(len(list(Path("/proc/self/fd").iterdir()))), float(journal), float(audit)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # it was replaced while we looked
        return 0


def _missing() -> str | None:
    return None if Path("/proc/self/statm").exists() else "there is no /proc to count memory and open files in"


CAMPAIGNS = (
    Campaign(
        name="bounded",
        promise="a long run grows by nothing but its audit log",
        what="two sites with journal and audit log in one process, a tiny model, lockstep; resident memory (its slope "
        "over the last 70 % of the run), open files and bytes on the disk, looked at a hundred times",
        run=bounded,
        small=500,
        full=10_000,
        missing=_missing,
    ),
)
