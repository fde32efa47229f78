"""The simulated lines between sites: they delay, lose, repeat and reorder, and never alter.

A frame waits until its sender's uplink is free, takes its size over the uplink's speed, then the delay (and a random
part of the jitter, which reorders), then its size over the receiver's download speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from gossamer.gossip.topology import SiteId


@dataclass(frozen=True)
class Line:
    """From one site to another.

    Attributes:
        delay_s: of every frame.
        jitter_s: longest further delay; each frame has its own random part of it.
        loss: part of the frames that never arrive, 0 to 1.
        duplicates: part of the frames that arrive twice, 0 to 1.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    duplicates: float = 0.0


@dataclass(frozen=True)
class Network:
    """All lines.

    Attributes:
        line: any that ``lines`` does not name.
        lines: by (sender, receiver).
        upload_bytes_per_s: by site; unlimited where not named.
        download_bytes_per_s: likewise.
    """

    line: Line = Line()
    lines: Mapping[tuple[SiteId, SiteId], Line] = field(default_factory=dict)
    upload_bytes_per_s: Mapping[SiteId, float] = field(default_factory=dict)
    download_bytes_per_s: Mapping[SiteId, float] = field(default_factory=dict)


class Carrier:
    """Carries frames over a network. All its chance comes from its seed."""

    def __init__(self, network: Network, seed: int) -> None:
        self._network = network
        self.description = f"{network} {seed}"
        self._chance = np.random.default_rng(np.random.SeedSequence([seed, 0x6E6574]))
        self._uplink_free_s: dict[SiteId, float] = {}

    def arrivals_s(self, sender: SiteId, receiver: SiteId, size_bytes: int, now_s: float) -> list[float]:
        """When a frame that is sent now arrives: never, once or twice."""
        line = self._network.lines.get((sender, receiver), self._network.line)
        # Always four draws: what is lost on one line does not change the chances of the others.
        lost, twice, *late = self._chance.random(4)
        begin_s = max(now_s, self._uplink_free_s.get(sender, 0.0))
        sent_s = begin_s + size_bytes / self._network.upload_bytes_per_s.get(sender, inf)
        self._uplink_free_s[sender] = sent_s
        there_s = sent_s + line.delay_s + size_bytes / self._network.download_bytes_per_s.get(receiver, inf)
        copies = 0 if lost < line.loss else 2 if twice < line.duplicates else 1
        return [there_s + float(part) * line.jitter_s for part in late[:copies]]

    def record(self) -> tuple[Any, ...]:
        """Its state as a plain value."""
        return self._chance.bit_generator.state, dict(self._uplink_free_s)

    def load(self, record: tuple[Any, ...]) -> None:
        """Become what ``record`` was taken of."""
        self._chance.bit_generator.state, uplinks = record
        self._uplink_free_s = dict(uplinks)
