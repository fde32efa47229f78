"""Loss, repeats and disorder: every site ends with the bits of a run in which nothing went wrong.

Each seed draws its own federation (three to five sites, eight pairs of algorithm and topology), the loss of each line
up to 40 %, ten copies of what arrives, jitter, slow uplinks, outages and power cuts. The same holds on real lines.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from faults.campaign import Campaign, Result
from faults.net_lines import COPIES, LATE_S, LOSS, RESEND_S, FaultyLines, SmallSites
from faults.sites import Plan, in_digits, undisturbed
from gossamer.gossip import Mass, SiteId, TrainerState, TrainResult, build_gossip
from gossamer.gossip.algorithm import Params
from gossamer.node.agreement import Agreement
from gossamer.node.kinds import make_node
from gossamer.runtime.faults import FaultPlan, Outage, random_power_cuts
from gossamer.runtime.network import Carrier, Line, Network
from gossamer.runtime.rounds import RoundReport
from gossamer.runtime.simulation import Simulation
from gossamer.transport.grpc_lines import GrpcTransport

PAIRS = (
    ("sweep", "base"), ("sweep", "mesh"), ("rolling-sweep", "base"), ("pushsum", "exponential"),
    ("pushsum", "epidemic"), ("pushsum", "matching"), ("dpsgd", "ring"), ("fedavg", "star"),
)  # fmt: skip

ROUNDS = 3

SEEDS_A_FEDERATION = 100
"""Of simulated ones, for each that is real: those take seconds."""

LONGEST_S = 200.0


class WalkingTrainer:
    """Noise that follows from the site, the round and the state that the disk kept."""

    def __init__(self, site: str) -> None:
        self._site, self._walk = site, torch.zeros(3)

    def fit(self, params: Params, *, steps: int, round_index: int, teachers: Sequence[Params] = ()) -> TrainResult:
        """See ``Trainer``."""
        seed = zlib.crc32(f"{self._site} {round_index} {self._walk.tolist()}".encode())
        self._walk = 0.5 * self._walk + torch.randn(3, generator=torch.Generator().manual_seed(seed))
        moved = {name: 0.9 * tensor + self._walk for name, tensor in params.items()}
        return TrainResult(moved, steps, steps, float(self._walk[0]))

    def state(self) -> TrainerState:
        """See ``Trainer``."""
        return TrainerState({"walk": self._walk})

    def restore(self, state: TrainerState) -> None:
        """See ``Trainer``."""
        self._walk = state.tensors["walk"]


class TenfoldCarrier(Carrier):
    """What it delivers, it delivers ten times, each copy with a delay of its own."""

    def arrivals_s(self, sender: SiteId, receiver: SiteId, size_bytes: int, now_s: float) -> list[float]:
        """See ``Carrier``."""
        [*first] = super().arrivals_s(sender, receiver, size_bytes, now_s)
        jitter_s = self._network.lines[sender, receiver].jitter_s
        late = self._chance.random(COPIES - 1)
        return first and [*first, *(first[0] + jitter_s * float(part) for part in late)]


@dataclass(frozen=True)
class Seeded:
    """What one seed decides: who takes part, how they average, and all that goes wrong."""

    seed: int

    @property
    def count(self) -> int:
        """Sites."""
        return 3 + self.seed % 3

    @property
    def pair(self) -> tuple[str, str]:
        """Algorithm and topology."""
        return PAIRS[self.seed % len(PAIRS)]

    @property
    def sites(self) -> list[SiteId]:
        """Their names."""
        return [SiteId(name) for name in "ABCDE"[: self.count]]

    def clean(self) -> Simulation:
        """Nothing goes wrong."""
        return self._simulation(Network(), FaultPlan())

    def faulty(self) -> Simulation:
        """Everything does."""
        chance = np.random.default_rng(self.seed)
        lines = {
            (a, b): Line(*(float(top * chance.random()) for top in (5.0, 40.0, 0.4, 0.4)))
            for a in self.sites
            for b in self.sites
        }
        begin_s = chance.uniform(0, 300, 3)
        outages = tuple(
            Outage(self.sites[chance.integers(self.count)], float(at_s), float(at_s + chance.uniform(1, 200)))
            for at_s in begin_s
        )
        cuts = random_power_cuts(self.sites, self.seed, count=2 * self.count, events=30, longest_s=100.0)
        uplinks = {site: float(chance.uniform(50, 5000)) for site in self.sites}
        network = Network(lines=lines, upload_bytes_per_s=uplinks)
        simulation = self._simulation(network, FaultPlan(outages, cuts))
        simulation._carrier = TenfoldCarrier(network, self.seed)
        return simulation

    def _simulation(self, network: Network, faults: FaultPlan) -> Simulation:
        algorithm, topology = self.pair
        chosen, schedule = build_gossip(algorithm, self.sites, self.seed, topology=topology)
        agreement = Agreement(f"{self.seed:064x}", chosen, schedule, ROUNDS, resend_after_s=60.0)
        params = {"body": torch.zeros(2, 3), "head": torch.ones(4, 3)}
        nodes = [
            make_node(site, agreement, Mass(2.0 + k, {"head": (2.0 + k, 1.0, 0.0, float(k))}), params)
            for k, site in enumerate(self.sites)
        ]
        trainers = {site: WalkingTrainer(site) for site in self.sites}
        step_s = {site: 3.0 + 2.0 * k for k, site in enumerate(self.sites)}
        return Simulation(nodes, trainers, local_steps=4, step_s=step_s, network=network, faults=faults, seed=self.seed)


def loss(size: int, seed: int, folder: Path) -> Result:
    """``size`` simulated federations, and of each hundred one on real lines."""
    torch.set_num_threads(1)
    counts = Counter[str]()
    for number in range(size):
        counts += _simulated(Seeded(size * seed + number))
    for number in range(-(-size // SEEDS_A_FEDERATION)):
        counts += _on_real_lines(folder / str(number), 1000 * seed + number)
    bad = counts["other bits"] + counts["left behind"] + counts["refusals"] + counts["did not end"]
    figure = f"{counts['simulated']} simulated federations and {counts['real']} on real lines "
    figure += f"({counts['frames lost']:,} frames lost, {counts['frames repeated']:,} sent {COPIES} times, "
    figure += f"{counts['connections cut']} times all connections cut): "
    figure += "the same bits as without" if not bad else f"{counts['other bits']} of other bits, {bad} faults in all"
    happened = counts["faults happened"] == counts["simulated"] == size and counts["frames lost"] > 0
    return Result(figure, not bad and happened, dict(counts))


def _simulated(seeded: Seeded) -> Counter[str]:
    expected_rounds: list[RoundReport] = []
    found_rounds: list[RoundReport] = []
    expected = seeded.clean().run(expected_rounds.append)
    simulation = seeded.faulty()
    found = simulation.run(found_rounds.append)
    same = _digits(expected.params) == _digits(found.params) and _told(expected_rounds) == _told(found_rounds)
    live = [site.node.snapshot() for site in simulation._sites.values() if site.node]
    ended = [each for each in live if each.phase == "finished"]
    happened = (
        sum(found.bytes_sent.values()) > sum(expected.bytes_sent.values())
        and found.virtual_s > expected.virtual_s
        and sum(site.life for site in simulation._sites.values()) > seeded.count
    )
    return Counter(
        {
            "simulated": 1,
            "other bits": int(not same),
            "left behind": sum(bool(each.inbox or each.outstanding) for each in ended),
            "refusals": sum(sum(each.values()) for each in found.refusals.values()),
            "faults happened": int(happened),
        }
    )


def _digits(models: Mapping[SiteId, Params]) -> dict[str, dict[str, str]]:
    return {name: in_digits(model) for name, model in sorted(models.items())}


def _told(rounds: list[RoundReport]) -> list[object]:
    return [(each.round_index, _digits(each.params), dict(each.loss)) for each in rounds]


def _on_real_lines(folder: Path, seed: int) -> Counter[str]:
    plan = Plan(rounds=4, seed=seed, numbers=2000)
    counts, chance = Counter[str](), random.Random(seed)
    sites = SmallSites(folder, plan, resend_after_s=RESEND_S)

    def prepare(transport: GrpcTransport) -> None:
        assert isinstance(transport, FaultyLines)
        transport.chance, transport.counts, transport._late = random.Random(chance.random()), counts, set()

    async def cut_now_and_then() -> None:
        while True:
            await asyncio.sleep(chance.uniform(2.0, 4.0))
            counts["connections cut"] += 1
            for proxy in sites.proxies.values():
                proxy.drop()

    ended = asyncio.run(
        sites.run(
            LONGEST_S, kind=FaultyLines, prepare=prepare, disturb=lambda: asyncio.ensure_future(cut_now_and_then())
        )
    )
    expected = undisturbed(plan).models
    counts["real"] += 1
    counts["did not end"] += not ended
    counts["other bits"] += sum(sites.models.get(name) != model for name, model in expected.items()) if ended else 0
    return counts


CAMPAIGNS = (
    Campaign(
        name="loss",
        promise="loss, duplicates, reorder",
        what="federations of three to five sites with eight pairs of algorithm and topology in lockstep, by seed: up "
        f"to 40 % loss a line, {COPIES} copies each with a delay of its own, outages, power cuts; and four sites with "
        f"gRPC and mutual TLS between them, {LOSS:.0%} of the frames lost, the others sent {COPIES} times within "
        f"{LATE_S} s, all connections cut now and then",
        run=loss,
        small=24,
        full=500,
    ),
)
