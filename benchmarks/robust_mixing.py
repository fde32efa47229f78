"""One bad site of four: how far it drives the honest ones off, with the guard and without; and what the guard costs.

Each site pulls the parameters towards an optimum of its own, quadratically, with some noise; site D lies. A figure is
how far the honest sites are from their common optimum (root mean square, by cases), at its worst over the second half
of 50 rounds, in units of what training alone costs: the same for their own optima. So 1 means: no better than alone.
With nobody lying all four count.

The cost is the guard's processor time, to that of absorbing the same three shares of 30 M parameters.

Run: python -m benchmarks.robust_mixing [--quick] [--json FILE] [--threads 2]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import nan, sqrt

import torch
from torch import Tensor

from benchmarks.figures import Figure, conclude, options_parser
from gossamer.gossip import GossipState, Mass, Params, Share, SiteId, build_gossip, weighted_mean
from gossamer.gossip.clipping import ClippingGuard, after_training
from gossamer.gossip.guard import GuardState, MixingGuard, Report
from gossamer.gossip.mass_bounds import handed_over, most_by_schedule
from gossamer.gossip.trimming import TrimmingGuard

SITES = tuple(SiteId(name) for name in "ABCD")
BAD = SITES[-1]
HONEST = SITES[:-1]
CASES = {"A": 30.0, "B": 20.0, "C": 40.0, "D": 30.0}
SHAPES = {"body": (48,), "norm": (16,), "head.weight": (3, 8), "head.bias": (3,)}
ROUNDS = 50
"""One exchange each on a mesh, two in pairs."""
RATE = 0.3
"""Of a local phase: a step of a third towards the site's own optimum, along directions of curvature 1."""
NOISE = 0.015
"""Of a local phase, in each parameter; its pull is about 0.1 once sites agree."""
SPREAD = 0.3
"""How far sites' optima lie apart, to 1 for how far they all lie from the origin, and 3 for where training starts."""


def main() -> None:
    """Print the table of attacks, then the figures."""
    options = options_parser(__doc__).parse_args()
    torch.set_num_threads(options.threads)
    arms = {
        "plain, pairs": ("hypercube", None),
        "clipped, pairs": ("hypercube", ClippingGuard()),
        "plain, mesh": ("mesh", None),
        "clipped, mesh": ("mesh", ClippingGuard()),
        "trimmed, mesh": ("mesh", TrimmingGuard()),
    }
    worst = dict.fromkeys(arms, 0.0)
    print(f"| attack | {' | '.join(arms)} |\n|---|{'---:|' * len(arms)}", flush=True)
    for attack in list(ATTACKS)[: 3 if options.quick else None]:
        found = {
            arm: Federation(topology, guard, attack).run().displacement() for arm, (topology, guard) in arms.items()
        }
        worst = {arm: max(worst[arm], number) for arm, number in found.items()}
        print(f"| {attack} | {' | '.join(map(shown, found.values()))} |", flush=True)
    figures = [
        Figure(f"one bad site of four, {arm}: to training alone", number, BOUND)
        for arm, number in worst.items()
        if not arm.startswith("plain")
    ]
    noisy = [Federation("hypercube", ClippingGuard(), attack, 10 * NOISE).run().displacement() for attack in WORST]
    figures.append(Figure("the same with ten times the noise, clipped, pairs", max(noisy), NOISY_BOUND))
    figures.append(
        Figure("guard to absorb of three shares of 30 M parameters: processor time", cost(options.quick), 4.0)
    )
    conclude(figures, options)


def shown(number: float) -> str:
    """Two digits; what has run away has no number."""
    return f"{number:.2f}" if number < 100 else "∞"


@dataclass(frozen=True, eq=False)
class Scene:
    """What a liar knows: all.

    Attributes:
        share: what it would hand over if it were honest.
        honest: the honest sites' estimates.
        before: their mean before the last local phase.
        mine: the receiver's estimate.
        probe: what the receiver's own guard would make of parameters, if it has a guard.
    """

    share: Share
    honest: tuple[Params, ...]
    before: Params
    mine: Params
    probe: Callable[[Params], Params]


def each(function: Callable[..., Tensor], *params: Params) -> Params:
    """Tensor by tensor."""
    return {name: function(*(one[name] for one in params)) for name in params[0]}


def random(generator: torch.Generator, scale: float = 1.0) -> Params:
    """Normal numbers."""
    return {
        name: scale * torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in SHAPES.items()
    }


def seeded(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


START = random(seeded(1), 3.0)
DIRECTION = each(torch.sign, random(seeded(2)))
COMMON = random(seeded(3))
OPTIMA = {site: each(torch.add, COMMON, random(seeded(10 + place), SPREAD)) for place, site in enumerate(SITES)}
CURVATURE = {
    site: each(lambda drawn: 0.5 + drawn.abs().clamp(max=1.5), random(seeded(20 + place)))
    for place, site in enumerate(SITES)
}


def own_mass(site: SiteId) -> Mass:
    """All cases are annotated for all three structures."""
    return Mass(CASES[site], dict.fromkeys(("head.weight", "head.bias"), (CASES[site],) * 3))


MASSES = {site: own_mass(site) for site in SITES}


def scaled(factor: float, scene: Scene) -> Params:
    """All parameters times a factor."""
    return each(lambda x: factor * x, scene.share.params)


def noise(scene: Scene) -> Params:
    """Random numbers, other ones each time."""
    seed = int(scene.mine["body"][0].abs() * 1e6) % 2**31
    return random(seeded(seed), 5.0)


def drift(deviations: float, scene: Scene) -> Params:
    """Baruch et al. 2019, "A little is enough": the honest mean, so many standard deviations off, always one way."""
    stacked = each(lambda *xs: torch.stack(xs), *scene.honest)
    return each(lambda xs, way: xs.mean(0) - deviations * xs.std(0) * way, stacked, DIRECTION)


def inner_product(strength: float, scene: Scene) -> Params:
    """Xie et al. 2020: the honest sites' mean step, backwards."""
    after = each(lambda *xs: torch.stack(xs).mean(0), *scene.honest)
    return each(lambda old, new: old - strength * (new - old), scene.before, after)


def swapped_rows(scene: Scene) -> Params:
    """Structures change places in the output layer."""
    return {name: x[[1, 2, 0]] if name.startswith("head") else x for name, x in scene.share.params.items()}


def at_the_edge(scene: Scene) -> Params:
    """Made against this guard: always one way, as far as it goes without a strike."""
    allowed = scene.probe(each(lambda x, way: x + 1e6 * way, scene.mine, DIRECTION))
    return each(lambda x, edge: x + 1.9 * (edge - x), scene.mine, allowed)


def stale(scene: Scene) -> Params:
    """What it sent in the first round, ever again."""
    return START


ATTACKS: dict[str, Callable[[Scene], Params] | None] = {
    "none": None,
    "sign flip": partial(scaled, -1.0),
    "times 10": partial(scaled, 10.0),
    "times 1000": partial(scaled, 1000.0),
    "random noise": noise,
    "zeros": partial(scaled, 0.0),
    "drift of 1.5 deviations": partial(drift, 1.5),
    "drift of 10 deviations": partial(drift, 10.0),
    "inner product, 0.5 back": partial(inner_product, 0.5),
    "inner product, 3 back": partial(inner_product, 3.0),
    "swapped output rows": swapped_rows,
    "stale replay": stale,
    "NaN": partial(scaled, nan),
    "mass times 10⁶": partial(scaled, 1.0),
    "mass times 10⁶, sign flip": partial(scaled, -1.0),
    "at the guard's edge": at_the_edge,
}
"""None: D is honest."""

WORST = ("zeros", "at the guard's edge")
"""Where training is mostly noise, which a guard that measures by its site's own steps takes for movement."""

BOUND, NOISY_BOUND = 1.0, 1.8


class Federation:
    """Four sites in lockstep, algorithm ``sweep``; D's shares are forged on their way."""

    def __init__(self, topology: str, guard: MixingGuard | None, attack: str, noise: float = NOISE) -> None:
        """At the start."""
        self._noise = noise
        self.algorithm, self.topology = build_gossip("sweep", SITES, 0, topology=topology)
        self.attack = attack
        self.sites = SITES if ATTACKS[attack] is None else HONEST
        self.reports: list[tuple[SiteId, tuple[Report, ...]]] = []
        self.rounds: list[dict[SiteId, Params]] = [dict.fromkeys(SITES, START)]
        self._guard = guard
        self._guards = dict.fromkeys(SITES, GuardState())
        self._states = {site: self.algorithm.init(START, MASSES[site]) for site in SITES}
        self._generator = seeded(4)
        self._exchange = 0

    def run(self, rounds: int = ROUNDS) -> Federation:
        """Go on for so many rounds."""
        for _ in range(rounds):
            first = self._exchange
            for site in SITES:
                self._train(site)
            for _ in range(self.topology.exchanges_per_round):
                self._exchange_once(first)
            self._states = {site: self.algorithm.end_round(state) for site, state in self._states.items()}
            self.rounds.append({site: state.params for site, state in self._states.items()})
        return self

    def displacement(self) -> float:
        """See the head of the file."""
        return displacement(self.rounds[len(self.rounds) // 2 :], self.sites)

    def _train(self, site: SiteId) -> None:
        state = self._states[site]
        trained = each(
            lambda x, optimum, curvature, noise: x - RATE * curvature * (x - optimum) + noise,
            state.params,
            OPTIMA[site],
            CURVATURE[site],
            random(self._generator, self._noise),
        )
        self._states[site] = self.algorithm.replace(state, trained)
        after = self._states[site].params
        self._guards[site] = after_training(self._guards[site], state.params, after, MASSES[site])

    def _exchange_once(self, first: int) -> None:
        t = self._exchange
        honest = tuple(self._states[site].params for site in HONEST)
        mixing = {site: self.topology.mixing(site, t) for site in SITES}
        composed = {site: self.algorithm.compose(self._states[site], mixing[site], site) for site in SITES}
        for me, (kept, _) in composed.items():
            inbox = {sender: composed[sender][1][me] for sender in self.topology.senders(me, t)}
            screen = partial(
                (self._guard or ClippingGuard()).screen,
                self._guards[me],
                kept,
                most=most_by_schedule(self.topology, MASSES, me, first=first, exchange=t),
                handed=handed_over(kept.mass, mixing[me], me),
            )
            if BAD in inbox:
                inbox[BAD] = self._forged(inbox[BAD], honest, kept, screen)
            if self._guard and me != BAD:
                screened = screen(inbox)
                self._guards[me], inbox = screened.state, dict(screened.inbox)
                self.reports.append((me, screened.reports))
            self._states[me] = self.algorithm.absorb(kept, inbox, mixing[me], me)
        self._exchange += 1

    def _mean_before(self) -> Params:
        last = self.rounds[-1]
        return weighted_mean([last[site] for site in HONEST], [MASSES[site] for site in HONEST])

    def _forged(self, share: Share, honest: tuple[Params, ...], kept: GossipState, screen: partial) -> Share:
        forge = ATTACKS[self.attack]
        if forge is None:
            return share

        def probe(params: Params) -> Params:
            return screen({BAD: replace(share, params=params)}).inbox[BAD].params

        params = forge(Scene(share, honest, self._mean_before(), kept.params, probe))
        return Share(params, share.mass.scaled(1e6 if self.attack.startswith("mass") else 1.0))


def displacement(rounds: Sequence[Mapping[SiteId, Params]], sites: tuple[SiteId, ...]) -> float:
    """How far sites are from their common optimum at the worst of these times, in units of what training alone costs.

    Args:
        rounds: by site its estimate, at each time.
        sites: the honest ones.
    """
    optimum = _optimum(sites)
    alone = _root_mean_square([_distance(OPTIMA[site], optimum) for site in sites], sites)
    distances = [
        _root_mean_square([_distance(estimates[site], optimum) for site in sites], sites) for estimates in rounds
    ]
    return max(distances) / alone if all(each == each for each in distances) else float("inf")  # noqa: PLR0124


def cost(quick: bool) -> float:
    """Processor time of the guard to that of the absorb behind it, where nobody is clipped; medians."""
    entries = 10 if quick else 1000
    models = [
        {f"conv.{k}": torch.randn(entries, 1000, generator=seeded(100 * place + k)) for k in range(30)}
        for place in range(4)
    ]
    algorithm, topology = build_gossip("sweep", SITES, 0, topology="mesh")
    states = {site: algorithm.init(model, Mass(30.0)) for site, model in zip(SITES, models, strict=True)}
    mixing = topology.mixing(SITES[0], 0)
    kept, _ = algorithm.compose(states[SITES[0]], mixing, SITES[0])
    inbox = {site: algorithm.compose(states[site], topology.mixing(site, 0), site)[1][SITES[0]] for site in SITES[1:]}
    most = dict.fromkeys(inbox, Mass(30.0))
    guard, absorbing, screening = ClippingGuard(), list[float](), list[float]()
    for _ in range(9):
        began = time.process_time()
        algorithm.absorb(kept, inbox, mixing, SITES[0])
        absorbing.append(time.process_time() - began)
        began = time.process_time()
        screened = guard.screen(GuardState(), kept, inbox, most=most, handed={})
        screening.append(time.process_time() - began)
        assert all(screened.inbox[sender] is share for sender, share in inbox.items())
    print(f"\nabsorb {statistics.median(absorbing):.3f} s, guard {statistics.median(screening):.3f} s")
    return statistics.median(screening) / statistics.median(absorbing)


def _optimum(sites: tuple[SiteId, ...]) -> Params:
    """Where the gradients of these sites, weighted by cases, cancel out."""
    pulls = [each(lambda h, c, m=CASES[s]: m * h * c, CURVATURE[s], OPTIMA[s]) for s in sites]
    weights = [each(lambda h, m=CASES[s]: m * h, CURVATURE[s]) for s in sites]
    return each(torch.div, each(lambda *xs: sum(xs), *pulls), each(lambda *xs: sum(xs), *weights))


def _distance(ours: Params, theirs: Params) -> float:
    return sqrt(sum(float((ours[name] - theirs[name]).square().sum()) for name in ours))


def _root_mean_square(distances: list[float], sites: tuple[SiteId, ...]) -> float:
    weights = [CASES[site] for site in sites]
    return sqrt(sum(w * d * d for w, d in zip(weights, distances, strict=True)) / sum(weights))


if __name__ == "__main__":
    main()
