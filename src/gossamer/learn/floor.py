"""The floor: a site does not train on from a model that is much worse on its own patients than what it had.

Law
    1. As long as no estimate falls through the floor, the bits are those of training without it.
    2. Where one does, the local phase begins from the best parameters that this site's training has made so far. To the
       federation that is a step like any other: masses and means are as if training had led there.
    3. What is judged never leaves the site.

The measure is the training loss on fixed patches of the site's validation patients, which costs about as much as a few
optimiser steps. An estimate falls through when it has lost more than ``MOST_LOST`` of all that was gained since the
first one: single phases differ by less, and a spoilt model by far more. Before half of the first loss is gained, it
may lose as much as from then on: at the beginning a mean is often worse than what each site made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from threading import Lock

from gossamer.data.plan import Plan
from gossamer.data.prepared import PreparedCase
from gossamer.gossip.algorithm import Params
from gossamer.gossip.trainer import Trainer, TrainerState, TrainResult
from gossamer.learn.batch import batch_of
from gossamer.learn.patches import PatchMaker
from gossamer.learn.recipe import Recipe
from gossamer.learn.trainer import SegmentationTrainer

MOST_LOST = 0.25
"""Part of the gain in loss."""

PATCHES = 8
"""Of validation patients; they hold most structures of a site at least once."""

BEST = "floor."
"""Before the names of the best parameters in the trainer's state."""


class FlooredTrainer:
    """A trainer that stands on a floor; itself one."""

    def __init__(self, trainer: Trainer, loss_of: Callable[[Params], float]) -> None:
        """Around another trainer.

        Args:
            trainer: does the training.
            loss_of: how parameters do on the site's validation patients; the same bits for the same parameters.
        """
        self._trainer = trainer
        self._loss_of = loss_of
        self._at_work = Lock()  # there is one network
        self._best: Params = {}
        self._best_loss = self._first_loss = inf
        self.held = 0
        """Local phases that did not begin from the estimate they were given."""

    @property
    def best(self) -> Params:
        """What this site's training has made that did best; empty before the first phase."""
        return self._best

    def falls_through(self, params: Params) -> bool:
        """Whether parameters are too bad to train on from, or to use; in any thread: it waits for a phase to end."""
        with self._at_work:
            return bool(self._best) and self._is_too_much(self._loss_of(params))

    def fit(self, params: Params, *, steps: int, round_index: int, teachers: Sequence[Params] = ()) -> TrainResult:
        """A local phase, from ``params`` or from the best so far; see ``gossip.trainer.Trainer``."""
        with self._at_work:
            return self._fit(params, steps, round_index, teachers)

    def _fit(self, params: Params, steps: int, round_index: int, teachers: Sequence[Params]) -> TrainResult:
        loss = self._loss_of(params)
        self._first_loss = loss if self._first_loss == inf else self._first_loss
        began = self._best if self._best and self._is_too_much(loss) else None
        self.held += began is not None
        result = self._trainer.fit(
            params if began is None else began, steps=steps, round_index=round_index, teachers=teachers
        )
        made = self._loss_of(result.params)
        if made < self._best_loss:
            self._best, self._best_loss = result.params, made
        return replace(result, began=began)

    def state(self) -> TrainerState:
        """The trainer's, with the best parameters and losses."""
        state = self._trainer.state()
        best = {BEST + name: tensor for name, tensor in self._best.items()}
        losses = {BEST + "first": self._first_loss, BEST + "best": self._best_loss, BEST + "held": self.held}
        known = losses if self._best else {}
        return TrainerState({**state.tensors, **best}, {**state.values, **known})

    def restore(self, state: TrainerState) -> None:
        """Go back to ``state``."""
        self._best = {name.removeprefix(BEST): each for name, each in state.tensors.items() if name.startswith(BEST)}
        self._first_loss = float(state.values.get(BEST + "first", inf))
        self._best_loss = float(state.values.get(BEST + "best", inf))
        self.held = int(state.values.get(BEST + "held", 0))
        tensors = {name: each for name, each in state.tensors.items() if not name.startswith(BEST)}
        values = {name: each for name, each in state.values.items() if not name.startswith(BEST)}
        self._trainer.restore(TrainerState(tensors, values))

    def _is_too_much(self, loss: float) -> bool:
        gained = max(self._first_loss / 2, self._first_loss - self._best_loss)
        return not loss <= self._best_loss + MOST_LOST * gained  # no number is too much as well


def floor_under(
    trainer: SegmentationTrainer, cases: Sequence[PreparedCase], plan: Plan, recipe: Recipe, *, seed: int, site: str
) -> FlooredTrainer | None:
    """A trainer on a floor of validation patients.

    Args:
        trainer: the site's.
        cases: its validation patients; without any there is no floor.
        plan: the federation's.
        recipe: as for training.
        seed: of the run.
        site: the site's name.
    """
    if not cases:
        return None
    maker = PatchMaker(cases, plan, recipe, seed, f"floor of {site}")
    batches = [batch_of([maker.patch(index)], trainer.device) for index in range(PATCHES)]
    return FlooredTrainer(trainer, lambda params: trainer.loss_on(params, batches))
