"""A gossip algorithm of your own beside the built-in ones, in one study on synthetic patients.

Quasi-global momentum (Lin et al., ICML 2021, arXiv 2102.04761, algorithm 1): a momentum made of what a *whole round*
changed, exchange included. At sites whose data differ it so points where all of them go, and costs no bytes: it never
leaves the site.

Run: python examples/own_algorithm.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from gossamer import (
    Arm,
    GossipAlgorithm,
    GossipState,
    Mass,
    Params,
    PlanRules,
    Recipe,
    Schedule,
    Share,
    SiteId,
    Study,
    StudyResults,
    Topology,
    build_gossip,
    closing_table,
    run_study,
    write_cohort,
)
from gossamer.cli.console import Teller

SITES = "ABCD"
STRUCTURES = ("Liver", "Kidney_L", "Kidney_R", "SpinalCord")


class QuasiGlobalMomentum(GossipAlgorithm):
    """Another algorithm's exchange, with the paper's momentum around it.

    Let x be the estimate a round begins with, x' the one it ends with, and d the momentum:

        after training: x_half = trained + beta d;  the exchange makes x' of it;  then d <- beta d + (1 - beta) (x' - x)

    The paper takes one step of SGD between two exchanges, divides x' - x by its learning rate, and sets beta to 0.9.
    Here a round has many steps of AdamW, which have a momentum themselves: so d is in units of parameters, and beta is
    smaller.
    """

    name = "quasi-global-momentum"

    def __init__(self, base: GossipAlgorithm, beta: float = 0.5) -> None:
        self.base = base
        self.beta = beta

    def init(self, params: Params, own: Mass) -> GossipState:
        """No momentum yet."""
        return self.base.init(params, own)

    def replace(self, state: GossipState, params: Params) -> GossipState:
        """Push on what training made, and remember where the round began."""
        start = {f"start/{name}": tensor for name, tensor in self.estimate(state).items()}
        drift = {f"drift/{name}": state.extra.get(f"drift/{name}", torch.zeros_like(params[name])) for name in params}
        pushed = {name: torch.add(params[name], drift[f"drift/{name}"], alpha=self.beta) for name in params}
        return replace(self.base.replace(state, pushed), extra={**start, **drift})

    def end_round(self, state: GossipState) -> GossipState:
        """Take what the whole round changed into the momentum."""
        state = self.base.end_round(state)
        kept = {f"drift/{name}": self._drift(name, state) for name in state.params}
        return replace(state, extra=kept)

    def _drift(self, name: str, state: GossipState) -> torch.Tensor:
        changed = self.estimate(state)[name] - state.extra[f"start/{name}"]
        return torch.lerp(changed, state.extra[f"drift/{name}"], self.beta)

    # The exchange is the other algorithm's.

    def compose(
        self, state: GossipState, mixing: Mapping[SiteId, float], me: SiteId
    ) -> tuple[GossipState, dict[SiteId, Share]]:
        """The other's shares."""
        return self.base.compose(state, mixing, me)

    def absorb(
        self, state: GossipState, inbox: Mapping[SiteId, Share], mixing: Mapping[SiteId, float], me: SiteId
    ) -> GossipState:
        """The other's merge."""
        return self.base.absorb(state, inbox, mixing, me)

    def estimate(self, state: GossipState) -> Params:
        """The other's estimate."""
        return self.base.estimate(state)

    def check(self, topology: Topology) -> None:
        """Refuse what the other refuses."""
        self.base.check(topology)


SMALL = PlanRules(channels=(8, 16, 32), patch_voxels=32**3, case_voxels=100_000)
TINY = PlanRules(channels=(8, 16, 32), patch_voxels=16**3, case_voxels=20_000)


def make_study(*, quick: bool) -> Study:
    """Plain averaging on a ring, without and with the momentum, beside training alone and pooled."""
    exchanging = (Schedule(local_steps=5),)
    return Study(
        title="An algorithm of my own",
        datasets=tuple(SITES),
        structures=STRUCTURES,
        seeds=(0,),
        steps=20 if quick else 240,
        validations=2,
        plan=TINY if quick else SMALL,
        recipe=Recipe(learning_rate=4e-3, threads=1),
        arms={
            "local-only": Arm(kind="local-only", schedules=(Schedule(),)),
            "pooled": Arm(kind="pooled", schedules=(Schedule(),)),
            "dpsgd": Arm(kind="federated", algorithm="dpsgd", topology="ring", schedules=exchanging),
            "momentum": Arm(
                kind="federated", algorithm=QuasiGlobalMomentum.name, topology="ring", schedules=exchanging
            ),
        },
    )


def run(folder: Path, *, quick: bool) -> StudyResults:
    """Draw patients, run the study and print its closing table; run again, it goes on where it stopped."""
    write_cohort(folder / "cohort", train=2 if quick else 8, val=1 if quick else 4)
    plain_averaging, _ = build_gossip("dpsgd", [SiteId(site) for site in SITES], seed=0)
    own = QuasiGlobalMomentum(plain_averaging)
    study, results = make_study(quick=quick), folder / "results"
    found = run_study(study, home=folder / "cohort", folder=results, watch=Teller(), algorithms={own.name: own})
    Console().print(closing_table(found, results / "cases.csv"))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two patients a hospital and 20 steps: does it run?")
    parser.add_argument("--out", type=Path, default=Path("own-algorithm"), help="folder for patients and results")
    options = parser.parse_args()
    run(options.out, quick=options.quick)
