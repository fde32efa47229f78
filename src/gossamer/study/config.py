"""The study file: which hospitals, which arms, how much compute, which seeds.

A study is one TOML file. Everything that changes a result stands in it (or is a default stated here), so that
its hash together with the data's hashes says what was run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator

from gossamer.data.description import SAFE_ID
from gossamer.data.labels import standard_name
from gossamer.data.planning import DEFAULT_RULES, PlanRules
from gossamer.documents import parse_toml
from gossamer.errors import UsageError
from gossamer.evaluate.metrics import check_metrics
from gossamer.gossip.choices import GuardName, MachinesName, Pace
from gossamer.learn.recipe import Recipe

ArmKind = Literal["local-only", "pooled", "federated"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(_Section):
    """One way for an arm to spend its compute."""

    batch_size: PositiveInt = 1
    """Patches a step."""
    local_steps: PositiveInt | None = None
    """Optimiser steps between two exchanges; federated arms only."""
    learning_rate: PositiveFloat | None = None
    """Peak learning rate; by default the recipe's."""

    @property
    def name(self) -> str:
        """How the report names it."""
        words = [f"{self.batch_size} patch{'es' if self.batch_size > 1 else ''} a step"]
        if self.local_steps is not None:
            words.append(f"exchange every {self.local_steps}")
        if self.learning_rate is not None:
            words.append(f"rate {self.learning_rate:g}")
        return ", ".join(words)

    @property
    def slug(self) -> str:
        """The same, fit for a file's name."""
        return self.name.replace(", ", "-").replace(" ", "-")


class Arm(_Section):
    """One arm of the study."""

    kind: ArmKind
    algorithm: str = "sweep"
    """Federated arms: a key of ``gossamer.gossip.ALGORITHMS``, or a name given to ``run_study``."""
    topology: str | None = None
    """Federated arms: a key of ``gossamer.gossip.TOPOLOGIES``; by default the algorithm's own."""
    pace: Pace = "lockstep"
    """Federated arms: whether sites wait for each other; "asynchronous" takes the algorithm "pushsum"."""
    machines: MachinesName = "fets"
    """Federated arms: whose clocks and lines are simulated; in lockstep they change the simulated time alone."""
    guard: GuardName | None = None
    """Federated arms: what each site lets into its mean of what peers send; by default all."""
    proximal_mu: float = Field(default=0.0, ge=0)
    """FedProx: weight of the pull towards the parameters a local phase starts from."""
    label_aware: bool = True
    """Whether each structure's output row counts by the cases annotated for it."""
    schedules: tuple[Schedule, ...] = Field(min_length=1)
    """The schedules among which the arm chooses on validation patients."""


class Study(_Section):
    """A whole study file.

    Compute is equal over the arms: each arm sees ``steps * batch_size`` patches for each site. A pooled run of
    one patch a step so takes (number of sites) * steps steps.
    """

    title: str
    datasets: tuple[str, ...] = Field(min_length=1)
    """Dataset folders, one a site; relative to the study file."""
    structures: tuple[str, ...] = Field(min_length=1)
    """TG-263 names; one output channel each."""
    seeds: tuple[int, ...] = Field(default=(0, 1), min_length=1)
    steps: PositiveInt = 1400
    """Optimiser steps of one site at one patch a step."""
    validations: PositiveInt = 7
    """How often each run is scored on validation patients while it trains; the best of these is its checkpoint."""
    select_on: str = "dsc"
    """Metric by which checkpoint and schedule are chosen: on the plan's grid, where only DSC is cheap enough."""
    tolerance_mm: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Surface DSC tolerance by structure, where it differs from ``gossamer.evaluate.tolerance``."""
    plan: PlanRules = DEFAULT_RULES
    recipe: Recipe = Recipe()
    arms: dict[str, Arm] = Field(min_length=1)

    @field_validator("select_on")
    @classmethod
    def _metric_is_taken_while_training(cls, metric: str) -> str:
        check_metrics((metric,))
        if metric != "dsc":
            raise ValueError("checkpoints and schedules are chosen by 'dsc', the one metric taken while training")
        return metric

    @field_validator("structures", "seeds")
    @classmethod
    def _each_once(cls, values: tuple[object, ...]) -> tuple[object, ...]:
        if len(set(values)) < len(values):
            raise ValueError("each may stand here once")
        return values

    @field_validator("arms")
    @classmethod
    def _arms_make_sense(cls, arms: dict[str, Arm]) -> dict[str, Arm]:
        for name, arm in arms.items():
            if not SAFE_ID.fullmatch(name):
                raise ValueError(
                    f"arm {name!r}: its name becomes a folder's; take at most 64 letters, digits, '.', '_' or '-', "
                    "a letter or digit first"
                )
            if len({schedule.name for schedule in arm.schedules}) < len(arm.schedules):
                raise ValueError(f"arm {name!r}: two of its schedules are the same; name each once")
            for schedule in arm.schedules:
                if (arm.kind == "federated") != (schedule.local_steps is not None):
                    raise ValueError(
                        f"arm {name!r}: local_steps belongs to every schedule of a federated arm and to no other"
                    )
        return arms


def read_study(path: Path) -> Study:
    """Read a study file.

    Raises:
        UsageError: there is no such file.
        ConfigurationError: it does not say what to run (``parse_study``).
        UnknownStructureError: a structure is not a TG-263 name.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(
            f"wanted a study file; there is none at {path.name!r}; write one with: gossamer study new {path.name}"
        ) from error
    return parse_study(text, f"study file {path.name}")


def parse_study(text: str, what: str) -> Study:
    """Read a study from its text.

    Args:
        text: TOML.
        what: how messages call it.

    Raises:
        UnknownKeyError: a key means nothing here.
        UnknownMetricError: a metric does not exist.
        UnknownStructureError: a structure is not a TG-263 name.
        ConfigurationError: a value is missing or does not fit.
    """
    study = parse_toml(text, Study, what)
    for structure in (*study.structures, *study.tolerance_mm):
        standard_name(structure)
    return study
