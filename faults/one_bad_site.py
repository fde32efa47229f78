"""One bad site of four: real nodes and frames on the virtual clock; what the bad one sends is forged on its way.

The problem is that of ``benchmarks.robust_mixing``: each site pulls the parameters towards an optimum of its own. The
figure is how far the honest sites are from their common optimum, at its worst over the second half of the run and in
the models at its end, in units of what training alone costs them: 1 means no better than alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count, islice
from math import nan
from pathlib import Path
from typing import Literal

import torch
from benchmarks.robust_mixing import (
    BAD,
    CURVATURE,
    HONEST,
    MASSES,
    NOISE,
    OPTIMA,
    RATE,
    SITES,
    START,
    displacement,
    each,
    random,
    seeded,
)

from faults.campaign import Campaign, Result
from gossamer.gossip import Params, SiteId, TrainerState, TrainResult, build_gossip
from gossamer.gossip.choices import Pace
from gossamer.gossip.registry import GUARDS
from gossamer.node.agreement import Agreement
from gossamer.node.kinds import make_node
from gossamer.runtime.network import Line, Network
from gossamer.runtime.rounds import RoundReport
from gossamer.runtime.simulated_site import SimulatedSite
from gossamer.runtime.simulation import Simulation
from gossamer.wire.messages import Message, News, ShareMessage

FEDERATION = "b" * 64

Forgery = Callable[[ShareMessage, int], ShareMessage]
"""What becomes of a share of the bad site; the number counts its shares."""


class Pull:
    """A local phase: a step towards the site's own optimum, with noise."""

    def __init__(self, site: SiteId, seed: int) -> None:
        self._site, self._seed, self._phases = site, seed, 0

    def fit(self, params: Params, *, steps: int, round_index: int, teachers: object = ()) -> TrainResult:
        """One phase."""
        generator = seeded(1000 * self._seed + 100 * SITES.index(self._site) + self._phases)
        self._phases += 1
        trained = each(
            lambda x, optimum, curvature, noise: (x - RATE * curvature * (x - optimum) + noise).float(),
            params,
            OPTIMA[self._site],
            CURVATURE[self._site],
            random(generator, NOISE),
        )
        return TrainResult(trained, steps, steps, 0.0)

    def state(self) -> TrainerState:
        """How many phases there were."""
        return TrainerState({}, {"phases": self._phases})

    def restore(self, state: TrainerState) -> None:
        """Go back."""
        self._phases = int(state.values["phases"])


def times(factor: float, message: ShareMessage, number: int) -> ShareMessage:
    """All parameters times a factor."""
    return _with_params(message, each(lambda x: factor * x, message.share.params))


def noise(message: ShareMessage, number: int) -> ShareMessage:
    """Random numbers, other ones each time."""
    return _with_params(message, each(torch.Tensor.float, random(seeded(number), 5.0)))


def swapped_rows(message: ShareMessage, number: int) -> ShareMessage:
    """Structures change places in the output layer."""
    params = {name: x[[1, 2, 0]] if name.startswith("head") else x for name, x in message.share.params.items()}
    return _with_params(message, params)


def stale(message: ShareMessage, number: int) -> ShareMessage:
    """What it began with, ever again."""
    return _with_params(message, each(torch.Tensor.float, START))


def claimed(factor: float, message: ShareMessage, number: int) -> ShareMessage:
    """The sign flipped, and another mass than it has."""
    flipped = times(-1.0, message, number)
    return replace(flipped, share=replace(flipped.share, mass=flipped.share.mass.scaled(factor)))


def far_ahead(message: ShareMessage, number: int) -> ShareMessage:
    """The sign flipped, and news of rounds that nobody has done, but fewer than would end the run."""
    phases = tuple(min(count + 8, ROUNDS * len(SITES) // 10) for count in message.news.phases)
    return replace(times(-1.0, message, number), news=News(phases, message.news.heard))


def last_word(message: ShareMessage, number: int) -> ShareMessage:
    """Honest until the end."""
    return times(-10.0, message, number) if message.role == "last" else message


ROUNDS = 50

ATTACKS: dict[str, Forgery] = {
    "sign flip": partial(times, -1.0),
    "times 1000": partial(times, 1000.0),
    "random noise": noise,
    "zeros": partial(times, 0.0),
    "swapped output rows": swapped_rows,
    "stale replay": stale,
    "NaN": partial(times, nan),
    "mass times 10⁶": partial(claimed, 1e6),
    "mass times 1.9": partial(claimed, 1.9),
    "hardly any mass": partial(claimed, 0.01),
}

ASYNCHRONOUS_ATTACKS: dict[str, Forgery] = {**ATTACKS, "far ahead": far_ahead, "last word": last_word}


class Forged(Simulation):
    """A simulation in which the shares of one site are forged."""

    forgery: Forgery | None = None
    forged = 0

    def _send(self, site: SimulatedSite, to: SiteId, message: Message) -> None:
        if site.name == BAD and isinstance(message, ShareMessage) and self.forgery is not None:
            self.forged += 1
            message = self.forgery(message, self.forged)
        super()._send(site, to, message)


def displacement_under(
    forgery: Forgery | None, pace: Pace, guard: Literal["clipping", "trimming"] | None, seed: int
) -> tuple[float, Forged]:
    """How far the honest sites are driven off; see the head of the file."""
    asynchronous = pace == "asynchronous"
    name, topology = ("pushsum", None) if asynchronous else ("sweep", "mesh")
    algorithm, schedule = build_gossip(name, SITES, 0, topology=topology, asynchronous=asynchronous)
    agreement = Agreement(
        FEDERATION,
        algorithm,
        schedule,
        ROUNDS,
        resend_after_s=30.0,
        pace=pace,
        guard=GUARDS[guard]() if guard else None,
        masses=MASSES,
    )
    start = each(torch.Tensor.float, START)
    simulation = Forged(
        [make_node(site, agreement, MASSES[site], start) for site in SITES],
        {site: Pull(site, seed) for site in SITES},
        local_steps=1,
        step_s={site: 60.0 + place for place, site in enumerate(SITES)},
        network=Network(Line(delay_s=1.0)),
        seed=seed,
    )
    simulation.forgery = forgery
    rounds: list[RoundReport] = []
    result = simulation.run(rounds.append)
    sites = HONEST if forgery else SITES
    seen = [each_round.params for each_round in rounds[len(rounds) // 2 :]]
    return displacement([*seen, result.params], sites), simulation


CONTROLS = ("sign flip", "random noise", "mass times 1.9")
"""What is run without a guard too: there numbers that are none stop the run, rather than spoil it."""

Run = tuple[int, Pace, str]
"""Seed, pace, attack."""


def runs(seed: int) -> Iterator[Run]:
    """Every attack at both paces, with one seed after another; the asynchronous pace first, for it is the default."""
    for number in count(seed):
        yield from ((number, "asynchronous", attack) for attack in ASYNCHRONOUS_ATTACKS)
        yield from ((number, "lockstep", attack) for attack in ATTACKS)


def run(size: int, seed: int, folder: Path) -> Result:
    """So many runs with a guard; the same without anyone lying, and the controls."""
    under_attack = {
        (number, pace, attack): displacement_under(ASYNCHRONOUS_ATTACKS[attack], pace, "clipping", number)[0]
        for number, pace, attack in islice(runs(seed), size)
    }
    paces = sorted({pace for _, pace, _ in under_attack})
    honest = {pace: displacement_under(None, pace, "clipping", seed)[0] for pace in paces}
    unguarded = [displacement_under(ATTACKS[name], pace, None, seed)[0] for pace in paces for name in CONTROLS]
    worst = max(under_attack, key=lambda run: under_attack[run])
    figure = (
        f"{size} runs under {len(ASYNCHRONOUS_ATTACKS)} attacks: at worst {under_attack[worst]:.2f} of what training "
        f"alone costs ({worst[2]}, {worst[1]}); nobody lying: "
        f"{', '.join(f'{honest[pace]:.2f} {pace}' for pace in paces)}; without a guard at least {min(unguarded):.2f}"
    )
    counts = {"worst": under_attack[worst], "least without a guard": min(unguarded), **honest}
    return Result(figure, under_attack[worst] <= 1 < min(unguarded), counts)


def _with_params(message: ShareMessage, params: Params) -> ShareMessage:
    return replace(message, share=replace(message.share, params=params))


CAMPAIGNS = (
    Campaign(
        "one-bad-site",
        "one bad site of four: never below training alone",
        "its shares are forged on their way: eight kinds of parameters, four kinds of claims, at both paces",
        run,
        small=12,
        full=220,
    ),
)
