"""Networks that fall apart and heal, and sites that come back after days; on the virtual clock, by seed.

Sites that do not wait for each other (the asynchronous pace). A line that is down holds the last frame for each peer
and hands it over when it is up again, as a gRPC line does, which dials again after a minute at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np
import torch

from faults.campaign import Campaign, Result
from gossamer.gossip import Mass, SiteId, TrainerState, TrainResult, build_gossip
from gossamer.gossip.algorithm import Params
from gossamer.node.agreement import Agreement
from gossamer.node.census import NEWS_ROUNDS
from gossamer.node.kinds import make_node
from gossamer.runtime.faults import FaultPlan, PowerCut
from gossamer.runtime.network import Carrier, Line, Network
from gossamer.runtime.simulation import Simulation
from gossamer.transport.grpc_lines import REDIAL_S

SITES = tuple(SiteId(name) for name in "ABCD")
STEP_S = dict(zip(SITES, (6.0, 9.0, 14.0, 20.0), strict=True))
LOCAL_STEPS = 50
ROUNDS = 60

ROUND_S = len(SITES) / sum(1.0 / (LOCAL_STEPS * step_s) for step_s in STEP_S.values())
"""Of the federation: so long do all together take for as many local phases as there are sites."""

HEALS_WITHIN, MOST = 2.0, 0.99
"""Rounds, for nearly all cuts: a line is dialled again after up to a minute, here an eighth of a round, and whom a site
swaps with is the calendar's to say. None takes longer than news may at any time."""

CATCHES_UP_WITHIN = float(NEWS_ROUNDS)
"""Rounds, after days: as many as news may need at any time. A share that was on its way into a process that lost its
power is sent again after an hour."""

KEEPS_UP = 0.85
"""Of its usual local phases a site must do while it is cut off: it may wait a tenth of each."""

KINDS = ("2|2", "3|1", "one-way", "flapping")

DAY_S = 86400.0

LONGER = 12
"""Times as many steps a local phase, for runs of days."""


class TowardsOwn:
    """Pulls towards a number of its own."""

    def __init__(self, own: float) -> None:
        self._own = own

    def fit(self, params: Params, *, steps: int, round_index: int, teachers: Sequence[Params] = ()) -> TrainResult:
        """See ``Trainer``."""
        made = {name: 0.9 * each + 0.1 * self._own for name, each in params.items()}
        return TrainResult(made, steps, steps, float(abs(self._own - made["x"]).mean()))

    def state(self) -> TrainerState:
        """See ``Trainer``."""
        return TrainerState()

    def restore(self, state: TrainerState) -> None:
        """See ``Trainer``."""


@dataclass(frozen=True)
class Cut:
    """What is severed, and when.

    Attributes:
        kind: of it.
        lines: (sender, receiver) that carry nothing.
        spans_s: from when until when; several where the network flaps.
    """

    kind: str
    lines: frozenset[tuple[SiteId, SiteId]]
    spans_s: tuple[tuple[float, float], ...]

    @property
    def from_s(self) -> float:
        """Of the first."""
        return self.spans_s[0][0]

    @property
    def until_s(self) -> float:
        """Of the last."""
        return self.spans_s[-1][1]

    def up_again_s(self, line: tuple[SiteId, SiteId], now_s: float) -> float:
        """When a line carries again; now, if it does."""
        return max((until for at, until in self.spans_s if line in self.lines and at <= now_s < until), default=now_s)


def drawn_cut(seed: int) -> Cut:
    """A cut of one of the four kinds."""
    chance, kind = np.random.default_rng(seed), KINDS[seed % len(KINDS)]
    order = [SITES[k] for k in chance.permutation(len(SITES))]
    one, other = (order[:1], order[1:]) if kind == "3|1" else (order[:2], order[2:])
    there, back = {(a, b) for a in one for b in other}, {(b, a) for a in one for b in other}
    begin_s = float(chance.uniform(5, 15)) * ROUND_S
    if kind == "flapping":
        edges = begin_s + np.cumsum(chance.uniform(0.3, 2.0, 10)) * ROUND_S
        spans = tuple((float(edges[k]), float(edges[k + 1])) for k in range(0, 10, 2))
    else:
        spans = ((begin_s, begin_s + float(chance.uniform(3, 20)) * ROUND_S),)
    return Cut(kind, frozenset(there if kind == "one-way" else there | back), spans)


class SeveredCarrier(Carrier):
    """Holds what a severed line is given, until it is dialled again."""

    cut: Cut

    def arrivals_s(self, sender: SiteId, receiver: SiteId, size_bytes: int, now_s: float) -> list[float]:
        """See ``Carrier``."""
        found = super().arrivals_s(sender, receiver, size_bytes, now_s)
        up_s = self.cut.up_again_s((sender, receiver), now_s)
        redial_s = float(self._chance.uniform(0.0, REDIAL_S[1]))
        return found if up_s <= now_s else [up_s + redial_s]


def _simulation(seed: int, faults: FaultPlan | None = None, *, local_steps: int = LOCAL_STEPS) -> Simulation:
    algorithm, topology = build_gossip("pushsum", SITES, seed, asynchronous=True)
    agreement = Agreement("a" * 64, algorithm, topology, ROUNDS, pace="asynchronous")
    nodes = [make_node(site, agreement, Mass(2.0 + k), {"x": torch.zeros(3)}) for k, site in enumerate(SITES)]
    trainers = {site: TowardsOwn(float(k)) for k, site in enumerate(SITES)}
    network = Network(Line(delay_s=1.0, jitter_s=2.0))
    return Simulation(
        nodes, trainers, local_steps=local_steps, step_s=STEP_S, network=network, faults=faults, seed=seed
    )


def _counts_at(simulation: Simulation) -> dict[SiteId, dict[SiteId, int]]:
    """By site, how many local phases of each it knows of."""
    return {
        name: dict((site.node.snapshot() if site.node else site.disk.snapshot).afoot.census[0])  # type: ignore[union-attr]
        for name, site in simulation._sites.items()
    }


def _own(counts: dict[SiteId, dict[SiteId, int]]) -> dict[SiteId, int]:
    return {site: known[site] for site, known in counts.items()}


def _run_until(simulation: Simulation, is_time: Callable[[], bool]) -> bool:
    """Whether it came to that before the end."""
    while not is_time():
        if not simulation.step():
            return False
    return True


def _run_to(simulation: Simulation, at_s: float) -> None:
    _run_until(simulation, lambda: simulation._agenda.now_s >= at_s)


def _rounds_to_heal(simulation: Simulation, at_s: float, lines: frozenset[tuple[SiteId, SiteId]]) -> float:
    """From then on, rounds until each site knows of all that those had done from whom it was cut off; inf if never."""
    _run_to(simulation, at_s)
    wanted = _own(_counts_at(simulation))
    begun = sum(wanted.values())
    pairs = {frozenset(line) for line in lines}

    def all_know() -> bool:
        counts = _counts_at(simulation)
        return all(counts[one][other] >= wanted[other] and counts[other][one] >= wanted[one] for one, other in pairs)

    if not _run_until(simulation, all_know):
        return inf
    return (sum(_own(_counts_at(simulation)).values()) - begun) / len(SITES)


def _ends(simulation: Simulation) -> float:
    """Run to the end; how far the sites' models are from each other."""
    while simulation.step():
        pass
    ends = [float(model["x"].mean()) for model in simulation.result().params.values()]
    return max(ends) - min(ends) if len(ends) == len(SITES) else inf


def partition(size: int, seed: int, folder: Path) -> Result:
    """``size`` cuts, of the four kinds in turn."""
    torch.set_num_threads(1)
    counts, healed, kept_up, spread = Counter[str](), [], [], 0.0
    for number in range(size):
        cut = drawn_cut(size * seed + number)
        simulation = _simulation(size * seed + number)
        carrier = SeveredCarrier(Network(Line(delay_s=1.0, jitter_s=2.0)), number)
        carrier.cut = cut
        simulation._carrier = carrier
        _run_to(simulation, cut.from_s)
        before, began_s = _own(_counts_at(simulation)), simulation._agenda.now_s
        _run_to(simulation, cut.until_s)
        after, lasted_s = _own(_counts_at(simulation)), simulation._agenda.now_s - began_s
        for site in SITES:
            usual = lasted_s / (LOCAL_STEPS * STEP_S[site])
            kept_up.append((after[site] - before[site] + 1) / max(usual, 1.0))
        healed.append(_rounds_to_heal(simulation, cut.until_s, cut.lines))
        spread = max(spread, _ends(simulation))
        counts[cut.kind] += 1
        counts["refusals"] += sum(sum(each.values()) for each in simulation.result().refusals.values())
    figure = f"{size} cuts ({', '.join(f'{counts[kind]} {kind}' for kind in KINDS)}): every site did at least "
    in_time = sum(each <= HEALS_WITHIN for each in healed)
    figure += f"{min(kept_up):.0%} of its usual local phases; {in_time} healed within {HEALS_WITHIN:.0f} rounds, the "
    figure += f"slowest after {max(healed):.2f}; models at the end differ by {spread:.0e}"
    heals = in_time >= MOST * size and max(healed) <= NEWS_ROUNDS
    holds = heals and min(kept_up) >= KEEPS_UP and spread < 1e-6 and not counts["refusals"]
    return Result(
        figure,
        holds,
        {**counts, "healed in time": in_time, "rounds to heal": max(healed), "kept up": min(kept_up), "spread": spread},
    )


def rejoin(size: int, seed: int, folder: Path) -> Result:
    """``size`` times a site is off for days: cut off and at work, or without power."""
    torch.set_num_threads(1)
    counts, healed, spread, longest = Counter[str](), [], 0.0, 0.0
    lasts_days = LONGER * ROUNDS * ROUND_S / DAY_S
    for number in range(size):
        own_seed = size * seed + number
        chance = np.random.default_rng(own_seed)
        site, days = SITES[chance.integers(len(SITES))], float(chance.uniform(0.3, 0.6)) * lasts_days
        cuts = (PowerCut(site, int(chance.integers(30, 60)), 2, days * DAY_S),) if number % 2 else ()
        simulation = _simulation(own_seed, FaultPlan(power_cuts=cuts), local_steps=LONGER * LOCAL_STEPS)
        until_s = float(chance.uniform(3, 10)) * LONGER * ROUND_S

        def is_gone(simulation: Simulation = simulation, site: SiteId = site, until_s: float = until_s) -> bool:
            has_power = simulation._sites[site].node is not None
            return not has_power if simulation._faults.power_cuts else simulation._agenda.now_s >= until_s

        _run_until(simulation, is_gone)
        back_s = simulation._agenda.now_s + days * DAY_S
        lines = frozenset((a, b) for a in SITES for b in SITES if a != b and site in (a, b))
        carrier = SeveredCarrier(Network(Line(delay_s=1.0, jitter_s=2.0)), own_seed)
        carrier.cut = Cut("away", lines, ((simulation._agenda.now_s, back_s),))
        simulation._carrier = carrier
        healed.append(_rounds_to_heal(simulation, back_s + 1.0, lines))
        spread = max(spread, _ends(simulation))
        refused = simulation.result().refusals
        counts["refusals"] += sum(sum(each.values()) for each in refused.values())
        longest = max(longest, days)
    figure = f"{size} times away for up to {longest:.1f} days of a run of {lasts_days:.1f}: caught up "
    figure += f"within {max(healed):.2f} rounds, {counts['refusals']} messages refused; models at the end differ by "
    figure += f"{spread:.0e}"
    holds = max(healed) <= CATCHES_UP_WITHIN and spread < 1e-6 and not counts["refusals"]
    return Result(figure, holds, {**counts, "rounds to catch up": max(healed), "days": longest, "spread": spread})


CAMPAIGNS = (
    Campaign(
        name="partition",
        promise="partition and heal",
        what="four sites that do not wait for each other are parted 2|2, 3|1, in one direction, or five times in a row "
        "for 3 to 20 rounds, by seed. Counted: local phases while parted; rounds from the end of the cut until "
        "each site knows of all that those had done from whom it was cut off; the models at the end",
        run=partition,
        small=16,
        full=500,
    ),
    Campaign(
        name="rejoin",
        promise="rejoin after days",
        what="one of four sites is away for a third to more than half of a run that takes days, at work without a "
        "line or without power, by seed. Counted: rounds until it and the others know all of each other; refusals; "
        "models",
        run=rejoin,
        small=8,
        full=200,
    ),
)
