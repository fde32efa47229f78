"""A site's local training: the PyTorch end of ``gossip.trainer.Trainer``.

Law: parameters, state and arguments alike give the same bits. What is random in step t (places, augmentation) depends
on (seed, site, t) alone, the learning rate on t alone, and t is part of the state; so a run that was cut off and
restored goes on as if it had not been, however its steps fall into rounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor

from gossamer.data.plan import Plan
from gossamer.data.prepared import PreparedCase
from gossamer.errors import ScheduleError
from gossamer.gossip.algorithm import Params
from gossamer.gossip.trainer import TrainerState, TrainResult
from gossamer.learn.batch import Batch, batch_of
from gossamer.learn.compute import compute_for, flushed_denormals
from gossamer.learn.losses import segmentation_loss
from gossamer.learn.patches import PatchMaker
from gossamer.learn.recipe import Recipe
from gossamer.learn.schedule import learning_rate
from gossamer.learn.workers import PatchWorkers
from gossamer.nets import build_network, load_parameters, parameters_of

MOMENTS = ("exp_avg", "exp_avg_sq")
"""AdamW's state per parameter; it stays at the site."""


class SegmentationTrainer:
    """Trains one site's network on its own cases; implements ``gossip.trainer.Trainer``."""

    def __init__(
        self,
        cases: Sequence[PreparedCase],
        plan: Plan,
        recipe: Recipe,
        *,
        seed: int,
        site: str,
        total_steps: int,
        fabric: Fabric | None = None,
    ) -> None:
        """Build the network and optimiser.

        Args:
            cases: the site's training cases.
            plan: network, patch and intensities.
            recipe: all numbers of training.
            seed: of this run; sites draw from it independently.
            site: the site's name.
            total_steps: optimiser steps of a site in all rounds; the learning rate's schedule.
            fabric: device and precision; ``compute_for(recipe)`` if not given.

        Raises:
            NoTrainingCaseError: there is no case.
            PlanError: the network cannot be built.
        """
        self._recipe = recipe
        self._site = site
        self._total_steps = total_steps
        self._step = 0
        self._fabric = fabric or compute_for(recipe)
        self._patches = PatchWorkers(PatchMaker(cases, plan, recipe, seed, site), recipe.workers)
        self._network = build_network(plan, seed)
        self._network.to(self._fabric.device)
        self._names = [name for name, _ in self._network.named_parameters()]
        self._weights = list(self._network.parameters())
        optimizer = torch.optim.AdamW(
            self._weights, recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True
        )
        self._module, self._optimizer = self._fabric.setup(self._network, optimizer)

    def fit(self, params: Params, *, steps: int, round_index: int, teachers: Sequence[Params] = ()) -> TrainResult:
        """Train ``steps`` steps on from ``params``.

        Args:
            params: where to start.
            steps: optimiser steps.
            round_index: from 0; where in the schedule of the learning rate the run stands. A site that skips rounds
                follows it. What is random follows the step, which runs through all of this site's rounds.
            teachers: must be empty; this trainer learns from labels alone.

        Raises:
            PlanError: ``params`` are not this network's.
            ScheduleError: there are teachers, or the loss is no longer finite.
        """
        if teachers:
            raise ScheduleError(
                f"site {self._site}: wanted an algorithm without teachers; found {len(teachers)}; "
                "mutual learning needs a trainer that knows it"
            )
        load_parameters(self._network, params)
        start = [weight.detach().clone() for weight in self._weights] if self._recipe.proximal_mu else []
        with flushed_denormals():
            losses = [self._take_step(start, round_index * steps + step) for step in range(steps)]
        self._optimizer.zero_grad(set_to_none=True)
        loss = float(torch.stack(losses).mean()) if losses else 0.0
        if not math.isfinite(loss):
            raise ScheduleError(
                f"site {self._site}: wanted a finite loss; found {loss} within the {steps} steps before step "
                f"{self._step}; lower the recipe's learning rate, or train in 32-true precision"
            )
        return TrainResult(parameters_of(self._network), steps, steps * self._recipe.batch_size, loss)

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self._fabric.device

    def loss_on(self, params: Params, batches: Sequence[Batch]) -> float:
        """The mean loss of parameters on batches, without a step.

        Raises:
            PlanError: ``params`` are not this network's.
        """
        load_parameters(self._network, params)
        with torch.no_grad(), flushed_denormals():
            return float(torch.stack([self._loss(batch) for batch in batches]).mean())

    def state(self) -> TrainerState:
        """Steps taken, and the optimiser's moments."""
        moments = {
            f"{moment}.{name}": kept[moment].detach().to("cpu", copy=True)
            for name, kept in self._kept()
            for moment in MOMENTS
            if kept
        }
        return TrainerState(moments, {"step": self._step})

    def restore(self, state: TrainerState) -> None:
        """Go back to ``state``."""
        self._step = int(state.values["step"])
        self._optimizer.state.clear()
        if state.tensors:
            for name, weight in zip(self._names, self._weights, strict=True):
                self._optimizer.state[weight] = self._moments_from(state.tensors, name)

    def close(self) -> None:
        """End the worker processes, if there are any."""
        self._patches.close()

    def _take_step(self, start: Sequence[Tensor], place: int) -> Tensor:
        """One optimiser step, at a place in the schedule of the learning rate; returns its loss."""
        self._set_learning_rate(place)
        batch = self._next_batch()
        loss = self._loss(batch)
        self._optimizer.zero_grad(set_to_none=True)
        self._fabric.backward(loss)
        self._pull_towards(start)
        self._optimizer.step()
        self._step += 1
        return loss.detach()

    def _loss(self, batch: Batch) -> Tensor:
        logits = self._module(batch.images)
        return segmentation_loss(
            logits.float(), batch.targets, batch.annotated, self._recipe.dice, self._recipe.bce_share
        )

    def _set_learning_rate(self, place: int) -> None:
        rate = learning_rate(place, self._total_steps, self._recipe)
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def _next_batch(self) -> Batch:
        first = self._step * self._recipe.batch_size
        patches = self._patches.patches(range(first, first + self._recipe.batch_size))
        return batch_of(patches, self._fabric.device)

    def _pull_towards(self, start: Sequence[Tensor]) -> None:
        """Add the gradient of FedProx's (mu / 2) |w - w_start|^2."""
        for weight, origin in zip(self._weights, start, strict=False):
            assert weight.grad is not None
            weight.grad.add_(weight.detach() - origin, alpha=self._recipe.proximal_mu)

    def _kept(self) -> list[tuple[str, Mapping[str, Tensor]]]:
        return [
            (name, self._optimizer.state.get(weight, {}))
            for name, weight in zip(self._names, self._weights, strict=True)
        ]

    def _moments_from(self, tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
        device = self._fabric.device
        moments = {moment: tensors[f"{moment}.{name}"].to(device, copy=True) for moment in MOMENTS}
        return moments | {"step": torch.tensor(float(self._step), device=device)}
