"""A wall clock that jumps by hours and days, back and forth: no bit of the models changes.

``time.time`` is replaced in this process; TLS looks at the machine's own clock, and what a certificate's dates do is in
``identity``. The rooms of the protocol cannot look at a clock at all (the import contracts in ``pyproject.toml``).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import torch

from faults.campaign import Campaign, Result
from faults.net_lines import SmallSites
from faults.sites import Plan, undisturbed

DAY_S = 86400.0
LONGEST_S = 200.0


def clock(size: int, seed: int, folder: Path) -> Result:
    """``size`` federations of four real sites, whose clock jumps whenever it is looked at."""
    torch.set_num_threads(1)
    counts, chance, real = Counter[str](), random.Random(seed), time.time

    def jumping() -> float:
        counts["looks"] += 1
        return real() + chance.choice([0.0, 3600.0, -3600.0, DAY_S, -DAY_S, 400 * DAY_S, -400 * DAY_S])

    for number in range(size):
        plan = Plan(rounds=10, seed=1000 * seed + number)
        sites = SmallSites(folder / str(number), plan)
        with patch("time.time", jumping):
            counts["did not end"] += not asyncio.run(sites.run(LONGEST_S))
        expected = undisturbed(plan).models
        counts["other bits"] += sum(sites.models.get(name) != model for name, model in expected.items())
    figure = f"{size} federations, {counts['looks']:,} looks at a clock that jumps by up to 400 days: "
    figure += f"{counts['other bits']} models of other bits, {counts['did not end']} did not end"
    return Result(figure, not counts["other bits"] and not counts["did not end"] and counts["looks"] > 0, dict(counts))


CAMPAIGNS = (
    Campaign(
        name="clock",
        promise="clock jumps",
        what="four sites exchange in lockstep over gRPC and mutual TLS, while the wall clock jumps by hours, days and "
        "years at every look; models are held against a simulation",
        run=clock,
        small=1,
        full=20,
    ),
)
