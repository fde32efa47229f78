"""The seam between the federation and whatever is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from gossamer.gossip.algorithm import Params


@dataclass(frozen=True)
class TrainResult:
    """What a local phase made.

    Attributes:
        params: the parameters after the phase; new tensors.
        steps: optimiser steps taken.
        samples: samples (patches) seen.
        loss: mean training loss over the phase.
        began: where the phase began, if the trainer did not trust the parameters it was given.
    """

    params: Params
    steps: int
    samples: int
    loss: float
    began: Params | None = None


@dataclass(frozen=True)
class TrainerState:
    """What a trainer must find again after a stop: optimiser moments and counters, as plain data.

    Attributes:
        tensors: by name; never changed in place.
        values: numbers and strings that JSON can hold.
    """

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    values: Mapping[str, int | float | str | bool] = field(default_factory=dict)


class Trainer(Protocol):
    """One site's local training. ``fit`` with the same state, parameters and arguments gives the same bits."""

    def fit(self, params: Params, *, steps: int, round_index: int, teachers: Sequence[Params] = ()) -> TrainResult:
        """Train ``steps`` optimiser steps on from ``params``; randomness comes from (seed, site, round_index)."""
        ...

    def state(self) -> TrainerState:
        """What ``restore`` needs to go on from here."""
        ...

    def restore(self, state: TrainerState) -> None:
        """Go back to ``state``."""
        ...
