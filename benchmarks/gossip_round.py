"""What the federation costs on top of the arithmetic and the training it cannot do without.

Each arm runs in a process of its own, so that one's memory does not count for another; all ratios are of one run.

    average     four models of 30 M parameters are averaged in memory, weighted: the floor of any exchange
    sweep       a lockstep round of four such sites: node, codec, simulation, with a local step that costs nothing
    bare        optimiser steps of four sites of a small 3D network, in a plain loop
    simulated   the same steps inside a simulated gossip round

Run: python -m benchmarks.gossip_round [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.figures import Figure, conclude, options_parser
from gossamer.gossip import Mass, Params, SiteId, TrainerState, TrainResult, build_gossip
from gossamer.node.agreement import Agreement
from gossamer.node.kinds import make_node
from gossamer.runtime.simulation import Simulation

REPOSITORY = Path(__file__).parents[1]
SITES = tuple(SiteId(name) for name in "ABCD")
CASES = (10.0, 20.0, 30.0, 40.0)
STEPS = 5


def main() -> None:
    """Run all arms and print their figures."""
    parser = options_parser(__doc__)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.arm:
        print(json.dumps({"seconds": ARMS[options.arm](options.quick), "peak_mib": _peak_mib()}))
        return
    arms = {arm: _in_own_process(arm, options.quick, options.threads) for arm in ARMS}
    print(f"{'arm':12}{'seconds':>10}{'peak MiB':>10}")
    for arm, found in arms.items():
        print(f"{arm:12}{found['seconds']:10.3f}{found['peak_mib']:10.0f}")

    def ratio(of: str, to: str, what: str) -> float:
        return arms[of][what] / arms[to][what]

    figures = [
        Figure("gossip round to averaging in memory: time", ratio("sweep", "average", "seconds"), 4.0),
        Figure("gossip round to averaging in memory: peak memory", ratio("sweep", "average", "peak_mib"), 2.0),
        Figure("simulated round to its bare optimiser steps: time", ratio("simulated", "bare", "seconds"), 1.05),
    ]
    conclude(figures, options)


def average(quick: bool) -> float:
    """Seconds of one weighted average, the median of several."""
    models = [_model(site, quick) for site in range(len(SITES))]
    parts = [cases / sum(CASES) for cases in CASES]

    def once() -> None:
        for name in models[0]:
            mean = models[0][name] * parts[0]
            for model, part in zip(models[1:], parts[1:], strict=True):
                mean.add_(model[name], alpha=part)
            output[name] = mean

    output: dict[str, Tensor] = {}
    return _median_s(once, 9)


def sweep(quick: bool) -> float:
    """Seconds of one simulated round, the median of several."""
    ended_at: list[float] = []
    simulation = _simulation(
        [_model(site, quick) for site in range(len(SITES))], {site: Idle() for site in SITES}, rounds=10
    )
    simulation.run(lambda _: ended_at.append(time.perf_counter()))
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(ended_at))


def bare(quick: bool) -> float:
    """Seconds of the steps of one round, the median of several."""
    trainers = [Segmenter(site, quick) for site in range(len(SITES))]

    def once() -> None:
        for trainer in trainers:
            trainer.take_steps(STEPS)

    return _median_s(once, 3 if quick else 7)


def simulated(quick: bool) -> float:
    """Seconds of one simulated round with the same steps, the median of several."""
    trainers = {site: Segmenter(index, quick) for index, site in enumerate(SITES)}
    ended_at: list[float] = []
    models = [trainer.params() for trainer in trainers.values()]
    simulation = _simulation(models, trainers, rounds=4 if quick else 8)
    simulation.run(lambda _: ended_at.append(time.perf_counter()))
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(ended_at))


ARMS: dict[str, Callable[[bool], float]] = {
    "average": average,
    "sweep": sweep,
    "bare": bare,
    "simulated": simulated,
}


class Idle:
    """A local phase that changes one small tensor."""

    def fit(self, params: Params, *, steps: int, round_index: int, teachers: Sequence[Params] = ()) -> TrainResult:
        """Add one to the smallest tensor."""
        name = min(params, key=lambda name: params[name].numel())
        return TrainResult({**params, name: params[name] + 1}, steps, steps, 0.0)

    def state(self) -> TrainerState:
        """Nothing."""
        return TrainerState()

    def restore(self, state: TrainerState) -> None:
        """Nothing."""


class Segmenter:
    """A small 3D network on random patches."""

    def __init__(self, seed: int, quick: bool) -> None:
        edge = 8 if quick else 48
        torch.manual_seed(seed)
        widths = (1, 16, 32, 16, 7)
        layers = [
            layer
            for begin, end in itertools.pairwise(widths)
            for layer in (nn.Conv3d(begin, end, 3, padding=1), nn.InstanceNorm3d(end, affine=True), nn.LeakyReLU())
        ]
        self._network = nn.Sequential(*layers[:-2])
        self._optimizer = torch.optim.AdamW(self._network.parameters(), 1e-3, fused=True)
        self._image = torch.randn(1, 1, edge, edge, edge)
        self._target = (torch.rand(1, 7, edge, edge, edge) > 0.9).float()

    def take_steps(self, steps: int) -> float:
        """Optimiser steps; the last one's loss."""
        loss = torch.zeros(())
        for _ in range(steps):
            loss = nn.functional.binary_cross_entropy_with_logits(self._network(self._image), self._target)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
        return loss.item()

    def params(self) -> Params:
        """A copy."""
        return {name: tensor.detach().clone() for name, tensor in self._network.named_parameters()}

    def fit(self, params: Params, *, steps: int, round_index: int, teachers: Sequence[Params] = ()) -> TrainResult:
        """As ``gossip.Trainer`` has it."""
        with torch.no_grad():
            for name, tensor in self._network.named_parameters():
                tensor.copy_(params[name])
        loss = self.take_steps(steps)
        return TrainResult(self.params(), steps, steps, loss)

    def state(self) -> TrainerState:
        """The optimiser's moments."""
        return TrainerState(
            {
                f"{kind}.{index}": kept[kind].clone()
                for index, kept in enumerate(self._optimizer.state.values())
                for kind in ("exp_avg", "exp_avg_sq")
            }
        )

    def restore(self, state: TrainerState) -> None:
        """Only ever asked for at the start, when there is nothing to restore."""
        assert not state.tensors


def _simulation(
    models: Sequence[Params], trainers: dict[SiteId, Idle] | dict[SiteId, Segmenter], rounds: int
) -> Simulation:
    algorithm, topology = build_gossip("sweep", SITES, 0)
    agreement = Agreement("0" * 64, algorithm, topology, rounds)
    nodes = [
        make_node(site, agreement, Mass(cases), model) for site, cases, model in zip(SITES, CASES, models, strict=True)
    ]
    return Simulation(nodes, trainers, local_steps=STEPS)


def _model(seed: int, quick: bool) -> Params:
    """About 30 M parameters in 100 tensors, as an encoder and decoder have them: few large ones, many small ones."""
    generator = torch.Generator().manual_seed(seed)
    down = [32, 64, 128, *[192] * 5, 256, 256, 320, 320]
    widths = [*down, *reversed(down)]
    if quick:
        widths = [width // 4 for width in widths]
    model: dict[str, Tensor] = {}
    for block, (begin, end) in enumerate(zip([1, *widths[:-1]], widths, strict=True)):
        model[f"block.{block}.conv.weight"] = torch.randn(end, begin, 3, 3, 3, generator=generator)
        for name in ("conv.bias", "norm.weight", "norm.bias"):
            model[f"block.{block}.{name}"] = torch.randn(end, generator=generator)
    return model


def _median_s(once: Callable[[], None], times: int) -> float:
    once()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _in_own_process(arm: str, quick: bool, threads: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.gossip_round", "--arm", arm, "--threads", str(threads)]
    if quick:
        command.append("--quick")
    done = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
